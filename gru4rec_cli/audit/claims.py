"""Figures that somebody claims, held against ours, and against what other protocols give on the same lists."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import METRICS, TieRule, metric_at_k, metric_values, target_ranks
from gru4rec_cli.evaluation.predictions import PredictedRanks
from gru4rec_cli.evaluation.sampled import items_above, uniform_table
from gru4rec_cli.evaluation.uncertainty import SessionBootstrap, percentile_interval, session_blocks

NEGATIVES = 100
_RESAMPLES, _CONFIDENCE, _SEED = 1000, 0.95, 42  # as a study has them by default
_SAME = 1e-12  # means that differ by less are the same
_LAST = "the last event of each session alone"


class Claim(NamedTuple):
    """A metric at a cutoff with the value that somebody reports; `half` is half a unit of its last digit."""

    metric: str
    k: int
    value: float
    half: float

    @classmethod
    def of(cls, text: str) -> "Claim":
        """Read `recall@20=0.52`.

        Raises:
            UsageError: it is not METRIC@K=VALUE with a cutoff that can be set and a value from 0 to 1.
        """
        name, _, number = (part.strip() for part in text.partition("="))
        digits = re.fullmatch(r"[01]?(?:\.(\d*))?", number)
        example = f"write for example --claim recall@20=0.52; the metrics are {', '.join(METRICS)}"
        if not digits or not re.search(r"\d", number) or float(number) > 1:
            raise UsageError(f"--claim {text}: not METRIC@K=VALUE with a value from 0 to 1", example)
        try:
            metric, k = metric_at_k(name)
        except ValueError as error:
            raise UsageError(f"--claim {text}: {error}", example) from error
        return cls(metric, k, float(number), 0.5 * 10.0 ** -len(digits[1] or ""))

    @property
    def label(self) -> str:
        """The metric's name in tables, such as `Recall@20`."""
        return f"{METRICS[self.metric].label}@{self.k}"

    def is_value(self, value: float) -> bool:
        """Return whether a value, rounded to the digits of the claim, is the claim."""
        return abs(value - self.value) <= self.half * (1 + 1e-9)

    def is_outside(self, estimate: "Estimate") -> bool:
        """Return whether no value that rounds to the claim is in the interval."""
        return self.value + self.half < estimate.low or self.value - self.half > estimate.high


class Estimate(NamedTuple):
    """A mean over events, and its 95 % interval from resampled sessions."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Ranked:
    """The events of a test, and the ranks that follow from ranked lists."""

    test: Sessions
    found: PredictedRanks

    def values(self, metric: str, k: int, ties: TieRule = "conservative") -> Float64Array:
        """Return the metric of every event, (n_targets,)."""
        rank = target_ranks(self.found.greater, self.found.equal, self.test.target_items(), ties)
        return metric_values(rank, metric, k)

    def reaches(self, k: int) -> bool:
        """Return whether metrics at a cutoff are known."""
        return min(k, self.test.n_items) <= self.found.longest

    def estimates(self, cells: Sequence[tuple[str, int]]) -> list[Estimate]:
        """Return the mean of each metric and cutoff over all events, with its interval."""
        session = self.test.event_sessions()
        columns = [self.values(metric, k) for metric, k in cells]
        sums = np.stack([np.bincount(session, of, minlength=self.test.n_sessions) for of in columns])
        counts = (self.test.lengths - 1).astype(np.float64)
        bootstrap = SessionBootstrap(
            len(counts), len(cells) + 1, resamples=_RESAMPLES, seed=_SEED, largest=float(counts.max())
        )
        for number, block in enumerate(session_blocks(len(counts))):
            bootstrap.add(number, np.vstack([sums[:, block], counts[None, block]]))
        low, high = percentile_interval(bootstrap.totals[:, :-1] / bootstrap.totals[:, -1:], _CONFIDENCE)
        means = [float(of.mean()) for of in columns]
        return [Estimate(*ends) for ends in zip(means, low.tolist(), high.tolist(), strict=True)]


def other_protocols(ranked: Ranked, wider: Mapping[str, Ranked], claim: Claim) -> Iterator[tuple[str, float]]:
    """Yield what other protocols give on the same lists, each with its name; the sampled one only where the lists hold
    all items. `wider` are all events of the test, also those whose target training lacks, by how these are counted."""
    test, found, ours = ranked.test, ranked.found, ranked.values(claim.metric, claim.k)
    yield "ties counted in favour of the target", float(ranked.values(claim.metric, claim.k, "optimistic").mean())
    yield _LAST, _mean_of_last(test, ours)
    sums = np.bincount(test.event_sessions(), ours, minlength=test.n_sessions)
    yield "the mean over sessions of the mean of each", float((sums / (test.lengths - 1)).mean())
    if found.missing:
        yield "events without a list left out", float(ours[found.lengths > 0].mean())
    for name, every in wider.items():
        if every.test.n_targets > test.n_targets:
            values = every.values(claim.metric, claim.k)
            yield name, float(values.mean())
            yield f"{_LAST}, {name}", _mean_of_last(every.test, values)
    if is_complete(ranked):
        above = items_above(found.greater, found.equal, "conservative")
        table = uniform_table(test.n_items, NEGATIVES, (claim.k,))[list(METRICS).index(claim.metric), 0]
        yield f"{NEGATIVES} uniform sampled negatives", float(table[above].mean())


def _mean_of_last(test: Sessions, values: Float64Array) -> float:
    """Return the mean of a metric over the last event of each session."""
    return float(values[np.cumsum(test.lengths - 1) - 1].mean())


def is_complete(ranked: Ranked) -> bool:
    """Return whether every event has a list of all training items."""
    return bool((ranked.found.known == ranked.test.n_items).all())


def told(claim: Claim, estimate: Estimate, others: Iterable[tuple[str, float]]) -> str:
    """Return in words how a claim compares with ours, and with other protocols where ours does not give its digits."""
    if claim.is_value(estimate.value):
        return f"{claim.label} is {estimate}; claimed: {claim.value:g}"
    others = [(name, value) for name, value in others if abs(value - estimate.value) > _SAME]
    matching = ", or ".join(f"{name} ({value:.4f})" for name, value in others if claim.is_value(value))
    if not claim.is_outside(estimate):
        said = f"{claim.label} is {estimate}; claimed: {claim.value:g}"
        return f"{said}, which is what this gives: {matching}" if matching else said
    said = f"{claim.label} is claimed to be {claim.value:g}; it is {estimate}"
    if matching:
        return f"{said}. The claim is what this gives: {matching}"
    nearest = min(others, key=lambda other: abs(other[1] - claim.value), default=None)
    said += ". No other protocol that was tried gives the claim"
    return f"{said}; the nearest is {nearest[0]} ({nearest[1]:.4f})" if nearest else said
