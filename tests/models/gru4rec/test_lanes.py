"""Session-parallel mini-batches, by hand and by their properties."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.models.gru4rec.lanes import count_events, lane_steps
from tests.worlds import sessions_of


def test_the_lanes_of_four_sessions_by_hand():
    # rows:               0  1  2   3  4   5  6  7  8   9  10
    sessions = sessions_of([[0, 1, 2], [3, 4], [5, 6, 7, 8], [9, 9]], n_items=10)
    steps = [(step.rows.tolist(), step.starts.tolist(), step.kept.tolist()) for step in lane_steps(sessions, 2)]
    rows = [rows for rows, _, _ in steps]
    assert rows == [[0, 3], [1, 5], [9, 6], [7]]
    assert [starts for _, starts, _ in steps] == [[True, True], [False, True], [True, False], [False]]
    assert [kept for _, _, kept in steps] == [[0, 1], [0, 1], [0, 1], [1]]


def test_without_negatives_the_epoch_ends_with_the_last_pair_of_lanes():
    sessions = sessions_of([[0, 1, 2], [3, 4], [5, 6, 7, 8], [9, 9]], n_items=10)
    assert [step.rows.tolist() for step in lane_steps(sessions, 2, min_lanes=2)] == [[0, 3], [1, 5], [9, 6]]
    assert count_events(sessions, 2, min_lanes=2) == 6


def test_fewer_sessions_than_lanes_make_a_narrow_batch():
    sessions = sessions_of([[0, 1], [2, 3, 4]])
    assert [step.rows.tolist() for step in lane_steps(sessions, 32)] == [[0, 2], [3]]


@settings(deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=30), st.integers(1, 8))
def test_every_event_is_shown_once_and_sessions_run_in_order(lengths: list[int], batch_size: int):
    sessions = sessions_of([list(range(length)) for length in lengths])
    shown: list[int] = []
    begun: list[int] = []
    lanes: list[int] = []
    for step in lane_steps(sessions, batch_size):
        width = len(lanes)
        before = [lanes[lane] for lane in step.kept] if lanes else []
        assert len(step.rows) <= batch_size
        assert not width or len(before) == len(step.rows)
        for lane, (row, starts) in enumerate(zip(step.rows.tolist(), step.starts.tolist(), strict=True)):
            assert starts == (row in sessions.offsets)
            assert starts or row == before[lane] + 1  # the lane goes on with its own session
            begun += [row] if starts else []
        shown += step.rows.tolist()
        lanes = step.rows.tolist()
    assert sorted(shown) == sessions.input_rows().tolist()
    assert begun == sessions.offsets[:-1].tolist()
    assert np.unique(shown).size == len(shown)
