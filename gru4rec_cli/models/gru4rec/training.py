"""Training: one pass over the lanes an epoch, validation if asked for, the best epoch kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.errors import CheckError
from gru4rec_cli.models.gru4rec.checkpoints import Checkpoint, Curve, load_checkpoint, save_checkpoint
from gru4rec_cli.models.gru4rec.lanes import LaneStep, count_events, lane_steps
from gru4rec_cli.models.gru4rec.negatives import draw_negatives
from gru4rec_cli.models.gru4rec.network import Noise, initial_parameters, zero_states
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.stepping import step_gradients, update
from gru4rec_cli.progress import SILENT, Progress

Parameters = dict[str, Tensor]
Validate = Callable[[Parameters], float]

# A step is many small operations. A second thread gains little on them and, where something else keeps its core busy,
# every operation waits for it; and with one, the weights do not depend on how many cores a machine has.
_THREADS = 1


class Trainer:
    """Parameters, optimiser and data of one training.

    `validate` gives the value, higher is better, that decides which epoch is kept; without it the last one is.
    """

    def __init__(self, train: Sessions, settings: Settings, seed: int, validate: Validate | None = None) -> None:
        self.train = train
        self.settings = settings
        self.seed = seed
        self.validate = validate
        self.items = torch.from_numpy(train.items.astype(np.int64))
        self.supports = torch.from_numpy(train.supports()).float()
        self.parameters = initial_parameters(train.n_items, settings, seed)
        self.optimizer = Adagrad(self.parameters, settings.learning_rate, settings.momentum)
        self.best: Parameters = {}  # weights of the best epoch so far, with `validate`
        self.curve: Curve = []
        # Without extra negatives a single lane has nothing to compare its target with.
        self.min_lanes = 1 if settings.n_sample else 2

    def run(self, *, progress: Progress = SILENT, checkpoints: Path | None = None) -> Parameters:
        """Train, continuing from the newest checkpoint if there is one; the weights of the epoch that is kept."""
        if checkpoints and (checkpoint := load_checkpoint(checkpoints)):
            self._restore(checkpoint)
        with threads(_THREADS):
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
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, number))
        negatives = draw_negatives(self.supports, settings.sample_alpha, settings.n_sample, generator)
        noise = partial(torch.rand, generator=generator)
        states = zero_states(settings.batch_size, settings)
        total, events = 0.0, 0
        n_events = count_events(self.train, settings.batch_size, min_lanes=self.min_lanes)
        with progress.task(f"epoch {number}/{settings.epochs}", total=n_events, unit="events") as task:
            for count, lanes in enumerate(self.lanes(), start=1):
                rows = torch.from_numpy(lanes.rows)
                states = carry(states, lanes)
                loss, states = self.step(self.items[rows], self.items[rows + 1], next(negatives), states, noise)
                total += loss
                if not np.isfinite(total):
                    raise _diverged(f"the loss is {loss} in epoch {number}, step {count}", number)
                events += len(rows)
                task.advance(len(rows), loss=f"{total * settings.batch_size / events:.4f}")
        if events == 0:
            raise CheckError(
                "GRU4Rec has nothing to learn from: without extra negatives it needs two sessions side by side",
                "set n_sample above 0",
            )
        return total * settings.batch_size / events

    def lanes(self) -> Iterator[LaneStep]:
        """The mini-batches of an epoch."""
        return lane_steps(self.train, self.settings.batch_size, min_lanes=self.min_lanes)

    def step(
        self,
        inputs: Tensor,
        targets: Tensor,
        negatives: Tensor,
        states: list[Tensor],
        noise: Noise | None = None,
    ) -> tuple[float, list[Tensor]]:
        """Learn from one mini-batch; its loss and the states to carry on. Shapes as in `step_gradients`."""
        gradients = step_gradients(
            self.parameters, self.supports, self.settings, inputs, targets, negatives, states, noise
        )
        update(self.optimizer, gradients)
        return gradients.loss.item(), gradients.states

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


def _diverged(what: str, epoch: int) -> CheckError:
    kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
    return CheckError(
        f"training diverged: {what}{kept}",
        "lower learning_rate or momentum, or raise batch_size",
    )


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute on `count` threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def epoch_seed(seed: int, epoch: int) -> int:
    """An independent seed for every epoch of every seed."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def carry(states: list[Tensor], step: LaneStep) -> list[Tensor]:
    """Hidden states for the lanes of `step`: removed lanes gone, lanes that begin a session at zero."""
    width = len(step.rows)
    if step.kept is not None:
        kept = torch.from_numpy(step.kept)
        states = [state.index_select(0, kept) for state in states]
    else:
        states = [state[:width] for state in states]
    if step.starts.any():
        begins = torch.from_numpy(step.starts)[:, None]
        states = [state.masked_fill(begins, 0.0) for state in states]
    return states
