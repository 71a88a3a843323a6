"""Popularity: every item by how often the training data holds it, whatever the session."""

from collections.abc import Iterator
from typing import ClassVar

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import ArrayModel, FitContext, FitReport, check_training
from gru4rec_cli.models.indexes.rules import fixed_order


class Settings(ModelSettings):
    """Popularity has nothing to set."""


class Model(ArrayModel[Settings]):
    """Items by support, their number of training events: the baseline POP of Hidasi et al. (ICLR 2016)."""

    description: ClassVar[str] = "Items by their number of training events, the same after every history."
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels}
        return FitReport()

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from fixed_order(sessions, self.order)
