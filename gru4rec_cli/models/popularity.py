"""Popularity: every item by how often the training data holds it, whatever the session."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.indexes.rules import fixed_order
from gru4rec_cli.models.base import ArrayModel, FitReport, ModelSettings
from gru4rec_cli.progress import SILENT, Progress
from gru4rec_cli.scores import CandidateBlock, ItemOrder


class Settings(ModelSettings):
    """Popularity has nothing to set."""


class Model(ArrayModel[Settings]):
    """Items by support, their number of training events: the baseline POP of Hidasi et al. (ICLR 2016)."""

    description: ClassVar[str] = "Items by their number of training events, the same after every history."
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(
        self,
        train: Sessions,
        valid: Sessions | None = None,
        *,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> FitReport:
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels}
        return FitReport()

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from fixed_order(sessions.n_targets, self.order)
