"""Session-parallel mini-batches, by hand and by their properties."""

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec import Settings, compiled
from gru4rec_cli.models.gru4rec.batches import (
    STEPS_AT_ONCE,
    WalkStep,
    count_events,
    drawing,
    mini_batches,
    split_walks,
    walk_sessions,
)
from gru4rec_cli.models.neural.sampling import NegativeSampler
from tests.worlds import random_sessions, sessions_of


def steps_of(sessions: Sessions, batch_size: int, min_slots: int = 1) -> list[WalkStep]:
    """One epoch, step by step."""
    return list(chain.from_iterable(walk_sessions(sessions.offsets, batch_size, min_slots)))


def test_the_slots_of_four_sessions_by_hand():
    # rows:               0  1  2   3  4   5  6  7  8   9  10
    sessions = sessions_of([[0, 1, 2], [3, 4], [5, 6, 7, 8], [9, 9]], n_items=10)
    steps = [(step.rows.tolist(), step.starts.tolist(), step.previous.tolist()) for step in steps_of(sessions, 2)]
    rows = [rows for rows, _, _ in steps]
    assert rows == [[0, 3], [1, 5], [9, 6], [7]]
    assert [starts for _, starts, _ in steps] == [[True, True], [False, True], [True, False], [False]]
    assert [previous for _, _, previous in steps] == [[0, 1], [0, 1], [0, 1], [1]]


def test_without_negatives_the_epoch_ends_with_the_last_pair_of_slots():
    sessions = sessions_of([[0, 1, 2], [3, 4], [5, 6, 7, 8], [9, 9]], n_items=10)
    assert [step.rows.tolist() for step in steps_of(sessions, 2, min_slots=2)] == [[0, 3], [1, 5], [9, 6]]
    assert count_events(sessions, Settings(batch_size=2, n_sample=0)) == 6


def test_fewer_sessions_than_slots_make_a_narrow_batch():
    sessions = sessions_of([[0, 1], [2, 3, 4]])
    assert [step.rows.tolist() for step in steps_of(sessions, 32)] == [[0, 2], [3]]


@settings(deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=30), st.integers(1, 8))
def test_every_event_is_shown_once_and_sessions_run_in_order(lengths: list[int], batch_size: int):
    sessions = sessions_of([list(range(length)) for length in lengths])
    shown: list[int] = []
    begun: list[int] = []
    slots: list[int] = []
    for step in steps_of(sessions, batch_size):
        width = len(slots)
        before = [slots[slot] for slot in step.previous] if slots else []
        assert len(step.rows) <= batch_size
        assert not width or len(before) == len(step.rows)
        for slot, (row, starts) in enumerate(zip(step.rows.tolist(), step.starts.tolist(), strict=True)):
            assert starts == (row in sessions.offsets)
            assert starts or row == before[slot] + 1  # the slot goes on with its own session
            begun += [row] if starts else []
        shown += step.rows.tolist()
        slots = step.rows.tolist()
    assert sorted(shown) == sessions.input_rows().tolist()
    assert begun == sessions.offsets[:-1].tolist()
    assert np.unique(shown).size == len(shown)


@settings(deadline=None)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=60), st.integers(1, 8), st.integers(1, 2))
def test_the_compiled_walk_is_the_same(lengths: list[int], batch_size: int, min_slots: int):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    expected = list(walk_sessions(offsets, batch_size, min_slots))
    found = list(compiled.walk_sessions(offsets, batch_size, min_slots))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in ("rows", "starts", "previous", "widths"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_steps_with_many_negatives_are_drawn_in_smaller_parts():
    walks = list(walk_sessions(random_sessions(30, 200, seed=1).offsets, 8))
    parts = list(split_walks(iter(walks), 5))
    assert max(len(part.widths) for part in parts) == 5
    for name in ("rows", "starts", "previous", "widths"):
        one, other = (np.concatenate([getattr(walk, name) for walk in these]) for these in (walks, parts))
        assert np.array_equal(one, other), name
    assert [len(part.widths) for part in split_walks(iter(walks), STEPS_AT_ONCE)] == [len(w.widths) for w in walks]


def test_mini_batches_hold_the_items_of_their_slots_and_draw_for_every_step():
    sessions = random_sessions(30, 200, seed=1)
    given = Settings(layers=(5,), batch_size=8, n_sample=6, dropout_p_hidden=0.5)
    walks = list(walk_sessions(sessions.offsets, 8))
    draw = drawing(NegativeSampler(sessions.supports(), 0.5), given, seed=3)
    batches = list(mini_batches(sessions, iter(walks), draw))
    assert [len(batch) for batch in batches] == [len(walk.widths) for walk in walks]
    assert len(walks[0].widths) == STEPS_AT_ONCE
    assert sum(batch.n_events for batch in batches) == sessions.n_targets
    for batch in batches:
        assert batch.negatives.shape == (len(batch), 6)
        assert batch.masks["hidden.0"].shape == (len(batch), 8, 5)
        for step, slots in enumerate(batch.walk):
            width = len(slots.rows)
            assert batch.inputs[step, :width].tolist() == sessions.items[slots.rows].tolist()
            assert batch.targets[step, :width].tolist() == sessions.items[slots.rows + 1].tolist()
            assert not batch.inputs[step, width:].any()
