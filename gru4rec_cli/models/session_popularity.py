"""Session popularity: the items of the session so far, by how often they were clicked in it."""

from collections.abc import Iterator
from typing import ClassVar

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport, check_training, check_vocabulary
from gru4rec_cli.models.indexes.histories import Histories

_EVENTS_AT_ONCE = 1 << 14


class Settings(ModelSettings):
    """Session popularity has nothing to set."""


class Model(ArrayModel[Settings]):
    """Session popularity: score_j = number of clicks on j in the session so far (S-POP of Hidasi et al., ICLR 2016)."""

    description: ClassVar[str] = f"The items of the session so far by their number of clicks in it; {FALLBACK}."
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels}
        return FitReport()

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        check_vocabulary(sessions, len(self.order))
        from gru4rec_cli.models.indexes.history_loops import count_clicks

        for start, histories in Histories.of(sessions).blocks(_EVENTS_AT_ONCE):
            yield CandidateBlock.of(start, count_clicks(histories, len(self.order)), self.order)
