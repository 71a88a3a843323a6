"""A training of GRU4Rec under the trainer, which can be interrupted before an epoch."""

from typing import Any

from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.neural.trainer import Trainer


class Stopping(Trainer):
    """Is interrupted before the epoch `stop_before`, if that is not 0; `begun` are the epochs that were begun."""

    stop_before = 0

    def __init__(self, train: Sessions, settings: Settings, seed: int, validate: Any = None) -> None:
        super().__init__(Training(train, settings, seed), settings, seed, validate)
        self.begun: list[int] = []

    def epoch(self, number: int, progress: Progress = SILENT) -> float:
        self.begun.append(number)
        if number == self.stop_before:
            raise KeyboardInterrupt
        return super().epoch(number, progress)
