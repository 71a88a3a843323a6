"""A pass over the training sessions on a device."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gru4rec_cli.base.threads import ahead
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec.accelerated.replaying import Replayed
from gru4rec_cli.models.gru4rec.accelerated.schedule import Drawing, empty_chunk, padded
from gru4rec_cli.models.gru4rec.accelerated.step import TensorStep
from gru4rec_cli.models.gru4rec.accelerated.tables import Tables
from gru4rec_cli.models.gru4rec.lanes import STEPS_AT_ONCE, lane_chunks
from gru4rec_cli.models.gru4rec.negatives import NegativeSampler
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings


class DeviceTraining:
    """Trains the parameters that `optimizer` moves on `device`; between epochs they lie on the CPU, up to date.

    So whatever is done between epochs – checkpoints, validation, keeping the best – does not know of the device.
    """

    def __init__(
        self,
        train: Sessions,
        settings: Settings,
        parameters: dict[str, Tensor],
        optimizer: Adagrad,
        device: torch.device,
    ) -> None:
        self.train = train
        self.settings = settings
        self.tables = Tables(parameters, optimizer, settings, device)
        self.step = TensorStep(self.tables, train.supports(), settings)
        self.drawing = Drawing(NegativeSampler(train.supports(), settings.sample_alpha), settings, device)
        # The step finds its inputs by a counter on the device and leaves its loss there.
        self._chunk = empty_chunk(STEPS_AT_ONCE, settings, device)
        self._number = torch.zeros(1, dtype=torch.int64, device=device)
        self._losses = torch.zeros(STEPS_AT_ONCE, device=device)
        self._next = Replayed(self._advance, device) if device.type == "cuda" else self._advance

    def epoch(self, seed: int, min_lanes: int) -> Iterator[tuple[list[float], int]]:
        """Learn a chunk of steps at a time; after each, the loss of every step and how many events they showed."""
        self.tables.upload()
        self.drawing.begin(seed)
        for planned in ahead(self._planned(min_lanes)):
            widths = planned["width"]
            steps = len(widths)
            self._chunk.fill(planned | self.drawing.draw(steps))
            self._number.zero_()
            for _ in range(steps):
                self._next()
            yield self._losses[:steps].tolist(), int(widths.sum())  # here the CPU waits for the device
        self.tables.download()

    def _planned(self, min_lanes: int) -> Iterator[dict[str, Tensor]]:
        """What chance does not decide."""
        for chunk in lane_chunks(self.train, self.settings.batch_size, min_lanes=min_lanes):
            yield padded(chunk, self.train.items, self.settings.batch_size, padding=self.train.n_items)

    def _advance(self) -> None:
        """The step that comes next in the chunk."""
        loss = self.step.learn(self._chunk.at(self._number))
        self._losses[self._number] = loss.view(1)
        self._number.add_(1)
