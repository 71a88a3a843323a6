"""Item-kNN: items whose sessions are those of the last click."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder, ScoredLists
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport, check_training
from gru4rec_cli.models.indexes.rules import count_rules, distinct_items, rule_blocks, strongest


class Settings(ModelSettings):
    """Neighbours and shrinkage."""

    n_sims: int | None = Field(100, ge=1, description="number of most similar items kept for every item; null: all")
    lmbd: float = Field(
        20.0, ge=0, description="shrinkage λ: number of sessions added to both items, which weakens rare coincidences"
    )
    alpha: float = Field(0.5, ge=0, le=1, description="0.5: cosine; larger: the sessions of the last click count more")


class Model(ArrayModel[Settings]):
    """Item neighbours.

    score_j = n_ij / ((n_i + λ)^α (n_j + λ)^(1 - α)), i the last click; n: training sessions with i, j, both.

    Item-KNN of Hidasi et al. (ICLR 2016): cosine over sessions, shrunk, so that coincidences of rare items count less.
    """

    description: ClassVar[str] = (
        f"Items by the shrunk cosine of their training sessions with those of the last click; {FALLBACK}."
    )
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        once = distinct_items(train)
        anywhere = np.ones(max(int(once.lengths.max()) - 1, 1))
        both = count_rules(once, after=anywhere, before=anywhere)
        sessions = once.supports() + self.settings.lmbd
        sessions_of_last = np.repeat(sessions, np.diff(both.offsets))
        shrunk = sessions_of_last**self.settings.alpha * sessions[both.items] ** (1 - self.settings.alpha)
        order = ItemOrder.by(train.supports())
        similar = both._replace(scores=(both.scores / shrunk).astype(np.float32))
        rules = strongest(similar, self.settings.n_sims, order)
        self.arrays = {"levels": order.levels, **rules._asdict()}
        return FitReport(facts={"rules": len(rules.items)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from rule_blocks(sessions, ScoredLists.of(self.arrays), self.order)
