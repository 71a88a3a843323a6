"""On a GPU only: the recorded step, replayed, is the step taken operation by operation; trainings work there.

`tests/conftest.py` hides GPUs, so that all other tests hold bit for bit everywhere. To run these:
CUDA_VISIBLE_DEVICES=0 python -m pytest tests/models/gru4rec/accelerated/test_cuda.py
"""

from pathlib import Path

import pytest
import torch

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.accelerated.epoch import DeviceTraining
from gru4rec_cli.models.gru4rec.accelerated.replaying import Replayed
from gru4rec_cli.models.gru4rec.devices import describe_device, find_device
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.training import Trainer
from tests.models.gru4rec.accelerated.training import ByTensors
from tests.models.gru4rec.test_training import SETTINGS
from tests.worlds import chain, random_sessions

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="cuda: no GPU here; with one, set CUDA_VISIBLE_DEVICES=0 for these tests"
)
KINDS = [
    {"loss": "cross-entropy", "embedding": "shared"},
    {"loss": "bpr-max", "embedding": "none", "dropout_p_embed": 0.3},
    {"loss": "bpr-max", "embedding": "layersize"},
]


def losses_of(settings: Settings, *, recorded: bool) -> list[float]:
    train = random_sessions(30, 300, seed=1)
    parameters = initial_parameters(train.n_items, settings, seed=2)
    optimizer = Adagrad(parameters, settings.learning_rate, settings.momentum)
    training = DeviceTraining(train, settings, parameters, optimizer, torch.device("cuda", 0))
    assert isinstance(training._next, Replayed)
    if not recorded:
        training._next = training._advance
    found = [loss for epoch in (1, 2) for losses, _ in training.epoch(epoch, min_lanes=1) for loss in losses]
    if recorded:
        assert isinstance(training._next, Replayed)
        assert training._next.graph is not None
    return found


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_replayed_steps_are_those_taken_one_by_one(kind: dict[str, object]):
    settings = SETTINGS.model_copy(update=kind)
    one_by_one, replayed = (losses_of(settings, recorded=recorded) for recorded in (False, True))
    assert len(replayed) > 64  # more than a chunk
    assert replayed == pytest.approx(one_by_one, rel=1e-3)


def test_without_chance_a_gpu_trains_what_the_cpu_trains():
    settings = SETTINGS.model_copy(update={"n_sample": 0, "dropout_p_hidden": 0.0, "device": "cuda"})
    train = random_sessions(30, 60, seed=1)
    on_gpu = Trainer(train, settings, seed=5)
    on_cpu = Trainer(train, settings.model_copy(update={"device": "cpu"}), seed=5)
    for trainer in (on_gpu, on_cpu):
        trainer.run()
    for name, value in on_gpu.parameters.items():
        assert value.device.type == "cpu"
        torch.testing.assert_close(value, on_cpu.parameters[name], rtol=0, atol=1e-3)


def test_a_continued_training_equals_an_uninterrupted_one_up_to_rounding(tmp_path: Path):
    train = random_sessions(30, 60, seed=1)
    settings = SETTINGS.model_copy(update={"device": "cuda"})
    whole = Trainer(train, settings, seed=5)
    whole.run()
    stopped = ByTensors(train, settings, seed=5)
    stopped.stop_before = 3
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoints=tmp_path)
    continued = Trainer(train, settings, seed=5)
    continued.run(checkpoints=tmp_path)
    losses = [[row["loss"] for row in trainer.curve] for trainer in (whole, continued)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_auto_is_the_gpu_and_the_facts_name_it():
    settings = Settings(layers=(8,), epochs=1, batch_size=8, n_sample=4)
    report = Model(settings).fit(chain())
    assert report.facts["device"] == describe_device(find_device("cuda"))
    assert report.facts["device"].startswith("cuda:0 (")
