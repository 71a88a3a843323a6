"""The metrics of one run as `metrics.json` holds them: estimates by key, and what a report asks of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.names import METRICS_FILE, ORACLE
from gru4rec_cli.evaluation.metrics import HEADLINE, METRICS
from gru4rec_cli.evaluation.slices import WHOLE
from gru4rec_cli.evaluation.summary import ALL_SEEDS

METRICS_SOURCE = f"evaluate/{METRICS_FILE}"
_COLUMNS = ("model", "seed", "metric", "k", "ties", "slice", "value", "low", "high")
_CONTENDER = 0.5  # of the best model's headline, from which on a model is a contender
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


def estimates(metrics: pd.DataFrame, *, seed: str = ALL_SEEDS, slice_name: str = WHOLE) -> dict[Key, Estimate]:
    """Return the estimates of one seed (default: averaged over seeds) on one slice (default: all events), in table
    order."""
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


def model_order(found: Mapping[Key, Estimate], *, ties: str, cutoff: int) -> list[str]:
    """Return the models by the headline metric at `cutoff`, highest first, equals in table order; the oracle, being the
    bound, on top."""

    def place(model: str) -> tuple[bool, float]:
        estimate = found.get((model, HEADLINE, cutoff, ties))
        return model != ORACLE, -estimate.value if estimate else math.inf

    return sorted(dict.fromkeys(key[0] for key in found), key=place)


def contenders(ranked: Mapping[str, float]) -> list[str]:
    """Return the models, given by their headline with the best first, that are at least half as good as the best; two
    of them where there are two."""
    best = next(iter(ranked.values()), 0.0)
    near = [model for model, value in ranked.items() if value >= _CONTENDER * best]
    return near if len(near) > 1 else list(ranked)[:2]


def is_near(bound: float, ranked: Mapping[str, float]) -> bool:
    """Return whether the best model reaches at least half of the bound, so that one scale can show both."""
    return not ranked or next(iter(ranked.values())) >= _CONTENDER * bound


def metric_label(metric: str, cutoff: object) -> str:
    """Return the label of a metric at a cutoff, such as `Recall@20`."""
    return f"{METRICS[metric].label if metric in METRICS else metric}@{cutoff}"


def metric_source(key: Key, *, seed: str = ALL_SEEDS, slice_name: str = WHOLE) -> str:
    """Return where an estimate stands, such as `evaluate/metrics.json › metrics[model=…, metric=…, …]`."""
    model, metric, cutoff, ties = key
    told = {"model": model, "seed": seed, "metric": metric, "k": cutoff, "ties": ties, "slice": slice_name}
    return source_path("metrics", **told)


def source_path(part: str, **chosen: object) -> str:
    """Return the place in metrics.json of the entry of `part` that has these fields."""
    fields = ", ".join(f"{name}={value}" for name, value in chosen.items())
    return f"{METRICS_SOURCE} › {part}" + (f"[{fields}]" if fields else "")


@dataclass(frozen=True)
class Findings:
    """The metrics of one run."""

    document: Mapping[str, Any]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows of the metrics table; without rows, without columns."""
        frame = pd.DataFrame(self.document.get("metrics") or [])
        return frame.astype({"seed": str}) if "seed" in frame.columns else frame

    @cached_property
    def found(self) -> dict[Key, Estimate]:
        return estimates(self.frame) if len(self.frame) else {}

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.document.get("protocol") or {}

    @property
    def division(self) -> Mapping[str, Any]:
        """Return how training and test came about, as the statistics of the split say it."""
        return self.document.get("division") or {}

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.get("models") or {}

    @property
    def not_applicable(self) -> Mapping[str, str]:
        return self.document.get("not_applicable") or {}

    @property
    def ties(self) -> str:
        return str(self.protocol.get("ties", "conservative"))

    @property
    def cutoff(self) -> int:
        """The largest: the headline's."""
        return int(max(self.protocol.get("cutoffs") or [key[2] for key in self.found] or [0]))

    @property
    def confidence(self) -> float:
        return float(self.protocol.get("confidence", 0.95))

    @property
    def label(self) -> str:
        """The headline metric's name, such as `Recall@20`."""
        return self.metric_label(HEADLINE, self.cutoff)

    @staticmethod
    def metric_label(metric: str, cutoff: object) -> str:
        return metric_label(metric, cutoff)

    def key(self, model: str, metric: str = HEADLINE) -> Key:
        """Return the headline estimate of a model."""
        return model, metric, self.cutoff, self.ties

    @cached_property
    def order(self) -> list[str]:
        """All models with metrics, the oracle first, then the best first."""
        return model_order(self.found, ties=self.ties, cutoff=self.cutoff)

    @cached_property
    def ranked(self) -> dict[str, Estimate]:
        """Headline estimates of the models proper, without the oracle, the best first."""
        return {m: self.found[self.key(m)] for m in self.order if m != ORACLE and self.key(m) in self.found}

    @cached_property
    def contenders(self) -> list[str]:
        """The models whose headline is at least half of the best one's, and the next best where that is one alone."""
        return contenders(self.headlines)

    @cached_property
    def headlines(self) -> dict[str, float]:
        """The headline values of the models proper, the best first."""
        return {model: estimate.value for model, estimate in self.ranked.items()}

    @property
    def oracle(self) -> Estimate | None:
        return self.found.get(self.key(ORACLE))

    def stage(self, model: str) -> str:
        """Return the stage that fitted a model: `baseline`, `train`, `oracle`."""
        return str(self.models.get(model, {}).get("stage", ""))

    def best_of(self, stage: str, metric: str = HEADLINE) -> str | None:
        """Return the best model of `baseline` or `train` by a metric; of equal ones, the first in table order."""
        keys = {model: self.key(model, metric) for model in self.ranked if self.stage(model) == stage}
        values = {model: self.found[key].value for model, key in keys.items() if key in self.found}
        return max(values, key=lambda model: values[model], default=None)

    @cached_property
    def default_rows(self) -> dict[str, str]:
        """By tuned model, the name of its row with the settings of the configuration, before the search."""
        return {about["default_of"]: name for name, about in self.models.items() if "default_of" in about}

    def seeds(self, model: str) -> list[str]:
        """Return the seeds with which a model was fitted, as text, in the order of the table."""
        if not len(self.frame):
            return []
        rows = self.frame[(self.frame["model"] == model) & (self.frame["seed"] != ALL_SEEDS)]
        return list(dict.fromkeys(rows["seed"]))

    @cached_property
    def several_seeds(self) -> list[str]:
        """The models that were fitted with more than one seed, in table order."""
        return [model for model in self.order if len(self.seeds(model)) > 1]

    def by_seed(self, model: str, metric: str = HEADLINE) -> dict[str, float]:
        """Return the headline value of every seed of a model."""
        key = self.key(model, metric)
        found = {seed: estimates(self.frame, seed=seed).get(key) for seed in self.seeds(model)}
        return {seed: estimate.value for seed, estimate in found.items() if estimate}

    @property
    def curves(self) -> Mapping[str, Mapping[str, Mapping[str, list[float]]]]:
        """Every metric by cutoff: `values` for K = 1, 2, … with `low` and `high`, by model and metric."""
        return self.document.get("curves") or {}

    @property
    def differences(self) -> list[Mapping[str, Any]] | None:
        """Every pair of models and metric, or None where the run did not compare them."""
        return self.document.get("differences")

    def at_floor(self, entry: Mapping[str, Any]) -> bool:
        """Return whether the corrected p-value of a pair is the smallest that the permutations can give.

        The smallest p is 1 / (1 + permutations). Holm's correction multiplies it by the number of pairs, and no other
        pair of the metric falls below that.
        """
        p, permutations = entry.get("p_holm"), self.protocol.get("permutations")
        pairs = sum(other.get("metric") == entry.get("metric") for other in self.differences or ())
        return bool(p is not None and permutations and p * (1 + permutations) < pairs + 0.5)

    def difference(self, first: str, second: str, metric: str = HEADLINE) -> Mapping[str, Any] | None:
        """Return the comparison of two models, whichever stands first."""
        pairs = ((first, second), (second, first))
        entries = self.differences or ()
        return next(
            (e for e in entries if e.get("metric") == metric and (e.get("first"), e.get("second")) in pairs), None
        )
