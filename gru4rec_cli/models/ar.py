"""Association rules: items by how often they were clicked in one session with the last click."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder, ScoredLists
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport, check_training
from gru4rec_cli.models.indexes.rules import count_rules, rule_blocks, strongest


class Settings(ModelSettings):
    """Settings of association rules: how many are kept."""

    pruning: int | None = Field(None, ge=1, description="number of strongest rules kept for every item; null: all")


class Model(ArrayModel[Settings]):
    """Association rules of size two.

    score_j = Σ over training sessions p, Σ over clicks x ≠ y of p, of [p_x = i] [p_y = j], i the last click.

    AR of Ludewig & Jannach (UMUAI 2018), without its normalisation, which is the
    same for all j.
    """

    description: ClassVar[str] = (
        f"Items by how often they were clicked in one training session with the last click; {FALLBACK}."
    )
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        anywhere = np.ones(int(train.lengths.max()) - 1)
        order = ItemOrder.by(train.supports())
        rules = strongest(count_rules(train, after=anywhere, before=anywhere), self.settings.pruning, order)
        self.arrays = {"levels": order.levels, **rules._asdict()}
        return FitReport(facts={"rules": len(rules.items)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from rule_blocks(sessions, ScoredLists.of(self.arrays), self.order)
