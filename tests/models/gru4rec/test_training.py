"""Training continues where it stopped, and says when it cannot go on."""

import logging
from pathlib import Path

import pytest
import torch

from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.training import Trainer
from tests.worlds import chain, random_sessions

SETTINGS = Settings(layers=(6, 5), epochs=4, batch_size=8, n_sample=4, momentum=0.1, dropout_p_hidden=0.2)


class Stopping(Trainer):
    """Is interrupted before a given epoch."""

    stop_before = 3
    begun: list[int]

    def epoch(self, number: int, progress: Progress = SILENT) -> float:
        self.begun = [*getattr(self, "begun", []), number]
        if number == self.stop_before:
            raise KeyboardInterrupt
        return super().epoch(number, progress)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit_and_says_where_it_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "gru4rec_cli")
    train = random_sessions(30, 60, seed=1)
    whole = Trainer(train, SETTINGS, seed=5)
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        Stopping(train, SETTINGS, seed=5).run(checkpoints=tmp_path)
    assert "goes on" not in caplog.text
    continued = Stopping(train, SETTINGS, seed=5)
    continued.stop_before = 99
    continued.run(checkpoints=tmp_path)
    assert caplog.messages[-1] == "training goes on after epoch 2 of 4"
    assert continued.curve == whole.curve
    assert continued.begun == [3, 4]
    assert same(continued.parameters, whole.parameters)
    assert same(continued.optimizer.state(), whole.optimizer.state())


@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
def test_the_weights_do_not_depend_on_the_number_of_threads(loss: str):
    train = random_sessions(30, 60, seed=1)
    settings = SETTINGS.model_copy(update={"loss": loss, "epochs": 2})
    one, two = (Trainer(train, settings, seed=5, n_threads=threads) for threads in (1, 2))
    one.run()
    two.run()
    assert one.curve == two.curve
    assert same(one.parameters, two.parameters)


@pytest.mark.parametrize("damage", ["flipped byte", "no weights"])
def test_a_damaged_checkpoint_is_not_continued_from(tmp_path: Path, damage: str):
    train = random_sessions(30, 60, seed=1)
    with pytest.raises(KeyboardInterrupt):
        Stopping(train, SETTINGS, seed=5).run(checkpoints=tmp_path)
    (weights,) = tmp_path.glob("epoch-*.safetensors")
    if damage == "no weights":
        weights.unlink()
    else:
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    again = Stopping(train, SETTINGS, seed=5)
    again.stop_before = 99
    again.run(checkpoints=tmp_path)
    assert again.begun == [1, 2, 3, 4]


def test_only_the_newest_checkpoint_is_kept(tmp_path: Path):
    Trainer(random_sessions(30, 60, seed=1), SETTINGS, seed=5).run(checkpoints=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-4.safetensors", "latest.json"]


def test_the_loss_falls_on_a_chain_and_seeds_decide_the_weights():
    settings = Settings(layers=(8,), epochs=3, batch_size=8, n_sample=4, dropout_p_hidden=0.0)
    one, other = Trainer(chain(), settings, seed=1), Trainer(chain(), settings, seed=2)
    one.run()
    losses = [row["loss"] for row in one.curve]
    assert losses == sorted(losses, reverse=True)
    other.run()
    assert not same(one.parameters, other.parameters)


def test_divergence_names_epoch_step_loss_and_what_to_try():
    settings = Settings(layers=(8,), epochs=2, batch_size=8, n_sample=4, learning_rate=1e38)
    with pytest.raises(
        CheckError, match=r"diverged: (the loss is (nan|inf) in epoch 1, step \d+|weights are not finite after epoch 1)"
    ) as caught:
        Trainer(chain(), settings, seed=1).run()
    assert "learning_rate" in caught.value.hint


def test_a_single_session_without_negatives_has_nothing_to_learn_from():
    with pytest.raises(CheckError, match="nothing to learn from"):
        Trainer(random_sessions(5, 1, seed=0), Settings(n_sample=0), seed=1).run()


def test_fewer_sessions_than_lanes_and_no_extra_negatives_train():
    for settings in (Settings(layers=(4,), epochs=1, batch_size=64), Settings(layers=(4,), epochs=1, n_sample=0)):
        trainer = Trainer(random_sessions(9, 5, seed=0), settings, seed=1)
        trainer.run()
        assert len(trainer.curve) == 1
        assert all(torch.isfinite(value).all() for value in trainer.parameters.values())


def test_the_best_epoch_is_kept_and_training_stops_without_a_better_one(tmp_path: Path):
    values = iter([0.1, 0.3, 0.2, 0.25, 0.9])
    settings = SETTINGS.model_copy(update={"validate_on": "recall@5", "patience": 2, "epochs": 5})
    train = random_sessions(30, 60, seed=1)
    trainer = Trainer(train, settings, seed=5, validate=lambda parameters: next(values))
    kept = trainer.run(checkpoints=tmp_path)
    assert [row["valid_recall@5"] for row in trainer.curve] == [0.1, 0.3, 0.2, 0.25]
    assert trainer.kept_epoch == 2
    two = Trainer(train, settings.model_copy(update={"epochs": 2, "validate_on": None, "patience": None}), seed=5)
    assert same(kept, two.run())
    again = Trainer(train, settings, seed=5, validate=lambda parameters: 1 / 0)
    assert same(again.run(checkpoints=tmp_path), kept)  # the best weights are in the checkpoint too


def test_without_a_better_epoch_the_first_is_kept():
    settings = SETTINGS.model_copy(update={"validate_on": "mrr@5", "epochs": 3})
    trainer = Trainer(random_sessions(30, 60, seed=1), settings, seed=5, validate=lambda parameters: 0.5)
    trainer.run()
    assert (trainer.kept_epoch, len(trainer.curve)) == (1, 3)
