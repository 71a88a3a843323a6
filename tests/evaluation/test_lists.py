"""Coverage, popularity and repeats of top lists, by hand and by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.evaluation.lists import coverage, popularity_places, repeated, summarise_lists
from tests.worlds import random_sessions, sessions_of, with_supports


def test_coverage_by_hand():
    lists = np.array([[0, 3], [3, 1], [0, 1]], dtype=np.int32)
    assert coverage(lists, 5) == 3 / 5
    assert coverage(lists[:, :1], 5) == 2 / 5


def test_places_by_popularity_by_hand():
    assert popularity_places(np.array([5, 9, 1, 7])).tolist() == [3 / 4, 1 / 4, 4 / 4, 2 / 4]
    # Three items share the places 2, 3 and 4.
    assert popularity_places(np.array([2, 9, 2, 2, 1])).tolist() == [3 / 5, 1 / 5, 3 / 5, 3 / 5, 5 / 5]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_a_place_counts_the_more_popular_items_and_half_of_the_equal_ones(supports: list[int]):
    for support, place in zip(supports, popularity_places(np.array(supports)).tolist(), strict=True):
        above, equal = sum(s > support for s in supports), supports.count(support)
        assert place == pytest.approx((above + (1 + equal) / 2) / len(supports))


def test_repeats_by_hand():
    sessions = sessions_of([[0, 1, 2], [3, 0]], n_items=5)
    lists = np.array([[0, 1, 2], [0, 1, 4], [0, 3, 1]], dtype=np.int32)
    # Histories: 0; 0 1; 3. What the next session, or the target, holds does not count.
    assert repeated(lists, sessions.items, sessions.input_rows(), sessions.event_positions()).tolist() == [
        [True, False, False],
        [True, True, False],
        [False, True, False],
    ]


def test_repeats_are_those_of_the_definition():
    sessions = random_sessions(12, 60, seed=5, longest=15)
    sessions.items[::7] = UNSEEN
    lists = np.random.default_rng(0).permuted(np.tile(np.arange(12), (sessions.n_targets, 1)), axis=1)[:, :6]
    expected = []
    for event, row in enumerate(sessions.input_rows()):
        history = set(sessions.items[row + 1 - sessions.event_positions()[event] : row + 1].tolist())
        expected.append([item in history for item in lists[event].tolist()])
    assert (
        repeated(lists.astype(np.int32), sessions.items, sessions.input_rows(), sessions.event_positions()).tolist()
        == expected
    )
    assert np.any(expected)


def test_the_summary_by_hand_also_where_a_cutoff_is_beyond_the_items():
    sessions = with_supports(sessions_of([[0, 1, 2], [2, 0]]), [4, 1, 2])
    lists = np.array([[0, 1, 2], [2, 0, 1], [2, 1, 0]], dtype=np.int32)
    summary = summarise_lists(lists, sessions, (1, 2, 20))
    assert summary.coverage.tolist() == [2 / 3, 1.0, 1.0]
    # Places of the items: 1/3, 3/3, 2/3. Two events in the first session, one in the second.
    popularity = [
        [1 / 3 + 2 / 3, 2 / 3],
        [(1 / 3 + 3 / 3) / 2 + (2 / 3 + 1 / 3) / 2, (2 / 3 + 3 / 3) / 2],
        [4 / 3, 2 / 3],
    ]
    np.testing.assert_allclose(summary.sums[0], np.array(popularity))
    # Histories: 0; 0 1; 2. Places that repeat: 0 of the first list; 0 and 1 of the second; 2 of the third.
    np.testing.assert_allclose(summary.sums[1], np.array([[1, 1], [1 / 2 + 1 / 2, 1 / 2], [1 / 3 + 2 / 3, 1 / 3]]))
