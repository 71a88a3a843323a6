"""What the author's implementation computed, replayed by the training for accelerators, on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gru4rec_cli.conformance.recording import Recording, read_recording
from gru4rec_cli.models.gru4rec.accelerated.epoch import DeviceTraining
from gru4rec_cli.models.gru4rec.accelerated.schedule import Drawing
from gru4rec_cli.models.gru4rec.dropout import masks_of
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.optimizer import Adagrad

GOLDEN = Path(__file__).parents[3] / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 3e-5, 4.2e-5  # as for the step by hand, in test_gru4rec_golden.py


class Recorded(Drawing):
    """Draws what the author's implementation drew."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.done = 0

    def begin(self, seed: int) -> None: ...

    def draw(self, steps: int) -> dict[str, Tensor]:
        arrays, settings = self.recording.arrays, self.recording.settings
        these = slice(self.done, self.done + steps)
        self.done += steps
        negatives = np.stack([self.recording.negatives(step) for step in range(these.start, these.stop)])
        masks = masks_of(settings, lambda place, units: arrays[f"step/noise.{place}"][these])
        return {"negatives": torch.from_numpy(negatives)} | masks


@pytest.mark.parametrize("case", CASES)
def test_training_replays_step_by_step(case: str):
    recording = read_recording(GOLDEN / case)
    settings, train = recording.settings, recording.train
    parameters = initial_parameters(train.n_items, settings, seed=0)
    for name, value in parameters.items():
        value.copy_(torch.from_numpy(recording.weights("init")[name]).reshape(value.shape))
    optimizer = Adagrad(parameters, settings.learning_rate, settings.momentum)
    training = DeviceTraining(train, settings, parameters, optimizer, torch.device("cpu"))
    training.drawing = Recorded(recording)
    losses: list[float] = []
    for _ in range(settings.epochs):
        for found, _ in training.epoch(0, min_lanes=1 if settings.n_sample else 2):
            losses += found
    np.testing.assert_allclose(losses, recording.arrays["step/loss"], rtol=LOSS_TOLERANCE)
    expected = recording.weights("final")
    assert set(parameters) == set(expected)
    for name, value in parameters.items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=0, atol=WEIGHT_TOLERANCE, err_msg=name)


def test_every_case_has_narrow_batches():
    widths = {case: read_recording(GOLDEN / case).arrays["step/n_valid"] for case in CASES}
    assert all(width.min() < width.max() for width in widths.values())
