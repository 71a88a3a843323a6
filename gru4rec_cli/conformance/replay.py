"""A recorded run through our own implementation, with the recorded weights, negatives and noise."""

from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.conformance.recording import Recording, Trace
from gru4rec_cli.models.gru4rec.dropout import masks_of
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.training import Trainer


def replay(recording: Recording) -> Trace:
    """Train and score exactly as a user's training would, but for what was drawn at random."""
    settings = recording.settings
    trainer = Trainer(recording.train, settings, seed=0)
    for name, value in trainer.parameters.items():
        value.copy_(torch.from_numpy(recording.weights("init")[name]).reshape(value.shape))
    losses: list[float] = []
    batches: list[tuple[list[int], list[int]]] = []
    with torch_threads(1):
        for _ in range(settings.epochs):
            trainer.stepper.begin()
            for lanes in trainer.lanes():
                step = len(losses)
                if step == recording.n_steps:
                    return Trace([*losses, float("nan")], batches)  # more steps than recorded: told as a deviation
                inputs, targets = trainer.train.items[lanes.rows], trainer.train.items[lanes.rows + 1]
                negatives = recording.negatives(step).astype(np.int64)
                masks = masks_of(settings, partial(_recorded_noise, recording, step, len(inputs)))
                losses += trainer.learn(
                    trainer.assembler.chunk(trainer.train.items, lanes.alone(), negatives[None, :], masks)
                )
                batches.append((inputs.tolist(), targets.tolist()))
        model = Model(settings)
        model.parameters = trainer.parameters
        scores = np.concatenate([block.scores for block in model.score(recording.test)])
    weights = {name: value.numpy() for name, value in trainer.parameters.items()}
    return Trace(losses, batches, weights, scores)


def _recorded_noise(recording: Recording, step: int, lanes: int, name: str, units: int) -> npt.NDArray[np.float32]:
    noise = recording.noise(step, name)
    if noise is None:
        raise DataError(f"{recording.name} has dropout but no recorded noise step/noise.{name}")
    return noise[None, :lanes]
