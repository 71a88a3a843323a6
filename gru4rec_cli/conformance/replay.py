"""A recorded run through our own implementation, with the recorded weights, negatives and noise."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.conformance.recording import Recording, Trace
from gru4rec_cli.models.gru4rec.batches import Draws, MiniBatches, min_slots, mini_batches, walk_sessions
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.network import dropout_places
from gru4rec_cli.models.gru4rec.step import TorchStep
from gru4rec_cli.models.neural.sampling import mask_of

if TYPE_CHECKING:
    from gru4rec_cli.models.gru4rec.compiled import CompiledStep

StepKind = Literal["torch", "compiled"]


def replay(recording: Recording, kind: StepKind = "torch") -> Trace:
    """Train and score as a user's training does, by one kind of step, with what was recorded for everything random."""
    settings, train = recording.settings, recording.train
    step = _step(recording, kind)
    losses: list[float] = []
    seen: list[tuple[list[int], list[int]]] = []
    with torch_threads(1):
        for _ in range(settings.epochs):
            step.begin(min(settings.batch_size, train.n_sessions))
            for batches in _recorded_batches(recording, len(losses)):
                seen += [
                    (train.items[slots.rows].tolist(), train.items[slots.rows + 1].tolist()) for slots in batches.walk
                ]
                losses += step.learn(batches)
            if len(losses) > recording.n_steps:
                return Trace(losses, seen)  # more steps than recorded: reported as a deviation
        model = Model(settings)
        model.parameters = step.parameters()
        scores = np.concatenate([block.dense() for block in model.score(recording.test)])
    return Trace(losses, seen, {name: value.numpy() for name, value in step.parameters().items()}, scores)


def _step(recording: Recording, kind: StepKind) -> "TorchStep | CompiledStep":
    """Return the step with the recorded initial weights."""
    weights = {name: torch.from_numpy(value.copy()) for name, value in recording.weights("init").items()}
    if kind == "compiled":
        from gru4rec_cli.models.gru4rec.compiled import CompiledStep

        return CompiledStep(weights, recording.train.supports(), recording.settings)
    return TorchStep(weights, recording.train.supports(), recording.settings)


def _recorded_batches(recording: Recording, done: int) -> Iterator[MiniBatches]:
    """Yield the mini-batches of one epoch with what was drawn from step `done` on."""
    settings, first = recording.settings, done

    def draw(steps: int, slots: int) -> Draws:
        nonlocal first
        numbers = [min(first + step, recording.n_steps - 1) for step in range(steps)]
        first += steps
        negatives = np.stack([recording.negatives(number) for number in numbers])
        masks = {}
        for name, (rate, _) in dropout_places(settings).items():
            noise = recording.arrays.get(f"step/noise.{name}")
            if noise is None:
                raise DataError(f"{recording.name} has dropout but no recorded noise step/noise.{name}")
            masks[name] = mask_of(noise[numbers, :slots], rate)
        return negatives, masks

    walks = walk_sessions(recording.train.offsets, settings.batch_size, min_slots(settings))
    return mini_batches(recording.train, walks, draw)
