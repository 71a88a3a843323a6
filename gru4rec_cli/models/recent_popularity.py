"""Recent popularity: every item by how often the last days of the training data hold it."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import ArrayModel, FitContext, FitReport, check_training
from gru4rec_cli.models.indexes.rules import fixed_order

_MICROSECONDS_PER_DAY = 86_400_000_000


class Settings(ModelSettings):
    """The window."""

    days: float = Field(7.0, gt=0, description="length of the window that ends with the last training event, in days")


class Model(ArrayModel[Settings]):
    """Items by their number of training events in the window, equal ones by their number in all of the training data.

    A popularity that follows fashion (Ji et al., *A Re-visit of the Popularity Baseline*, SIGIR 2020).
    """

    description: ClassVar[str] = (
        "Items by their number of training events in the last days before the test, equal ones by that in all of them."
    )
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        since = train.times.max() - self.settings.days * _MICROSECONDS_PER_DAY
        recent = np.bincount(train.items[train.times > since], minlength=train.n_items)
        supports = train.supports()
        self.arrays = {"levels": ItemOrder.by(recent * (supports.max() + 1) + supports).levels}
        return FitReport(facts={"events_in_the_window": int(recent.sum())})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from fixed_order(sessions, self.order)
