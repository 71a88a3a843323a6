"""The metrics table as estimates by key: which model, which metric, which cutoff, which tie rule."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.names import METRICS_FILE, ORACLE

METRIC_LABELS = {"recall": "Recall", "mrr": "MRR", "ndcg": "NDCG"}
METRICS_SOURCE = f"evaluate/{METRICS_FILE}"
WHOLE = "all"  # the mean over seeds; the slice that holds every event
_COLUMNS = ("model", "seed", "metric", "k", "ties", "slice", "value", "low", "high")

Key = tuple[str, str, int, str]  # model, metric, cutoff, tie rule


@dataclass(frozen=True)
class Estimate:
    """A metric's value and the ends of its interval, NaN where there is none."""

    value: float
    low: float
    high: float
    events: int | None = None

    @property
    def has_interval(self) -> bool:
        return not (math.isnan(self.low) or math.isnan(self.high))


def estimates(metrics: pd.DataFrame, *, seed: str = WHOLE, slice_name: str = WHOLE) -> dict[Key, Estimate]:
    """The estimates of one seed (default: averaged over seeds) on one slice (default: all events), in table order."""
    missing = [name for name in _COLUMNS if name not in metrics.columns]
    if missing:
        raise StageError(f"the metrics table lacks {', '.join(missing)}", "run `evaluate` again with --force")
    chosen = metrics[
        (metrics["seed"].astype(str) == seed) & (metrics["slice"] == slice_name) & metrics["value"].notna()
    ]
    columns = [chosen[name].tolist() for name in ("model", "metric", "k", "ties")]
    numbers = [pd.to_numeric(chosen[name]).astype(float).tolist() for name in ("value", "low", "high")]
    events = chosen["events"].tolist() if "events" in chosen.columns else [None] * len(chosen)
    keys = [(str(model), str(metric), int(k), str(ties)) for model, metric, k, ties in zip(*columns, strict=True)]
    return {
        key: Estimate(value, low, high, None if count is None or math.isnan(count) else int(count))
        for key, value, low, high, count in zip(keys, *numbers, events, strict=True)
    }


def model_order(
    found: Mapping[Key, Estimate], *, ties: str, cutoff: int, oracle_name: str = ORACLE, metric: str = "recall"
) -> list[str]:
    """Models by Recall at `cutoff`, highest first, equals in table order; the oracle, being the bound, on top."""

    def place(model: str) -> tuple[bool, float]:
        estimate = found.get((model, metric, cutoff, ties))
        return model != oracle_name, -estimate.value if estimate else math.inf

    return sorted(dict.fromkeys(key[0] for key in found), key=place)


def metric_source(key: Key, *, seed: str = WHOLE, slice_name: str = WHOLE) -> str:
    """Where an estimate stands, such as `evaluate/metrics.json › metrics[model=…, metric=…, …]`."""
    model, metric, cutoff, ties = key
    told = {"model": model, "seed": seed, "metric": metric, "k": cutoff, "ties": ties, "slice": slice_name}
    return source_path("metrics", **told)


def source_path(part: str, **chosen: object) -> str:
    """The place in metrics.json of the entry of `part` that has these fields."""
    fields = ", ".join(f"{name}={value}" for name, value in chosen.items())
    return f"{METRICS_SOURCE} › {part}" + (f"[{fields}]" if fields else "")
