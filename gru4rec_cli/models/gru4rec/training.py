"""Training: one pass over the lanes an epoch, validation if asked for, the best epoch kept."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.threads import ahead, training_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec.accelerated.epoch import DeviceTraining
from gru4rec_cli.models.gru4rec.checkpoints import Checkpoint, Curve, load_checkpoint, save_checkpoint
from gru4rec_cli.models.gru4rec.devices import find_device
from gru4rec_cli.models.gru4rec.dropout import masks_of
from gru4rec_cli.models.gru4rec.lanes import LaneStep, count_events, lane_chunks, lane_steps
from gru4rec_cli.models.gru4rec.minibatch import Assembler, MiniBatches
from gru4rec_cli.models.gru4rec.negatives import NegativeSampler
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.stepping import Stepper

_log = logging.getLogger(__name__)

Parameters = dict[str, Tensor]
Validate = Callable[[Parameters], float]


class Trainer:
    """Parameters, optimiser and data of one training.

    `validate` gives the value, higher is better, that decides which epoch is kept; without it the last one is.
    `n_threads` share each step; by default as many as `training_threads` says.
    """

    def __init__(
        self,
        train: Sessions,
        settings: Settings,
        seed: int,
        validate: Validate | None = None,
        *,
        n_threads: int | None = None,
    ) -> None:
        self.train = train
        self.settings = settings
        self.seed = seed
        self.validate = validate
        self.n_threads = n_threads or training_threads()
        self.stepper = Stepper(initial_parameters(train.n_items, settings, seed), settings, self.n_threads)
        self.parameters, self.optimizer = self.stepper.parameters, self.stepper.optimizer
        self.assembler = Assembler(train.supports(), settings)
        self.sampler = NegativeSampler(train.supports(), settings.sample_alpha)
        self.best: Parameters = {}  # weights of the best epoch so far, with `validate`
        self.curve: Curve = []
        # Without extra negatives a single lane has nothing to compare its target with.
        self.min_lanes = 1 if settings.n_sample else 2
        self.device = find_device(settings.device)
        self._on_device: DeviceTraining | None = None

    def run(self, *, progress: Progress = SILENT, checkpoints: Path | None = None) -> Parameters:
        """Train, continuing from the newest checkpoint if there is one; the weights of the epoch that is kept."""
        if checkpoints and (checkpoint := load_checkpoint(checkpoints)):
            self._restore(checkpoint)
            _log.info("training goes on after epoch %d of %d", len(self.curve), self.settings.epochs)
        while len(self.curve) < self.settings.epochs and not self._stops_early():
            self._learn(len(self.curve) + 1, progress)
            if checkpoints:
                save_checkpoint(checkpoints, Checkpoint(self._state(), self.curve))
        return self.best or self.parameters

    def _learn(self, number: int, progress: Progress) -> None:
        row = {"epoch": number, "loss": self.epoch(number, progress)}
        if not all(torch.isfinite(value).all() for value in self.parameters.values()):
            raise _diverged(
                f"weights are not finite after epoch {number}, with a mean loss of {row['loss']:.4g}", number
            )
        if self.validate and self.settings.validate_on:
            row[self._valid_key] = self.validate(self.parameters)
            if all(row[self._valid_key] > earlier[self._valid_key] for earlier in self.curve):
                self.best = {name: value.clone() for name, value in self.parameters.items()}
        self.curve.append(row)

    @property
    def _valid_key(self) -> str:
        return f"valid_{self.settings.validate_on}"

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights `run` returns."""
        if not self.best:
            return len(self.curve)
        return 1 + int(np.argmax([row[self._valid_key] for row in self.curve]))

    def _stops_early(self) -> bool:
        patience = self.settings.patience
        return bool(patience and self.best and len(self.curve) - self.kept_epoch >= patience)

    def epoch(self, number: int, progress: Progress = SILENT) -> float:
        """One pass over the training sessions; the mean loss of an event. Everything random follows from the seed
        and the epoch's number, so a continued training equals an uninterrupted one."""
        settings = self.settings
        total, events, steps = 0.0, 0, 0
        n_events = count_events(self.train, settings.batch_size, min_lanes=self.min_lanes)
        with progress.task(f"epoch {number}/{settings.epochs}", total=n_events, unit="events") as task:
            learn = self._learn_on_cpu if self.device.type == "cpu" else self._learn_on_device
            for losses, shown in learn(number):
                for loss in losses:
                    total += loss
                    steps += 1
                    if not np.isfinite(total):
                        raise _diverged(f"the loss is {loss} in epoch {number}, step {steps}", number)
                events += shown
                task.advance(shown, loss=f"{total * settings.batch_size / events:.4f}")
        if events == 0:
            raise CheckError(
                "GRU4Rec has nothing to learn from: without extra negatives it needs two sessions side by side",
                "set n_sample above 0",
            )
        return total * settings.batch_size / events

    def _learn_on_cpu(self, number: int) -> Iterator[tuple[list[float], int]]:
        """The losses of an epoch's steps, a chunk at a time, and how many events a chunk shows."""
        self.stepper.begin()
        for batches in ahead(self._chunks(number)):
            yield self.learn(batches), int(batches.lanes.widths.sum())

    def _learn_on_device(self, number: int) -> Iterator[tuple[list[float], int]]:
        """The same on an accelerator, where a chunk's steps have all been taken when their losses are told."""
        if self._on_device is None:
            self._on_device = DeviceTraining(self.train, self.settings, self.parameters, self.optimizer, self.device)
        return self._on_device.epoch(epoch_seed(self.seed, number), self.min_lanes)

    def _chunks(self, number: int) -> Iterator[MiniBatches]:
        """The steps of an epoch with all that they draw, some at a time."""
        settings = self.settings
        generator = np.random.Generator(np.random.PCG64(epoch_seed(self.seed, number)))
        for lanes in lane_chunks(self.train, settings.batch_size, min_lanes=self.min_lanes):
            steps, width = lanes.rows.shape
            negatives = self.sampler.draw(generator, steps, settings.n_sample)
            masks = masks_of(settings, partial(_noise, generator, steps, width))
            yield self.assembler.chunk(self.train.items, lanes, negatives, masks)

    def lanes(self) -> Iterator[LaneStep]:
        """The lanes of an epoch, step by step."""
        return lane_steps(self.train, self.settings.batch_size, min_lanes=self.min_lanes)

    def learn(self, batches: MiniBatches) -> list[float]:
        """Learn from mini-batches one after the other; their losses."""
        losses: list[float] = self.stepper.learn(batches).tolist()
        return losses

    def _state(self) -> Parameters:
        best = {f"best.{name}": value for name, value in self.best.items()}
        return self.parameters | self.optimizer.state() | best

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.tensors
        for name, value in self.parameters.items():
            value.copy_(state[name])
        self.optimizer.restore(state)
        self.best = {name: state[f"best.{name}"] for name in self.parameters if f"best.{name}" in state}
        self.curve = checkpoint.curve


def _noise(generator: np.random.Generator, steps: int, width: int, name: str, units: int) -> npt.NDArray[np.float32]:
    return generator.random((steps, width, units), dtype=np.float32)


def _diverged(what: str, epoch: int) -> CheckError:
    kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
    return CheckError(
        f"training diverged: {what}{kept}",
        "lower learning_rate or momentum, or raise batch_size",
    )


def epoch_seed(seed: int, epoch: int) -> int:
    """An independent seed for every epoch of every seed."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
