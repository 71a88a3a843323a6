"""Session popularity: the items of the session so far, by how often they were clicked in it."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitContext, FitReport

_EVENTS_AT_ONCE = 1 << 14


class Settings(ModelSettings):
    """Session popularity has nothing to set."""


class Model(ArrayModel[Settings]):
    """score_j = number of clicks on j in the session so far: the baseline S-POP of Hidasi et al. (ICLR 2016)."""

    description: ClassVar[str] = f"The items of the session so far by their number of clicks in it; {FALLBACK}."
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels}
        return FitReport()

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        from gru4rec_cli.models.indexes.history_loops import count_history

        rows = sessions.input_rows()
        starts = sessions.offsets[sessions.event_sessions()]
        for start in range(0, len(rows), _EVENTS_AT_ONCE):
            events = slice(start, start + _EVENTS_AT_ONCE)
            offsets, items, counts = count_history(sessions.items, starts[events], rows[events], len(self.order))
            yield CandidateBlock(start, np.arange(len(offsets) - 1), offsets, items, counts, self.order)
