"""A training that takes the accelerators' steps, wherever it runs."""

from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.models.gru4rec.training import Trainer


class ByTensors(Trainer):
    """Trains on the CPU as it would on an accelerator; can be interrupted before an epoch."""

    _learn_on_cpu = Trainer._learn_on_device
    stop_before = 0

    def epoch(self, number: int, progress: Progress = SILENT) -> float:
        if number == self.stop_before:
            raise KeyboardInterrupt
        return super().epoch(number, progress)
