"""The dependence of the reported numbers, and of the order of models, on the protocol: tie rules, sampled negatives."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import METRICS, TIE_RULES, target_ranks
from gru4rec_cli.evaluation.ranking import TargetRanks
from gru4rec_cli.evaluation.sampled import items_above, popularity_means, share_above, uniform_table
from gru4rec_cli.evaluation.settings import EvaluateSettings

NEGATIVES = (100, 1000)  # what published protocols draw most often
_EVENTS = 2**17  # in memory at once
_ROUNDING = 1e-12  # means that differ by less are the same

Shown = tuple[str, int | None, str]  # protocol, negatives, tie rule
Values = Mapping[tuple[str, str, int], float]  # by tie rule, metric and cutoff
Row = dict[str, Any]


class SampledProtocols:
    """Means over the events of what protocols with sampled negatives would report of any model's ranks.

    Ties count as in the headline, half of the equal items rounded down under `median`. A target that training does
    not hold is a miss in every protocol.
    """

    def __init__(self, sessions: Sessions, settings: EvaluateSettings) -> None:
        self._ties, self._cutoffs = settings.ties, settings.cutoffs
        self._targets = sessions.target_items()
        supports = sessions.vocabulary.supports
        self._own, self._total = supports[np.maximum(self._targets, 0)], int(supports.sum())
        self._uniform = {n: uniform_table(sessions.n_items, n, settings.cutoffs) for n in NEGATIVES}

    def means(self, found: TargetRanks) -> dict[Shown, Float64Array]:
        """Return the means by protocol, each (metrics, cutoffs)."""
        shape = (len(METRICS), len(self._cutoffs))
        sums = {(name, n, self._ties): np.zeros(shape) for name in ("uniform", "popularity") for n in NEGATIVES}
        rank = target_ranks(found.greater, found.equal, self._targets, self._ties)
        above = items_above(found.greater, found.equal, self._ties)
        above_support = items_above(found.greater_support, found.equal_support, self._ties)
        for start in range(0, len(above), _EVENTS):
            part = slice(start, start + _EVENTS)
            seen = np.isfinite(rank[part])  # the others are misses
            share = share_above(above_support[part][seen], self._own[part][seen], self._total)
            for n in NEGATIVES:
                sums["uniform", n, self._ties] += self._uniform[n][:, :, above[part][seen]].sum(axis=2)
                sums["popularity", n, self._ties] += popularity_means(share, n, self._cutoffs).sum(axis=2)
        return {key: total / len(above) for key, total in sums.items()}


def sensitivity(
    values: Mapping[str, Values],
    sampled: Mapping[str, Sequence[Mapping[Shown, Float64Array]]],
    settings: EvaluateSettings,
    n_items: int,
) -> dict[str, Any]:
    """Return what each protocol shows of each model (the mean over its fits) beside full ranking under the headline tie
    rule, and each pair of models of which it shows the better one level or below.

    `values` holds the full-ranking means of every model, `sampled` those of `SampledProtocols` for each of its fits.
    """
    cells = [(metric, k) for metric in METRICS for k in settings.cutoffs]
    shown = {name: _by_tie_rule(values[name], cells) | _by_sampling(sampled[name], settings.cutoffs) for name in values}
    full = {name: {cell: found[settings.ties, *cell] for cell in cells} for name, found in values.items()}
    protocols = list(dict.fromkeys(protocol for found in shown.values() for protocol, _, _ in found))
    grid = [(protocol, *cell) for protocol in protocols for cell in cells]
    return {
        "ties": settings.ties,
        "capped": [n for n in NEGATIVES if n >= n_items - 1],  # so many uniform negatives are full ranking
        "rows": [
            {"model": name, **_named(*cell), "value": shown[name][cell], "full": full[name][cell[1:]]}
            | {"factor": shown[name][cell] / full[name][cell[1:]] if full[name][cell[1:]] else None}
            for name in values
            for cell in grid
        ],
        "flips": [
            {"first": first, "second": second, **_named(*cell)}
            | {"full": [full[name][cell[1:]] for name in (first, second)]}
            | {"shown": [shown[name][cell] for name in (first, second)]}
            for cell in grid
            for first, second in permutations(values, 2)
            if full[first][cell[1:]] > full[second][cell[1:]] + _ROUNDING
            and shown[first][cell] <= shown[second][cell] + _ROUNDING
        ],
    }


def _by_tie_rule(values: Values, cells: list[tuple[str, int]]) -> dict[tuple[Shown, str, int], float]:
    return {(("ties", None, ties), *cell): values[ties, *cell] for ties in TIE_RULES for cell in cells}


def _by_sampling(
    fits: Sequence[Mapping[Shown, Float64Array]], cutoffs: tuple[int, ...]
) -> dict[tuple[Shown, str, int], float]:
    means = {protocol: np.mean([fit[protocol] for fit in fits], axis=0) for protocol in fits[0]}
    return {
        (protocol, metric, k): float(means[protocol][row, column])
        for protocol in means
        for row, metric in enumerate(METRICS)
        for column, k in enumerate(cutoffs)
    }


def _named(protocol: Shown, metric: str, k: int) -> Row:
    name, negatives, ties = protocol
    return {"protocol": name, "negatives": negatives, "ties": ties, "metric": metric, "k": k}
