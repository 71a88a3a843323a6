"""Which step trains GRU4Rec, and what the settings refuse."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec import training as module
from gru4rec_cli.models.gru4rec.step import TorchStep
from gru4rec_cli.models.gru4rec.training import Training, kind_of_step
from tests.worlds import random_sessions, sessions_of

CPU = torch.device("cpu")
TRAIN = random_sessions(30, 60, seed=1)


def kind(device: torch.device = CPU, **settings: Any) -> str:
    return kind_of_step(Settings(**settings), TRAIN, device)


def test_a_long_training_is_compiled_and_a_short_one_is_not(monkeypatch: pytest.MonkeyPatch):
    # Every step reads 2 x 8 + 4 item vectors of 5 numbers.
    small: dict[str, Any] = {"layers": (5,), "epochs": 3, "batch_size": 8, "n_sample": 4}
    numbers = 3 * TRAIN.n_targets / 8 * (2 * 8 + 4) * 5
    for least, expected in ((numbers, "compiled"), (numbers + 1, "torch")):
        monkeypatch.setattr(module, "LONG", least)
        assert kind(**small) == expected
        assert kind(**small, step="torch") == "torch"
        assert kind(**small, step="compiled") == "compiled"
    monkeypatch.setattr(module, "LONG", 0)
    assert kind(torch.device("cuda"), **small) == "torch"


def test_a_loss_without_a_compiled_form_trains_by_the_torch_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LONG", 0)
    monkeypatch.setattr(module, "COMPILED_LOSSES", ("bpr-max",))
    training = Training(TRAIN, Settings(layers=(4,), batch_size=8, n_sample=4), seed=1)
    assert isinstance(training.step, TorchStep)


def test_a_published_training_is_compiled():
    clicks = random_sessions(30, 20_000, seed=1)
    assert kind_of_step(Settings(), clicks, CPU) == "compiled"


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_the_compiled_step_is_for_the_cpu(device: str):
    with pytest.raises(ValidationError, match=rf"step: compiled runs on the CPU only, but the device is {device}"):
        Settings(step="compiled", device=device)


def test_a_strong_logq_correction_is_computed_with_logarithms(monkeypatch: pytest.MonkeyPatch):
    """Fault 11: as weights of the softmax, such corrections round to 0, so the torch step takes them."""
    monkeypatch.setattr(module, "LONG", 0)
    frequent = sessions_of([[0, 1]] * 1000, 2)  # log 1,000 = 6.9
    assert kind_of_step(Settings(logq=2.8), frequent, CPU) == "compiled"
    assert kind_of_step(Settings(logq=3.0), frequent, CPU) == "torch"
    with pytest.raises(UsageError, match=r"logq: 3 is too strong for step: compiled.*e\^-21") as error:
        kind_of_step(Settings(logq=3.0, step="compiled"), frequent, CPU)
    assert "set step: torch" in error.value.hint


@pytest.mark.parametrize("logq", [30.0, 50.0, 1000.0])
def test_a_training_with_a_strong_logq_correction_is_finite(logq: float):
    """Fault 11: 50 gave NaN at the first step."""
    training = Training(TRAIN, Settings(layers=(4,), batch_size=8, n_sample=4, logq=logq), seed=1)
    losses = [loss for learned in training.epoch(1) for loss in learned.losses]
    assert np.isfinite(losses).all()
    assert all(value.isfinite().all() for value in training.parameters().values())
