"""Sequential rules: items by how often, and how soon, they were clicked after the last click."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder, ScoredLists
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport, check_training
from gru4rec_cli.models.indexes.rules import count_rules, rule_blocks, strongest
from gru4rec_cli.models.indexes.weights import Weighting, weights_by_step


class Settings(ModelSettings):
    """Settings of sequential rules: how far they reach, and what distance costs."""

    steps: int = Field(10, ge=1, description="greatest distance between the two clicks of a rule; 1: the next click")
    weighting: Weighting = Field(
        "div", description="weight of a rule by its distance d: div 1/d, linear 1 - 0.1 d, quadratic 1/d², log, same 1"
    )
    pruning: int | None = Field(None, ge=1, description="number of strongest rules kept for every item; null: all")


class Model(ArrayModel[Settings]):
    """Sequential rules.

    score_j = Σ over training sessions p, Σ over clicks x < y of p, of [p_x = i] [p_y = j] w(y - x), i the last.

    SR of Ludewig & Jannach (UMUAI 2018), with w(d) = 1/d up to `steps`, without its normalisation, which is the
    same for all j.
    """

    description: ClassVar[str] = (
        f"Items by how often, and how few steps, they were clicked after the last click in training; {FALLBACK}."
    )
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = True

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        order = ItemOrder.by(train.supports())
        farthest = max(int(train.lengths.max()) - 1, 1)
        weights = weights_by_step(self.settings.weighting, min(self.settings.steps, farthest))
        rules = strongest(count_rules(train, after=weights), self.settings.pruning, order)
        self.arrays = {"levels": order.levels, **rules._asdict()}
        return FitReport(facts={"rules": len(rules.items)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from rule_blocks(sessions, ScoredLists.of(self.arrays), self.order)
