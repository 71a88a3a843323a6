"""What `metrics.json` holds, as the parts of a report ask for it; what is not there is an empty value, no guess."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.reporting.estimates import METRIC_LABELS, WHOLE, Estimate, Key, estimates, model_order

HEADLINE = "recall"  # the metric by which models are ordered


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
        return f"{METRIC_LABELS.get(metric, metric)}@{cutoff}"

    def key(self, model: str, metric: str = HEADLINE) -> Key:
        """The headline estimate of a model."""
        return model, metric, self.cutoff, self.ties

    @cached_property
    def order(self) -> list[str]:
        """All models with metrics, the oracle first, then the best first."""
        return model_order(self.found, ties=self.ties, cutoff=self.cutoff)

    @cached_property
    def ranked(self) -> dict[str, Estimate]:
        """Headline estimates of the models proper, without the oracle, the best first."""
        return {m: self.found[self.key(m)] for m in self.order if m != ORACLE and self.key(m) in self.found}

    @property
    def oracle(self) -> Estimate | None:
        return self.found.get(self.key(ORACLE))

    def stage(self, model: str) -> str:
        return str(self.models.get(model, {}).get("stage", ""))

    def best_of(self, stage: str) -> str | None:
        """The best model of `baseline` or `train`."""
        return next((model for model in self.ranked if self.stage(model) == stage), None)

    def seeds(self, model: str) -> list[str]:
        """The seeds with which a model was fitted, as text, in the order of the table."""
        if not len(self.frame):
            return []
        rows = self.frame[(self.frame["model"] == model) & (self.frame["seed"] != WHOLE)]
        return list(dict.fromkeys(rows["seed"]))

    @cached_property
    def several_seeds(self) -> list[str]:
        """The models that were fitted with more than one seed, in table order."""
        return [model for model in self.order if len(self.seeds(model)) > 1]

    def by_seed(self, model: str, metric: str = HEADLINE) -> dict[str, float]:
        """The headline value of every seed of a model."""
        key = self.key(model, metric)
        found = {seed: estimates(self.frame, seed=seed).get(key) for seed in self.seeds(model)}
        return {seed: estimate.value for seed, estimate in found.items() if estimate}

    @property
    def differences(self) -> list[Mapping[str, Any]] | None:
        """Every pair of models and metric, or None where the run did not compare them."""
        return self.document.get("differences")

    def difference(self, first: str, second: str, metric: str = HEADLINE) -> Mapping[str, Any] | None:
        """The comparison of two models, whichever stands first."""
        pairs = ((first, second), (second, first))
        entries = self.differences or ()
        return next(
            (e for e in entries if e.get("metric") == metric and (e.get("first"), e.get("second")) in pairs), None
        )
