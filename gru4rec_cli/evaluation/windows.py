"""Metrics of several windows of one log: their mean, and their spread."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from gru4rec_cli.evaluation.summary import ALL_SEEDS

KEYS = ("model", "metric", "k", "ties", "slice")


def over_windows(tables: Iterable[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return rows `model, metric, k, ties, slice, mean, sd, windows` from the metrics rows of each window.

    A window counts once, however many events it has. `mean` is the plain mean of the values of the windows that have
    one (as many as `windows` says), each the mean over its seeds; `sd` is their standard deviation with n - 1, None of
    a single one.
    """
    values: dict[tuple[Any, ...], list[float]] = {}
    for rows in tables:
        for row in rows:
            if row["seed"] == ALL_SEEDS and row["value"] is not None:
                values.setdefault(tuple(row[key] for key in KEYS), []).append(row["value"])
    return [
        {
            **dict(zip(KEYS, key, strict=True)),
            "mean": fmean(found),
            "sd": stdev(found) if len(found) > 1 else None,
            "windows": len(found),
        }
        for key, found in values.items()
    ]
