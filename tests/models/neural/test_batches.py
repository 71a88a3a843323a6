"""Every event is in one batch, and sequences of a batch have like lengths."""

import numpy as np
import pytest

from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.models.neural.batches import Windows, batch_of, cut_sessions, draw_batches, histories
from tests.worlds import random_sessions, sessions_of


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_sessions_are_cut_from_their_first_click_on():
    windows = cut_sessions(sessions_of([[0, 1], [2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4]]), longest=3)
    assert windows.firsts.tolist() == [0, 2, 5, 8, 10]
    assert windows.lengths.tolist() == [1, 3, 3, 1, 3]


@pytest.mark.parametrize("longest", [1, 4, 50])
def test_every_event_lies_in_exactly_one_window(longest: int):
    sessions = random_sessions(30, 50, seed=1, longest=20)
    windows = cut_sessions(sessions, longest)
    rows = [row for first, length in zip(*windows, strict=True) for row in range(first, first + length)]
    assert rows == sessions.input_rows().tolist()
    assert windows.lengths.max() <= longest


def test_a_batch_holds_the_events_of_its_windows():
    items = np.array([9, 8, 7, 6, 5, 4], dtype=np.int32)
    batch = batch_of(items, Windows(np.array([0, 3]), np.array([2, 2])), np.array([1, 0]))
    assert batch.inputs.tolist() == [6, 5, 9, 8]
    assert batch.targets.tolist() == [5, 4, 8, 7]
    assert batch.positions.tolist() == [0, 1, 0, 1]
    assert batch.lengths.tolist() == [2, 2]


def test_a_history_is_the_last_clicks_that_training_knows():
    sessions = sessions_of([[3, UNSEEN, 4, 5, 6, 7], [UNSEEN, UNSEEN, 8, 9]], 10)
    clicks, firsts, stops = histories(sessions, longest=3)
    found = [clicks[first:stop].tolist() for first, stop in zip(firsts, stops, strict=True)]
    assert found == [[3], [3], [3, 4], [3, 4, 5], [4, 5, 6], [], [], [8]]


@pytest.mark.parametrize("order", ["shuffled", "time"])
def test_every_sequence_is_in_one_batch_and_a_batch_has_like_lengths(order: str):
    lengths = np.random.default_rng(1).geometric(0.3, 3000)
    batches = list(draw_batches(lengths, 32, order, generator()))
    assert sorted(np.concatenate(batches).tolist()) == list(range(3000))
    assert max(map(len, batches)) == 32
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.25 * lengths.sum()
    shuffled = [generator().permutation(3000)[start : start + 32] for start in range(0, 3000, 32)]
    assert sum(len(batch) * lengths[batch].max() for batch in shuffled) > 3 * lengths.sum()


def test_time_order_is_left_by_sixteen_batches_at_most_and_shuffling_knows_no_order():
    lengths = np.random.default_rng(1).geometric(0.3, 3200)
    farthest = {
        order: max(
            np.abs(batch - 32 * number).max()
            for number, batch in enumerate(draw_batches(lengths, 32, order, generator()))
        )
        for order in ("time", "shuffled")
    }
    assert farthest["time"] < 16 * 32
    assert farthest["shuffled"] > 64 * 32


def test_the_generator_decides_the_batches():
    lengths = np.random.default_rng(1).geometric(0.3, 500)
    one, again = (list(draw_batches(lengths, 8, "shuffled", generator())) for _ in range(2))
    other = list(draw_batches(lengths, 8, "shuffled", np.random.default_rng(1)))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
