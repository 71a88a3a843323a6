"""Whole trainings by the accelerators' steps, on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.progress import Task
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.accelerated.schedule import Drawing, padded
from gru4rec_cli.models.gru4rec.lanes import lane_chunks
from gru4rec_cli.models.gru4rec.negatives import NegativeSampler
from gru4rec_cli.models.gru4rec.training import Trainer
from tests.models.gru4rec.accelerated.training import ByTensors
from tests.models.gru4rec.test_training import SETTINGS, same
from tests.worlds import chain, random_sessions, sessions_of

CPU = torch.device("cpu")


def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path):
    train = random_sessions(30, 60, seed=1)
    whole = ByTensors(train, SETTINGS, seed=5)
    whole.run()
    stopped = ByTensors(train, SETTINGS, seed=5)
    stopped.stop_before = 3
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoints=tmp_path)
    continued = ByTensors(train, SETTINGS, seed=5)
    continued.run(checkpoints=tmp_path)
    assert len(continued.curve) == 4
    assert continued.curve == whole.curve
    assert same(continued.parameters, whole.parameters)
    assert same(continued.optimizer.state(), whole.optimizer.state())


def test_a_training_begun_by_hand_is_continued_by_tensors(tmp_path: Path):
    train = random_sessions(30, 60, seed=1)
    Trainer(train, SETTINGS.model_copy(update={"epochs": 2}), seed=5).run(checkpoints=tmp_path)
    continued = ByTensors(train, SETTINGS, seed=5)
    continued.run(checkpoints=tmp_path)
    by_hand = Trainer(train, SETTINGS, seed=5)
    by_hand.run()
    assert continued.curve[:2] == by_hand.curve[:2]
    assert continued.curve[2:] != by_hand.curve[2:]  # another sequence of random numbers


def test_without_chance_it_is_the_training_by_hand():
    # Neither extra negatives nor dropout: nothing is drawn but the initial weights.
    settings = SETTINGS.model_copy(update={"n_sample": 0, "dropout_p_hidden": 0.0})
    train = random_sessions(30, 60, seed=1)
    by_hand, by_tensors = Trainer(train, settings, seed=5), ByTensors(train, settings, seed=5)
    by_hand.run()
    by_tensors.run()
    losses = [[row["loss"] for row in trainer.curve] for trainer in (by_hand, by_tensors)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for name, value in by_tensors.parameters.items():
        torch.testing.assert_close(value, by_hand.parameters[name], rtol=0, atol=1e-4)


def test_seeds_and_epochs_draw_differently():
    train = chain()
    settings = Settings(layers=(8,), epochs=3, batch_size=8, n_sample=4, dropout_p_hidden=0.0)
    one, again, other = (ByTensors(train, settings, seed=seed) for seed in (1, 1, 2))
    for trainer in (one, again, other):
        trainer.run()
    losses = [row["loss"] for row in one.curve]
    assert losses == sorted(losses, reverse=True)
    assert same(one.parameters, again.parameters)
    assert not same(one.parameters, other.parameters)
    drawing = Drawing(NegativeSampler(train.supports(), 0.5), settings, CPU)
    drawing.begin(1)
    first, second = (drawing.draw(64)["negatives"] for _ in range(2))
    drawing.begin(1)
    assert torch.equal(drawing.draw(64)["negatives"], first)
    assert not torch.equal(first, second)


def test_divergence_names_epoch_step_loss_and_what_to_try():
    settings = Settings(layers=(8,), epochs=2, batch_size=8, n_sample=4, learning_rate=1e38)
    with pytest.raises(
        CheckError, match=r"diverged: (the loss is (nan|inf) in epoch 1, step \d+|weights are not finite after epoch 1)"
    ) as caught:
        ByTensors(chain(), settings, seed=1).run()
    assert "learning_rate" in caught.value.hint


def test_the_step_at_which_the_loss_was_lost_is_told():
    trainer = ByTensors(chain(), Settings(layers=(8,), epochs=1, batch_size=8, n_sample=4), seed=1)
    trainer.parameters["gru.0.bias_ih"][0] = torch.nan
    with pytest.raises(CheckError, match=r"the loss is nan in epoch 1, step 1$"):
        trainer.run()


def test_the_best_epoch_is_kept(tmp_path: Path):
    values = iter([0.1, 0.3, 0.2, 0.25])
    settings = SETTINGS.model_copy(update={"validate_on": "recall@5"})
    train = random_sessions(30, 60, seed=1)
    trainer = ByTensors(train, settings, seed=5, validate=lambda parameters: next(values))
    kept = trainer.run(checkpoints=tmp_path)
    assert trainer.kept_epoch == 2
    two = ByTensors(train, SETTINGS.model_copy(update={"epochs": 2}), seed=5)
    assert same(kept, two.run())
    assert not same(kept, trainer.parameters)


def test_a_single_session_without_negatives_has_nothing_to_learn_from():
    with pytest.raises(CheckError, match="nothing to learn from"):
        ByTensors(random_sessions(5, 1, seed=0), Settings(n_sample=0), seed=1).run()


def test_fewer_sessions_than_lanes_train():
    trainer = ByTensors(random_sessions(9, 5, seed=0), Settings(layers=(4,), epochs=1, batch_size=64), seed=1)
    trainer.run()
    assert all(torch.isfinite(value).all() for value in trainer.parameters.values())


class Counting:
    """Counts the events that are told."""

    events = 0.0

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield self

    def advance(self, amount: float = 1, **status: object) -> None:
        self.events += amount


@pytest.mark.parametrize("trainer", [Trainer, ByTensors])
def test_progress_tells_every_event_of_an_epoch(trainer: type[Trainer]):
    train = random_sessions(30, 200, seed=1)
    progress = Counting()
    trainer(train, SETTINGS, seed=1).epoch(1, progress)
    assert progress.events == train.n_targets


@hypothesis_settings(deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=30), st.integers(2, 8))
def test_padded_lanes_are_those_of_the_schedule(lengths: list[int], batch_size: int):
    sessions = sessions_of([list(range(first, first + length)) for first, length in enumerate(lengths)])
    for chunk in lane_chunks(sessions, batch_size):
        found = padded(chunk, sessions.items, batch_size, padding=99)
        for number, width in enumerate(chunk.widths.tolist()):
            step = chunk.step(number)
            gone = batch_size - width
            assert {name: values[number].tolist() for name, values in found.items()} == {
                "inputs": [*sessions.items[step.rows].tolist(), *[99] * gone],
                "targets": [*sessions.items[step.rows + 1].tolist(), *[99] * gone],
                "starts": [*step.starts.tolist(), *[True] * gone],
                "kept": [*step.kept.tolist(), *[0] * gone],
                "width": [width],
            }


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_negatives_come_with_probability_support_to_the_alpha(alpha: float):
    supports = np.array([1, 4, 100, 25, 9])
    drawing = Drawing(NegativeSampler(supports, alpha), Settings(n_sample=1000), CPU)
    drawing.begin(1)
    drawn = drawing.draw(100)["negatives"]
    assert drawn.shape == (100, 1000)
    weights = supports.astype(float) ** alpha
    expected = 100_000 * weights / weights.sum()
    counts = np.bincount(drawn.numpy().ravel(), minlength=5)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_dropout_drops_the_given_share_and_keeps_the_expectation():
    drawing = Drawing(NegativeSampler(np.array([1, 2]), 0.5), Settings(layers=(500,), dropout_p_hidden=0.3), CPU)
    drawing.begin(1)
    drawn = drawing.draw(10)
    assert set(drawn) == {"negatives", "hidden.0"}
    mask = drawn["hidden.0"]
    assert mask.shape == (10, 32, 500)
    assert (mask == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.01)
