"""Training continues where it stopped, and says when it cannot go on."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gru4rec_cli.base.errors import CheckError, StageError
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.base.progress import Task
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.neural.checkpoints import load_checkpoint
from tests.models.neural.training import Stopping
from tests.worlds import chain, random_sessions

SETTINGS = Settings(layers=(6, 5), epochs=4, batch_size=8, n_sample=4, momentum=0.1, dropout_p_hidden=0.2)


kinds = pytest.mark.parametrize("kind", ["torch", "compiled"])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@kinds
def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit_and_says_where_it_goes_on(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "gru4rec_cli")
    train, settings = random_sessions(30, 60, seed=1), SETTINGS.model_copy(update={"step": kind})
    whole = Stopping(train, settings, seed=5)
    whole.run()
    stopped = Stopping(train, settings, seed=5)
    stopped.stop_before = 3
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoints=tmp_path)
    assert "goes on" not in caplog.text
    continued = Stopping(train, settings, seed=5)
    continued.run(checkpoints=tmp_path)
    assert caplog.messages[-1] == "training goes on after epoch 2 of 4"
    assert continued.curve == whole.curve
    assert continued.begun == [3, 4]
    assert same(continued.learner.state(), whole.learner.state())


@pytest.mark.parametrize(
    "damage", ["flipped byte", "no weights", "half a description", "another description", "deep", "no numbers"]
)
def test_a_damaged_checkpoint_is_not_continued_from(tmp_path: Path, damage: str):
    train = random_sessions(30, 60, seed=1)
    stopped = Stopping(train, SETTINGS, seed=5)
    stopped.stop_before = 3
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoints=tmp_path)
    (weights,) = tmp_path.glob("epoch-*.safetensors")
    latest = tmp_path / "latest.json"
    if damage == "no weights":
        weights.unlink()
    elif damage == "half a description":
        latest.write_text(latest.read_text()[:20])
    elif damage == "another description":
        latest.write_text("[]")
    elif damage == "deep":
        latest.write_text("[" * 100_000)
    elif damage == "no numbers":
        latest.write_text(json.dumps({**json.loads(latest.read_text()), "cost": {"seconds": "x"}}))
    else:
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    again = Stopping(train, SETTINGS, seed=5)
    again.run(checkpoints=tmp_path)
    assert again.begun == [1, 2, 3, 4]


def test_the_cost_of_a_continued_training_is_that_of_all_sittings(tmp_path: Path):
    """The time of the epochs before an interruption was left out."""
    train = random_sessions(30, 60, seed=1)
    stopped = Stopping(train, SETTINGS, seed=5)
    stopped.stop_before = 3
    with pytest.raises(KeyboardInterrupt), measured():
        stopped.run(checkpoints=tmp_path)
    latest = tmp_path / "latest.json"
    described = json.loads(latest.read_text())
    assert 0 < described["cost"]["seconds"] < 60
    assert described["cost"]["peak_memory_bytes"] > 2**20
    earlier = {"seconds": 1000.0, "compile_seconds": 7.0, "peak_memory_bytes": 2**50}
    latest.write_text(json.dumps({**described, "cost": earlier}))
    with measured() as cost:
        Stopping(train, SETTINGS, seed=5).run(checkpoints=tmp_path)
    assert 1000 < cost.seconds < 1060
    assert cost.compile_seconds >= 7
    assert cost.peak_memory_bytes == 2**50
    assert json.loads(latest.read_text())["cost"]["seconds"] > 1000  # and of a third sitting


def test_a_checkpoint_that_the_system_cannot_read_is_an_error_with_a_remedy(tmp_path: Path):
    (tmp_path / "latest.json").mkdir()
    with pytest.raises(StageError, match="cannot be read: Is a directory"):
        load_checkpoint(tmp_path)


def test_only_the_newest_checkpoint_is_kept(tmp_path: Path):
    Stopping(random_sessions(30, 60, seed=1), SETTINGS, seed=5).run(checkpoints=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-4.safetensors", "latest.json"]


def test_the_loss_falls_on_a_chain_and_seeds_decide_the_weights():
    settings = Settings(layers=(8,), epochs=3, batch_size=8, n_sample=4, dropout_p_hidden=0.0)
    one, other = Stopping(chain(), settings, seed=1), Stopping(chain(), settings, seed=2)
    one.run()
    losses = [row["loss"] for row in one.curve]
    assert losses == sorted(losses, reverse=True)
    other.run()
    assert not same(one.learner.parameters(), other.learner.parameters())


def test_divergence_names_epoch_step_loss_and_what_to_try():
    settings = Settings(layers=(8,), epochs=2, batch_size=8, n_sample=4, learning_rate=1e38)
    with pytest.raises(
        CheckError, match=r"diverged: (the loss is (nan|inf) in epoch 1, step \d+|weights are not finite after epoch 1)"
    ) as caught:
        Stopping(chain(), settings, seed=1).run()
    assert "learning_rate" in caught.value.hint


def test_a_single_session_without_negatives_has_nothing_to_learn_from():
    with pytest.raises(CheckError, match="nothing to learn from"):
        Stopping(random_sessions(5, 1, seed=0), Settings(n_sample=0), seed=1).run()


def test_fewer_sessions_than_lanes_and_no_extra_negatives_train():
    for settings in (Settings(layers=(4,), epochs=1, batch_size=64), Settings(layers=(4,), epochs=1, n_sample=0)):
        trainer = Stopping(random_sessions(9, 5, seed=0), settings, seed=1)
        trainer.run()
        assert len(trainer.curve) == 1
        assert all(torch.isfinite(value).all() for value in trainer.learner.parameters().values())


def test_the_best_epoch_is_kept_and_training_stops_without_a_better_one(tmp_path: Path):
    values = iter([0.1, 0.3, 0.2, 0.25, 0.9])
    settings = SETTINGS.model_copy(update={"validate_on": "recall@5", "patience": 2, "epochs": 5})
    train = random_sessions(30, 60, seed=1)
    trainer = Stopping(train, settings, seed=5, validate=lambda parameters: next(values))
    kept = trainer.run(checkpoints=tmp_path)
    assert [row["valid_recall@5"] for row in trainer.curve] == [0.1, 0.3, 0.2, 0.25]
    assert trainer.kept_epoch == 2
    two = Stopping(train, settings.model_copy(update={"epochs": 2, "validate_on": None, "patience": None}), seed=5)
    assert same(kept, two.run())
    again = Stopping(train, settings, seed=5, validate=lambda parameters: 1 / 0)
    assert same(again.run(checkpoints=tmp_path), kept)  # the best weights are in the checkpoint too


def test_without_a_better_epoch_the_first_is_kept():
    settings = SETTINGS.model_copy(update={"validate_on": "mrr@5", "epochs": 3})
    trainer = Stopping(random_sessions(30, 60, seed=1), settings, seed=5, validate=lambda parameters: 0.5)
    trainer.run()
    assert (trainer.kept_epoch, len(trainer.curve)) == (1, 3)


@kinds
def test_a_loss_that_is_not_a_number_is_told_with_its_step(kind: str):
    trainer = Stopping(chain(), Settings(layers=(8,), epochs=1, batch_size=8, n_sample=4, step=kind), seed=1)  # type: ignore[arg-type]
    state = trainer.learner.state()
    state["gru.0.bias_ih"] = torch.full_like(state["gru.0.bias_ih"], torch.nan)
    trainer.learner.restore(state)
    with pytest.raises(CheckError, match=r"the loss is nan in epoch 1, step 1$"):
        trainer.run()


class Counting:
    """Counts the events that progress is told of."""

    events = 0.0

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield self

    def advance(self, amount: float = 1, **status: object) -> None:
        self.events += amount

    def count_earlier(self, amount: float = 1, **status: object) -> None:
        return None

    def leave_no_line(self) -> None:
        return None

    def note(self, text: str) -> None:
        return None


@kinds
def test_progress_counts_every_event_of_an_epoch(kind: str):
    train, settings = random_sessions(30, 200, seed=1), SETTINGS.model_copy(update={"step": kind})
    progress = Counting()
    Stopping(train, settings, seed=1).epoch(1, progress)
    assert progress.events == train.n_targets
