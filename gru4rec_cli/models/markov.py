"""Markov chains of first and second order: items by how often they came right after the last clicks."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Int64Array, Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport
from gru4rec_cli.models.indexes.rules import Rules, count_rules, rule_blocks

_EVENTS_AT_ONCE = 1 << 14


class Settings(ModelSettings):
    """How many clicks the chain looks at."""

    order: Literal[1, 2] = Field(1, description="clicks that the chain looks at: the last one, or the last two")
    backoff: float = Field(
        0.4, gt=0, le=1, description="with order 2: factor of the first-order share of items that never followed both"
    )


class Model(ArrayModel[Settings]):
    """Order 1: score_j = number of times j directly followed the last click i.

    Order 2 with back-off (Brants et al., *Large Language Models in Machine Translation*, EMNLP 2007, eq. 5): with c the
    counts in training, score_j = c(h, i, j) / c(h, i, ·) where j followed the last two clicks h, i in training, else
    backoff · c(i, j) / c(i, ·).
    """

    description: ClassVar[str] = (
        f"Items by how often they directly followed the last click (order 2: the last two) in training; {FALLBACK}."
    )
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = True

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        singles = count_rules(train, after=np.ones(1))
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels}
        if self.settings.order == 2:
            singles = Rules(singles.offsets, singles.items, _shares(singles))
            contexts, pairs = _count_pairs_of_two(train)
            self.arrays |= {"contexts": contexts, "pair_offsets": pairs.offsets, "pair_items": pairs.items}
            self.arrays["pair_weights"] = _shares(pairs)
        self.arrays |= vars(singles)
        return FitReport(facts={"transitions": len(singles.items)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        if self.settings.order == 1:
            yield from rule_blocks(sessions, Rules.of(self.arrays), self.order)
            return
        from gru4rec_cli.models.indexes.history_loops import last_two
        from gru4rec_cli.models.indexes.rule_loops import back_off

        singles, known = Rules.of(self.arrays), self.arrays["contexts"]
        starts = sessions.offsets[sessions.event_sessions()]
        before, last = last_two(sessions.items, starts, sessions.input_rows())
        keys = np.where(before >= 0, before * len(self.order) + last, -1)
        found = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        contexts = np.where(known[found] == keys, found, -1)
        for start in range(0, len(last), _EVENTS_AT_ONCE):
            events = slice(start, start + _EVENTS_AT_ONCE)
            lists = back_off(
                contexts[events],
                last[events],
                self.arrays["pair_offsets"],
                self.arrays["pair_items"],
                self.arrays["pair_weights"],
                singles.offsets,
                singles.items,
                singles.weights,
                self.settings.backoff,
                len(self.order),
            )
            yield CandidateBlock(start, np.arange(len(lists[0]) - 1), *lists, self.order)


def _shares(rules: Rules) -> npt.NDArray[np.float32]:
    """Every weight as a share of the sum over its row."""
    sizes = np.diff(rules.offsets)
    totals = np.bincount(np.repeat(np.arange(len(sizes)), sizes), weights=rules.weights, minlength=len(sizes))
    return (rules.weights / np.repeat(totals, sizes)).astype(np.float32)


def _count_pairs_of_two(train: Sessions) -> tuple[Int64Array, Rules]:
    """The pairs of successive clicks (h, i) that something followed, as sorted keys h · V + i, and what followed."""
    rows = np.flatnonzero(train.event_positions() > 1)
    middle = train.input_rows()[rows]
    items = train.items.astype(np.int64)
    keys = items[middle - 1] * train.n_items + items[middle]
    contexts, place = np.unique(keys, return_inverse=True)
    triples, counts = np.unique(place * train.n_items + items[middle + 1], return_counts=True)
    offsets = np.searchsorted(triples, np.arange(len(contexts) + 1) * train.n_items)
    return contexts, Rules(offsets, (triples % train.n_items).astype(np.int32), counts.astype(np.float32))
