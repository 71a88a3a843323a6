"""Sessions as arrays: round trips and the numbering of events."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.sessions import UNSEEN, Sessions, Vocabulary, last_known_items, sessions_from_frame
from tests.worlds import sessions_of

CLICKS = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=6), min_size=1, max_size=12)


@settings(deadline=None)
@given(CLICKS, st.booleans())
def test_frame_to_arrays_and_back(clicks: list[list[int]], text: bool):
    ids = [f"item {i}" if text else 100 + i for i in range(10)]
    rows = [
        (number, ids[item], number * 100 + at)
        for number, session in enumerate(clicks)
        for at, item in enumerate(session)
    ]
    frame = pl.DataFrame(rows, schema=[SESSION, ITEM, TIME], orient="row")
    known = list(dict.fromkeys(ids[item] for session in clicks for item in session))
    sessions = sessions_from_frame(frame, Vocabulary.of(pl.Series(known).to_numpy()))
    back = [
        (session, known[item], time)
        for session, start, stop in zip(
            sessions.session_ids.tolist(), sessions.offsets, sessions.offsets[1:], strict=False
        )
        for item, time in zip(sessions.items[start:stop].tolist(), sessions.times[start:stop].tolist(), strict=True)
    ]
    assert back == rows


def test_items_outside_the_vocabulary_are_unseen():
    frame = pl.DataFrame({SESSION: [1, 1, 2, 2], ITEM: [5, 6, 7, 5], TIME: [0, 1, 2, 3]})
    assert sessions_from_frame(frame, Vocabulary.of(np.array([7, 5]))).items.tolist() == [1, UNSEEN, 0, 1]


def test_events_are_numbered_by_session_and_position():
    sessions = sessions_of([[3, 4, 5], [6, 7]])
    assert sessions.n_targets == 3
    assert sessions.input_rows().tolist() == [0, 1, 3]
    assert sessions.target_items().tolist() == [4, 5, 7]
    assert sessions.event_sessions().tolist() == [0, 0, 1]
    assert sessions.event_positions().tolist() == [1, 2, 1]


def test_select_takes_sessions_in_the_given_order():
    sessions = sessions_of([[0, 1, 2], [3, 4], [5, 6]]).select(np.array([2, 0]))
    assert sessions.items.tolist() == [5, 6, 0, 1, 2]
    assert sessions.offsets.tolist() == [0, 2, 5]
    assert sessions.session_ids.tolist() == [3, 1]


def test_the_last_known_item_skips_unseen_ones_and_stays_in_its_session():
    sessions = sessions_of([[0, UNSEEN, 1, 2], [UNSEEN, UNSEEN, 2, 0]], n_items=3)
    assert last_known_items(sessions).tolist() == [0, 0, 1, UNSEEN, UNSEEN, 2]


def test_arrays_that_do_not_fit_together_are_refused():
    items, times = np.zeros(3, dtype=np.int32), np.zeros(3, dtype=np.int64)
    with pytest.raises(ValueError, match="do not fit together"):
        Sessions(items, np.array([0, 2]), times, np.zeros(1), Vocabulary.of(np.arange(2)))
    with pytest.raises(ValueError, match="do not fit together"):
        Sessions(items, np.array([0, 3]), times, np.zeros(2), Vocabulary.of(np.arange(2)))


@pytest.mark.parametrize("item", [-2, -(2**31), 3, 2**31 - 1])
def test_items_outside_the_range_are_refused(item: int):
    """Fault 10: compiled loops index by them."""
    items = np.array([0, item, 2], dtype=np.int32)
    with pytest.raises(ValueError, match="indices are 0 to 2, or -1"):
        Sessions(items, np.array([0, 3]), np.arange(3), np.array([1]), Vocabulary.of(np.arange(3)))


@pytest.mark.parametrize("offsets", [[0, 2, 2, 3], [0, 3, 2, 3], [0, 0, 3]])
def test_sessions_without_clicks_are_refused(offsets: list[int]):
    """Fault 10: an empty session has no last click."""
    numbers = np.arange(len(offsets) - 1)
    with pytest.raises(ValueError, match="at least one click"):
        Sessions(np.zeros(3, dtype=np.int32), np.array(offsets), np.arange(3), numbers, Vocabulary.of(np.arange(3)))


def test_items_that_are_no_indices_are_refused():
    """Fault 10: numbers with a fraction, or without a sign for UNSEEN."""
    for dtype in (np.float64, np.uint32):
        with pytest.raises(ValueError, match="they are indices"):
            Sessions(
                np.zeros(3, dtype=dtype), np.array([0, 3]), np.arange(3), np.array([1]), Vocabulary.of(np.arange(3))
            )
