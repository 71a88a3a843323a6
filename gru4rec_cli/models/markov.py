"""Markov chains of first and second order: items by how often they came right after the last clicks."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder, ScoredLists
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport, check_training, check_vocabulary
from gru4rec_cli.models.indexes.histories import Histories
from gru4rec_cli.models.indexes.rules import count_rules, rule_blocks

_EVENTS_AT_ONCE = 1 << 14


class Settings(ModelSettings):
    """Settings of the chain: how many clicks it looks at."""

    order: Literal[1, 2] = Field(1, description="number of last clicks that the chain uses")
    backoff: float = Field(
        0.4,
        gt=0,
        le=1,
        description="with order 2: factor of the first-order share, for items that never followed both clicks",
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
        check_training(train)
        rules = count_rules(train, after=np.ones(1))
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels}
        if self.settings.order == 2:
            rules = _as_shares(rules)
            pairs, pair_rules = _count_triples(train)
            shares = _as_shares(pair_rules)._asdict()
            self.arrays |= {"pairs": pairs} | {f"pair_{name}": array for name, array in shares.items()}
        self.arrays |= rules._asdict()
        return FitReport(facts={"transitions": len(rules.items)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        check_vocabulary(sessions, len(self.order))
        rules = ScoredLists.of(self.arrays)
        if self.settings.order == 1:
            yield from rule_blocks(sessions, rules, self.order)
            return
        from gru4rec_cli.models.indexes.history_loops import last_two_items
        from gru4rec_cli.models.indexes.rule_loops import back_off

        n_items, factor = len(self.order), self.settings.backoff
        pairs = np.append(self.arrays["pairs"], -2)  # the last one is no key
        pair_rules = ScoredLists(*(self.arrays[f"pair_{name}"] for name in ScoredLists._fields))
        for start, histories in Histories.of(sessions).blocks(_EVENTS_AT_ONCE):
            before, last = last_two_items(histories)
            keys = np.where(before >= 0, before * n_items + last, -1)
            places = np.searchsorted(pairs[:-1], keys)
            contexts = np.where(pairs[places] == keys, places, -1)
            yield CandidateBlock.of(start, back_off(contexts, pair_rules, last, rules, factor, n_items), self.order)


def _as_shares(rules: ScoredLists) -> ScoredLists:
    """Return the rules with every weight as a share of the sum over its list."""
    sizes = np.diff(rules.offsets)
    totals = np.bincount(np.repeat(np.arange(len(sizes)), sizes), weights=rules.scores, minlength=len(sizes))
    return rules._replace(scores=(rules.scores / np.repeat(totals, sizes)).astype(np.float32))


def _count_triples(train: Sessions) -> tuple[Int64Array, ScoredLists]:
    """Return the pairs of successive clicks (h, i) that something followed, as sorted keys h · V + i, and the rules to
    what followed each, weighted by how often it did."""
    rows = np.flatnonzero(train.event_positions() > 1)
    middle = train.input_rows()[rows]
    items = train.items.astype(np.int64)
    keys = items[middle - 1] * train.n_items + items[middle]
    pairs, place = np.unique(keys, return_inverse=True)
    triples, counts = np.unique(place * train.n_items + items[middle + 1], return_counts=True)
    offsets = np.searchsorted(triples, np.arange(len(pairs) + 1) * train.n_items)
    return pairs, ScoredLists(offsets, (triples % train.n_items).astype(np.int32), counts.astype(np.float32))
