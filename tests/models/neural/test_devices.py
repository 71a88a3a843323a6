"""Which device a setting names, and what is said where there is none."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gru4rec_cli.base.errors import ConfigError, UsageError
from gru4rec_cli.base.files import read_json
from gru4rec_cli.models import registry
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, STAGES, write_config
from tests.worlds import chain, random_sessions


def machine(monkeypatch: pytest.MonkeyPatch, *, gpus: int, mps: bool = False) -> None:
    """Let torch see so many devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def with_device(folder: Path, device: str) -> Path:
    gru4rec = {**SMALL["train"]["models"]["gru4rec"], "device": device}
    return write_config(folder, {**SMALL, "train": {"models": {"gru4rec": gru4rec}}})


@pytest.mark.parametrize(
    ("gpus", "mps", "name", "found"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "cpu"),
        (2, True, "auto", "cuda:0"),
        (2, False, "cpu", "cpu"),
        (2, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_a_name_is_a_device(monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, name: str, found: str):
    machine(monkeypatch, gpus=gpus, mps=mps)
    assert str(find_device(name)) == found


@pytest.mark.parametrize(
    ("gpus", "name", "why"),
    [
        (0, "cuda", r"torch \S+ finds no CUDA device on this machine"),
        (0, "cuda:0", r"torch \S+ finds no CUDA device on this machine"),
        (2, "cuda:7", r"this machine has 2 CUDA device\(s\), the last is cuda:1"),
        (2, "mps", "this machine has no Apple GPU that torch can use"),
    ],
)
def test_a_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, gpus: int, name: str, why: str):
    machine(monkeypatch, gpus=gpus)
    with pytest.raises(UsageError, match=rf"^device: {name} cannot be used: {why}$") as caught:
        Training(chain(), Settings(device=name), seed=1)
    assert caught.value.hint == "set it to auto or cpu, or name a device that is there"


def test_a_study_tells_it_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch, gpus=0)
    study = study_of(load_config(with_device(tmp_path, "cuda")), tmp_path / "run")
    with pytest.raises(UsageError, match=r"^train\.models\.gru4rec\.device: cuda cannot be used"):
        list(study.run())
    assert not [path for stage in STAGES for path in (tmp_path / "run").glob(f"*{stage}*")]
    study.run_stage("synth")  # which does not train
    study.run_stage("split")
    with pytest.raises(UsageError, match=r"^train\.models\.gru4rec\.device: cuda cannot be used"):
        study.run_stage("train")
    assert not list((tmp_path / "run").glob("*train*"))


@pytest.mark.parametrize("given", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_a_wrong_name_is_told_with_the_whole_configuration(tmp_path: Path, given: str):
    with pytest.raises(ConfigError, match=r"train\.models\.gru4rec\.device: given .*; allowed: auto, cpu, cuda"):
        load_config(with_device(tmp_path, given))


def test_only_our_gru4rec_has_the_setting():
    assert "device" in registry.settings_class("gru4rec").model_fields
    assert "device" not in registry.settings_class("official").model_fields


def test_a_model_trained_elsewhere_loads_and_scores_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small: dict[str, Any] = {"layers": (4,), "epochs": 1, "batch_size": 8, "n_sample": 4}
    model = Model(Settings(**small))
    train = random_sessions(9, 40, seed=0)
    report = model.fit(train)
    assert report.facts["device"] == "cpu"
    machine(monkeypatch, gpus=0)
    registry.save_model(tmp_path, "gru4rec", Settings(**small, device="cuda:3"), 1, model, train.vocabulary.ids)
    assert read_json(tmp_path / "model.json")["settings"]["device"] == "cuda:3"
    items, scores = registry.load_model(tmp_path).model.recommend([1, 2], 3)
    expected = model.recommend([1, 2], 3)
    assert items.tolist() == expected[0].tolist()
    assert scores.tolist() == expected[1].tolist()
