"""The search for settings of one run, as `tune.json` and `trials.csv` hold it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gru4rec_cli.base.names import TUNE_FILE
from gru4rec_cli.reporting.findings.run import Findings, metric_label

TUNE_SOURCE = f"tune/{TUNE_FILE}"


@dataclass(frozen=True)
class Point:
    """A trial: its settings as text, and the value on validation of one that did not fail."""

    number: int
    state: str  # complete, pruned, failed
    value: float | None
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Search:
    """The ledger of a search: budget, spaces and choices (`tune.json`), and every trial by model (`trials.csv`)."""

    document: Mapping[str, Any]
    points: Mapping[str, tuple[Point, ...]]

    @classmethod
    def of(cls, document: Mapping[str, Any], rows: Iterable[Mapping[str, str]]) -> "Search":
        """Return the search of a ledger and of the rows of the table of trials, whose cells are text."""
        points: dict[str, list[Point]] = {name: [] for name in document["models"]}
        for row in rows:
            settings = {key: row[f"settings.{key}"] for key in document["models"][row["model"]]["space"]}
            value = float(row["value"]) if row["value"] else None
            points[row["model"]].append(Point(int(row["trial"]), row["state"], value, settings))
        return cls(document, {name: tuple(found) for name, found in points.items()})

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the ledger says of every tuned model."""
        found: Mapping[str, Mapping[str, Any]] = self.document["models"]
        return found

    @property
    def label(self) -> str:
        """The name of the metric on validation, such as `MRR@20`."""
        metric, _, cutoff = self.document["metric"].partition("@")
        return metric_label(metric, cutoff)

    @property
    def used_up(self) -> list[str]:
        """The models whose space had fewer points than the budget allows."""
        return [name for name, model in self.models.items() if model["used_up"]]

    def value(self, model: str, number: int) -> float | None:
        """Return the value of a trial on validation."""
        return next((point.value for point in self.points[model] if point.number == number), None)

    def untuned(self, findings: Findings) -> list[str]:
        """Return the fitted models of the run whose settings were not searched for."""
        fitted = [model for model in findings.models if findings.stage(model) in ("baseline", "train")]
        return [model for model in fitted if model not in self.models and model not in findings.default_rows.values()]
