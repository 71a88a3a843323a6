"""Training: one pass over the lanes an epoch, one row-sparse update a step."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.errors import CheckError
from gru4rec_cli.files import hash_file, write_json
from gru4rec_cli.models.gru4rec.lanes import LaneStep, count_events, lane_steps
from gru4rec_cli.models.gru4rec.losses import cross_entropy, logq_correction
from gru4rec_cli.models.gru4rec.negatives import draw_negatives
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, advance, gru_names, initial_parameters, zero_states
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.progress import SILENT, Progress

Curve = list[dict[str, float]]

# A step is many small operations. A second thread gains little on them and, where something else keeps its core busy,
# every operation waits for it; and with one, the weights do not depend on how many cores a machine has.
_THREADS = 1


class Trainer:
    """Parameters, optimiser and data of one training; `step` is the whole algorithm."""

    def __init__(self, train: Sessions, settings: Settings, seed: int) -> None:
        self.train = train
        self.settings = settings
        self.seed = seed
        self.items = torch.from_numpy(train.items.astype(np.int64))
        self.supports = torch.from_numpy(train.supports()).float()
        self.parameters = initial_parameters(train.n_items, settings.layers, seed)
        self.optimizer = Adagrad(self.parameters, settings.learning_rate, settings.momentum)
        # Without extra negatives a single lane has nothing to compare its target with.
        self.min_lanes = 1 if settings.n_sample else 2

    def step(
        self,
        inputs: Tensor,
        targets: Tensor,
        negatives: Tensor,
        states: list[Tensor],
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Learn from one mini-batch: loss, and the hidden states to carry on (never back-propagated through).

        `inputs`, `targets` int64 (lanes,), `negatives` int64 (n_sample,), `states` one (lanes, D_L) a layer.
        """
        settings = self.settings
        columns = torch.cat([targets, negatives])  # (C,) column b is lane b's target
        # Input and output rows are one matrix: one gradient a row, however often the row occurs.
        touched, place = torch.unique(torch.cat([inputs, columns]), return_inverse=True)
        biased, bias_place = torch.unique(columns, return_inverse=True)
        vectors = self.parameters[ITEMS].index_select(0, touched).requires_grad_()  # (touched, D)
        biases = self.parameters[BIAS].index_select(0, biased).requires_grad_()
        dense = gru_names(len(settings.layers))
        gru = {name: self.parameters[name].detach().requires_grad_() for name in dense}

        lanes = len(inputs)
        new_states = advance(
            gru,
            vectors.index_select(0, place[:lanes]),
            states,
            dropout_embed=settings.dropout_p_embed,
            dropout_hidden=settings.dropout_p_hidden,
            generator=generator,
        )
        candidates = vectors.index_select(0, place[lanes:])  # (C, D)
        scores = new_states[-1] @ candidates.T + biases.index_select(0, bias_place)  # (lanes, C)
        if settings.logq > 0:
            scores = scores - logq_correction(
                columns,
                self.supports,
                alpha=settings.sample_alpha,
                strength=settings.logq,
                batch_size=settings.batch_size,
            )
        loss = cross_entropy(scores, batch_size=settings.batch_size)

        gradients = torch.autograd.grad(loss, [vectors, biases, *gru.values()])
        self.optimizer.update_rows(ITEMS, touched, gradients[0])
        self.optimizer.update_rows(BIAS, biased, gradients[1])
        for name, gradient in zip(dense, gradients[2:], strict=True):
            self.optimizer.update(name, gradient)
        return loss.detach(), [state.detach() for state in new_states]

    def epoch(self, number: int, progress: Progress = SILENT) -> float:
        """One pass over the training sessions; the mean loss of an event. Everything random follows from the seed
        and the epoch's number, so a continued training equals an uninterrupted one."""
        settings = self.settings
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, number))
        negatives = draw_negatives(self.supports, settings.sample_alpha, settings.n_sample, generator)
        states: list[Tensor] = zero_states(settings.batch_size, settings.layers)
        total, events = 0.0, 0
        n_events = count_events(self.train, settings.batch_size, min_lanes=self.min_lanes)
        with progress.task(f"epoch {number}/{settings.epochs}", total=n_events, unit="events") as task:
            for count, lane_step in enumerate(self._lanes()):
                rows = torch.from_numpy(lane_step.rows)
                states = carry(states, lane_step)
                loss, states = self.step(self.items[rows], self.items[rows + 1], next(negatives), states, generator)
                total += self._finite(loss.item(), number, count)
                events += len(rows)
                task.advance(len(rows), loss=f"{total * settings.batch_size / events:.4f}")
        if events == 0:
            raise CheckError(
                "GRU4Rec has nothing to learn from: without extra negatives it needs two sessions side by side",
                "set n_sample above 0",
            )
        return total * settings.batch_size / events

    def _lanes(self) -> Iterator[LaneStep]:
        return lane_steps(self.train, self.settings.batch_size, min_lanes=self.min_lanes)

    def _finite(self, loss: float, epoch: int, step: int) -> float:
        if not np.isfinite(loss):
            raise CheckError(
                f"training diverged: the loss is {loss} in epoch {epoch}, step {step + 1}",
                "lower learning_rate or momentum, or raise batch_size",
            )
        return loss

    def run(self, *, progress: Progress = SILENT, checkpoints: Path | None = None) -> Curve:
        """Train to the last epoch, continuing from the newest checkpoint if there is one; the loss of every epoch."""
        curve = self._restore(checkpoints) if checkpoints else []
        with threads(_THREADS):
            for number in range(len(curve) + 1, self.settings.epochs + 1):
                curve.append({"epoch": number, "loss": self.epoch(number, progress)})
                if checkpoints:
                    self._checkpoint(checkpoints, curve)
        return curve

    def _checkpoint(self, folder: Path, curve: Curve) -> None:
        path = folder / f"epoch-{len(curve)}.safetensors"
        save_file(self.parameters | self.optimizer.state(), path)
        write_json(folder / "latest.json", {"file": path.name, "sha256": hash_file(path), "curve": curve})
        for old in folder.glob("epoch-*.safetensors"):
            if old != path:
                old.unlink()

    def _restore(self, folder: Path) -> Curve:
        latest = folder / "latest.json"
        if not latest.exists():
            return []
        described = json.loads(latest.read_text(encoding="utf-8"))
        path = folder / described["file"]
        if not path.exists() or hash_file(path) != described["sha256"]:
            return []  # a damaged checkpoint is not continued from
        state = load_file(path)
        for name, value in self.parameters.items():
            value.copy_(state[name])
        self.optimizer.restore(state)
        curve: Curve = described["curve"]
        return curve


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
