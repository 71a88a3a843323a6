"""Training of any neural model: epochs, validation, the best epoch, checkpoints, divergence."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base import compile_clock, measuring
from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.models.neural.checkpoints import Checkpoint, Curve, load_checkpoint, save_checkpoint
from gru4rec_cli.models.neural.divergence import advice_on
from gru4rec_cli.models.neural.sampling import epoch_seed
from gru4rec_cli.models.neural.settings import NeuralSettings

_log = logging.getLogger(__name__)

Parameters = dict[str, Tensor]
Validate = Callable[[Parameters], float]


class Learned(NamedTuple):
    """Consecutive training steps."""

    losses: list[float]  # of each step, summed over its events
    events: int  # that these steps learned from


class Learner(Protocol):
    """A training that a trainer carries out: parameters, and how an epoch changes them."""

    n_events: int  # events that an epoch learns from
    device: torch.device

    def epoch(self, seed: int) -> Iterator[Learned]:
        """Take every step of one pass over the training sessions; everything random follows from `seed`."""

    def parameters(self) -> Parameters:
        """Return the parameters on the CPU; they may share memory with those that are trained."""

    def state(self) -> Parameters:
        """Return all that a continued training needs, parameters included, on the CPU."""

    def restore(self, state: Parameters) -> None:
        """Go on from what `state` returned."""


class Trainer:
    """Trains a learner for the epochs of its settings.

    `validate` returns the value, higher is better, that decides which epoch is kept. Without it the last one is.
    `watch` is told the number and the value of every validated epoch, and may raise to end the training.
    """

    def __init__(
        self,
        learner: Learner,
        settings: NeuralSettings,
        seed: int,
        validate: Validate | None = None,
        watch: Callable[[int, float], None] | None = None,
    ) -> None:
        self.learner = learner
        self.settings = settings
        self.seed = seed
        self.validate = validate
        self.watch = watch
        self.best: Parameters = {}  # of the best epoch so far, where epochs are validated
        self.curve: Curve = []

    def run(self, *, progress: Progress = SILENT, checkpoints: Path | None = None) -> Parameters:
        """Train, from the newest checkpoint on if there is one, and return the parameters of the epoch that is kept.

        Raises:
            CheckError: the training diverged, or there was nothing to learn from.
        """
        if checkpoints and (checkpoint := load_checkpoint(checkpoints)):
            self._restore(checkpoint)
            measuring.count_earlier(checkpoint.cost)
            _log.info("training goes on after epoch %d of %d", len(self.curve), self.settings.epochs)
        while len(self.curve) < self.settings.epochs and not self._stops_early():
            start, compiled_before = time.perf_counter(), compile_clock.seconds()
            self._learn(len(self.curve) + 1, progress)
            seconds = time.perf_counter() - start - (compile_clock.seconds() - compiled_before)
            progress.note(self._epoch_line(seconds))
            if checkpoints:
                state = self.learner.state() | self._best()
                save_checkpoint(checkpoints, Checkpoint(state, self.curve, measuring.cost_so_far()))
        return self.best or self.learner.parameters()

    @property
    def kept_epoch(self) -> int:
        """The epoch whose parameters `run` returns."""
        if not self.best:
            return len(self.curve)
        return 1 + int(np.argmax([row[self._valid_key] for row in self.curve]))

    def epoch(self, number: int, progress: Progress = SILENT) -> float:
        """Take one pass over the training sessions and return the mean loss of an event.

        Everything random follows from the seed and the epoch's number, so that a continued training equals an
        uninterrupted one.
        """
        total, events, steps = 0.0, 0, 0
        name = f"epoch {number}/{self.settings.epochs}"
        with progress.task(name, total=self.learner.n_events, unit="events") as task:
            task.leave_no_line()  # `run` leaves one, with the validation
            for learned in self.learner.epoch(epoch_seed(self.seed, number)):
                for loss in learned.losses:
                    total += loss
                    steps += 1
                    if not np.isfinite(total):
                        raise self._diverged(f"the loss is {loss} in epoch {number}, step {steps}", number)
                events += learned.events
                task.advance(learned.events, loss=f"{total / events:.4f}")
        if events == 0:
            raise CheckError(
                "there is nothing to learn from: a step needs at least one negative", "set n_sample above 0"
            )
        return total / events

    def _epoch_line(self, seconds: float) -> str:
        """Return the last epoch in words: its loss, its validation metric, its time without compiling."""
        row = dict(self.curve[-1])
        number = f"epoch {row.pop('epoch')}/{self.settings.epochs}"
        return f"{number}: {', '.join(f'{name} {value:.4f}' for name, value in row.items())}, {seconds:.1f} s"

    def _learn(self, number: int, progress: Progress) -> None:
        row = {"epoch": number, "loss": self.epoch(number, progress)}
        parameters = self.learner.parameters()
        if not all(torch.isfinite(value).all() for value in parameters.values()):
            what = f"weights are not finite after epoch {number}, with a mean loss of {row['loss']:.4g}"
            raise self._diverged(what, number)
        if self.validate:
            row[self._valid_key] = self.validate(parameters)
            if all(row[self._valid_key] > earlier[self._valid_key] for earlier in self.curve):
                self.best = {name: value.clone() for name, value in parameters.items()}
        self.curve.append(row)
        if self.validate and self.watch:
            self.watch(number, row[self._valid_key])

    @property
    def _valid_key(self) -> str:
        return f"valid_{self.settings.validate_on}"

    def _stops_early(self) -> bool:
        patience = self.settings.patience
        return bool(patience and self.best and len(self.curve) - self.kept_epoch >= patience)

    def _best(self) -> Parameters:
        return {f"best.{name}": value for name, value in self.best.items()}

    def _diverged(self, what: str, epoch: int) -> CheckError:
        kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
        return CheckError(f"training diverged: {what}{kept}", advice_on(self.settings))

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.tensors
        self.best = {name.removeprefix("best."): value for name, value in state.items() if name.startswith("best.")}
        self.learner.restore({name: value for name, value in state.items() if not name.startswith("best.")})
        self.curve = checkpoint.curve
