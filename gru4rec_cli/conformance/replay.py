"""A recorded run through our own implementation, with the recorded weights, negatives and noise."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.conformance.recording import Recording, Trace
from gru4rec_cli.errors import DataError
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.network import Noise, zero_states
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.training import Trainer, carry, threads


def replay(recording: Recording) -> Trace:
    """Train and score exactly as a user's training would, but for what was drawn at random."""
    settings = recording.settings
    trainer = Trainer(recording.train, settings, seed=0)
    for name, value in trainer.parameters.items():
        value.copy_(torch.from_numpy(recording.weights("init")[name]).reshape(value.shape))
    losses: list[float] = []
    batches: list[tuple[list[int], list[int]]] = []
    with threads(1):
        for _ in range(settings.epochs):
            states = zero_states(settings.batch_size, settings)
            for lanes in trainer.lanes():
                step = len(losses)
                if step == recording.n_steps:
                    return Trace([*losses, float("nan")], batches)  # more steps than recorded: told as a deviation
                rows = torch.from_numpy(lanes.rows)
                inputs, targets = trainer.items[rows], trainer.items[rows + 1]
                negatives, noise = torch.from_numpy(recording.negatives(step)), recorded_noise(recording, step)
                loss, states = trainer.step(inputs, targets, negatives, carry(states, lanes), noise)
                losses.append(loss)
                batches.append((inputs.tolist(), targets.tolist()))
        model = Model(settings, seed=0)
        model.parameters = trainer.parameters
        scores = np.concatenate([block.scores for block in model.score(recording.test)])
    weights = {name: value.numpy() for name, value in trainer.parameters.items()}
    return Trace(losses, batches, weights, scores)


def dropout_places(settings: Settings) -> list[tuple[str, float]]:
    """Where a step draws noise, in order: name and rate of every dropout that drops."""
    first = 1 if settings.embedding == "none" else 0
    hidden = [(f"hidden.{layer}", settings.dropout_p_hidden) for layer in range(first, len(settings.layers))]
    return [(name, rate) for name, rate in [("embed", settings.dropout_p_embed), *hidden] if rate > 0]


def recorded_noise(recording: Recording, step: int) -> Noise | None:
    """The noise of a step, given out in the order in which the step asks for it."""
    places = dropout_places(recording.settings)
    if not places:
        return None

    def in_order() -> Iterator[Tensor]:
        for name, _ in places:
            noise = recording.noise(step, name)
            if noise is None:
                raise DataError(f"{recording.name} has dropout but no recorded noise step/noise.{name}")
            yield torch.from_numpy(noise)

    drawn = in_order()
    return lambda shape: next(drawn)[: shape[0]]
