"""Slices by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.evaluation.slices import event_slices, target_facts, target_groups
from tests.worlds import sessions_of, with_supports


def chosen(slices: dict[str, np.ndarray], name: str) -> list[int]:
    return np.flatnonzero(slices[name]).tolist()


def test_positions_and_lengths_by_hand():
    clicks = [[0, 1], [0, 1, 2], [0] * 7, [0] * 12]  # events 0, then 1 2, then 3 … 8, then 9 … 19
    slices = event_slices(with_supports(sessions_of(clicks), [3, 2, 1]))
    assert chosen(slices, "all") == list(range(20))
    assert chosen(slices, "position=1") == [0, 1, 3, 9]
    assert chosen(slices, "position=2") == [2, 4, 10]
    assert chosen(slices, "position=3-5") == [5, 6, 7, 11, 12, 13]
    assert chosen(slices, "position=6+") == [8, 14, 15, 16, 17, 18, 19]
    assert chosen(slices, "length=2") == [0]
    assert chosen(slices, "length=3-5") == [1, 2]
    assert chosen(slices, "length=6-10") == [3, 4, 5, 6, 7, 8]
    assert chosen(slices, "length=11+") == list(range(9, 20))


def test_targets_by_hand_and_unseen_ones_belong_to_no_group():
    sessions = with_supports(sessions_of([[0, 0, 1, 2, 3, 4, 0]]), [6, 3, 2, 4, 3])
    sessions.items[-1] = UNSEEN
    # 18 training events: 6 of item 0 are the first third; 4 and 3 + 3 of items 3, 1 and 4 begin in the second, since
    # 6 and 10 events come before them; item 2 begins after 16.
    slices = event_slices(sessions)
    assert chosen(slices, "target=head") == [0]
    assert chosen(slices, "target=torso") == [1, 3, 4]
    assert chosen(slices, "target=tail") == [2]
    assert target_facts(sessions.vocabulary.supports) == {
        "head": {"items": 1, "events_share": 6 / 18},
        "torso": {"items": 3, "events_share": 10 / 18},
        "tail": {"items": 1, "events_share": 2 / 18},
    }


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_more_popular_items_are_never_in_a_later_group_and_equal_ones_share_theirs(supports: list[int]):
    groups = target_groups(np.array(supports)).tolist()
    assert groups[int(np.argmax(supports))] == 0
    for one, its in zip(supports, groups, strict=True):
        above = sum(support for support in supports if support > one)
        assert its == int(3 * above >= sum(supports)) + int(3 * above >= 2 * sum(supports))
