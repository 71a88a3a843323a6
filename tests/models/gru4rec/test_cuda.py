"""On a GPU only: the recorded step, replayed, is the step taken operation by operation; trainings work there.

`tests/conftest.py` hides GPUs, so that all other tests hold bit for bit everywhere. To run these:
CUDA_VISIBLE_DEVICES=0 python -m pytest tests/models/gru4rec/test_cuda.py
"""

from pathlib import Path

import pytest
import torch

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.cuda_graph import GraphStep
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.step import TorchStep
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.neural.devices import describe_device, find_device
from tests.models.neural.test_trainer import SETTINGS
from tests.models.neural.training import Stopping
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
    training = Training(train, settings, seed=2)
    assert isinstance(training.step, GraphStep)
    if not recorded:
        training.step = TorchStep(training.parameters(), train.supports(), settings, training.device)
    losses = [loss for epoch in (1, 2) for learned in training.epoch(epoch) for loss in learned.losses]
    if isinstance(training.step, GraphStep):
        assert training.step.graph is not None
    return losses


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_replayed_steps_are_those_taken_one_by_one(kind: dict[str, object]):
    settings = SETTINGS.model_copy(update=kind | {"device": "cuda"})
    one_by_one, replayed = (losses_of(settings, recorded=recorded) for recorded in (False, True))
    assert len(replayed) > 64  # more than a chunk
    assert replayed == pytest.approx(one_by_one, rel=1e-3)


def test_a_gpu_trains_what_the_cpu_trains():
    settings = SETTINGS.model_copy(update={"device": "cuda"})
    train = random_sessions(30, 60, seed=1)
    on_gpu = Stopping(train, settings, seed=5).run()
    on_cpu = Stopping(train, settings.model_copy(update={"device": "cpu"}), seed=5).run()
    for name, value in on_gpu.items():
        assert value.device.type == "cpu"
        torch.testing.assert_close(value, on_cpu[name], rtol=0, atol=1e-3)


def test_a_continued_training_equals_an_uninterrupted_one_up_to_rounding(tmp_path: Path):
    train = random_sessions(30, 60, seed=1)
    settings = SETTINGS.model_copy(update={"device": "cuda"})
    whole = Stopping(train, settings, seed=5)
    whole.run()
    stopped = Stopping(train, settings, seed=5)
    stopped.stop_before = 3
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoints=tmp_path)
    continued = Stopping(train, settings, seed=5)
    continued.run(checkpoints=tmp_path)
    losses = [[row["loss"] for row in trainer.curve] for trainer in (whole, continued)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_auto_is_the_gpu_and_the_facts_name_it():
    settings = Settings(layers=(8,), epochs=1, batch_size=8, n_sample=4, device="auto")
    report = Model(settings).fit(chain())
    assert report.facts["device"] == describe_device(find_device("cuda"))
    assert report.facts["device"].startswith("cuda:0 (")
