"""Each cleaning rule on logs small enough to work out by hand: s1 is session 1, letters are items."""

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.cleaning import CleaningSettings, clean, summarise
from gru4rec_cli.data.engine import PolarsEngine, lazy, native
from gru4rec_cli.data.removals import DUPLICATE, LONG, RARE, REPEAT, SHORT, Removal

PERMISSIVE: dict[str, Any] = {"drop_duplicates": False, "drop_repeats": False, "min_item_support": 1}


def log(*rows):
    """A log of (session, item, time in seconds) rows."""
    frame = pl.DataFrame(rows, schema={SESSION: pl.Int64, ITEM: pl.String, TIME: pl.Int64}, orient="row")
    return frame.with_columns(pl.col(TIME) * 1_000_000)


def sessions(*walks):
    """A log of sessions 1, 2, … given as strings of items, an event a second, one session after the other."""
    places = [(number, item) for number, walk in enumerate(walks, start=1) for item in walk]
    return log(*((session, item, time) for time, (session, item) in enumerate(places)))


def walks(events):
    """Session id → its items in order, sessions in order of their first row."""
    grouped = events.group_by(SESSION, maintain_order=True).agg(pl.col(ITEM).str.join(""))
    return dict(grouped.iter_rows())


def cleaned(events, **fields):
    frame, removals = clean(events, CleaningSettings(**{**PERMISSIVE, **fields}))
    for count, before, after in (
        ("events", events.height, frame.height),
        ("sessions", events[SESSION].n_unique(), frame[SESSION].n_unique()),
        ("items", events[ITEM].n_unique(), frame[ITEM].n_unique()),
    ):
        assert before - sum(getattr(removal, count) for removal in removals) == after
    counts = {r.reason: (r.events, r.sessions, r.items) for r in removals if r.events}
    return walks(frame), counts


def test_events_of_equal_time_keep_the_order_of_the_file():
    events = log((1, "c", 5), (2, "x", 1), (1, "a", 5), (1, "d", 9), (1, "b", 2), (2, "y", 0))
    assert cleaned(events) == ({2: "yx", 1: "bcad"}, {})


def test_sessions_are_visited_by_start_then_id():
    events = log((3, "a", 5), (3, "b", 6), (2, "a", 5), (2, "b", 9), (9, "a", 1), (9, "b", 99))
    assert list(cleaned(events)[0]) == [9, 2, 3]


def test_exact_duplicates_go_wherever_they_stand_and_the_first_stays():
    events = log((1, "a", 1), (1, "b", 1), (1, "a", 1), (1, "a", 2), (2, "a", 1), (2, "b", 1), (1, "a", 1))
    assert cleaned(events, drop_duplicates=True) == ({1: "aba", 2: "ab"}, {DUPLICATE: (2, 0, 0)})
    assert cleaned(events) == ({1: "abaaa", 2: "ab"}, {})


def test_immediate_repeats_go_and_later_visits_stay():
    assert cleaned(sessions("aabbba", "abb"), drop_repeats=True) == ({1: "aba", 2: "ab"}, {REPEAT: (4, 0, 0)})


def test_repeats_are_judged_within_a_session_and_in_order_of_time():
    events = log((1, "a", 0), (2, "a", 1), (1, "b", 2), (2, "b", 3), (1, "a", 1))
    assert cleaned(events, drop_repeats=True) == ({1: "ab", 2: "ab"}, {REPEAT: (1, 0, 0)})


def test_duplicates_go_before_repeats():
    events = log((1, "a", 1), (1, "a", 1), (1, "a", 2), (1, "b", 3))
    counts = {DUPLICATE: (1, 0, 0), REPEAT: (1, 0, 0)}
    assert cleaned(events, drop_duplicates=True, drop_repeats=True) == ({1: "ab"}, counts)


def test_short_sessions_go_with_items_only_they_hold():
    assert cleaned(sessions("ab", "abc", "z", "a"), min_session_length=2) == ({1: "ab", 2: "abc"}, {SHORT: (2, 2, 1)})
    assert cleaned(sessions("ab", "abc"), min_session_length=3) == ({2: "abc"}, {SHORT: (2, 1, 0)})


def test_repeats_can_leave_a_session_too_short():
    counts = {REPEAT: (2, 0, 0), SHORT: (1, 1, 0)}
    assert cleaned(sessions("aaa", "ab"), drop_repeats=True) == ({2: "ab"}, counts)


def test_support_is_the_number_of_events_not_of_sessions():
    assert cleaned(sessions("aaab", "ab"), min_item_support=3) == ({1: "aaa"}, {RARE: (2, 0, 1), SHORT: (1, 1, 0)})


def test_length_and_support_take_turns_until_both_hold():
    # Short: s4 (d). Rare (< 2): e in s3, so s3 = c. Short: s3. Rare: c in s2, so s2 = b. Short: s2. Rare: b in s1.
    # What is left, s1 = aa, satisfies both.
    events = sessions("aab", "bc", "ce", "d")
    counts = {SHORT: (3, 3, 1), RARE: (3, 0, 3)}
    assert cleaned(events, min_item_support=2) == ({1: "aa"}, counts)


def test_a_session_of_rare_items_counts_as_lost_to_them():
    assert cleaned(sessions("abab", "xy"), min_item_support=2) == ({1: "abab"}, {RARE: (2, 1, 2)})


def test_a_rare_item_may_leave_a_repeat_behind():
    """Repeats are judged once, before: cleaning twice is not always the same as cleaning once."""
    events = sessions("axab", "ab")
    once, counts = cleaned(events, drop_repeats=True, min_item_support=2)
    assert (once, counts) == ({1: "aab", 2: "ab"}, {RARE: (1, 0, 1)})


def test_overlong_sessions_are_dropped_or_cut_after_their_first_events():
    events = sessions("abcde", "ab", "abc")
    assert cleaned(events, max_session_length=3) == ({2: "ab", 3: "abc"}, {LONG: (5, 1, 2)})
    assert cleaned(events, max_session_length=3, overlong="cut")[0] == {1: "abc", 2: "ab", 3: "abc"}
    assert cleaned(events, max_session_length=5) == ({1: "abcde", 2: "ab", 3: "abc"}, {})


def test_cutting_respects_time_not_the_order_of_the_file():
    events = log((1, "c", 3), (1, "a", 1), (1, "b", 2))
    assert cleaned(events, max_session_length=2, overlong="cut") == ({1: "ab"}, {LONG: (1, 0, 1)})


def test_an_empty_outcome_is_counted_too():
    assert cleaned(sessions("a", "b")) == ({}, {SHORT: (2, 2, 2)})


def test_rules_are_reported_in_order_also_when_they_remove_nothing():
    _, removals = clean(sessions("ab", "ab"), CleaningSettings(min_item_support=1, max_session_length=9))
    assert removals == [Removal("cleaning", reason, 0, 0, 0) for reason in (DUPLICATE, REPEAT, SHORT, RARE, LONG)]
    _, removals = clean(sessions("ab", "ab"), CleaningSettings(**PERMISSIVE))
    assert [removal.reason for removal in removals] == [SHORT, RARE]


def test_text_session_ids():
    events = log((1, "a", 0), (1, "b", 1), (2, "a", 0), (2, "b", 1)).with_columns(
        pl.col(SESSION).replace_strict({1: "z", 2: "10"})
    )
    frame, _ = clean(events, CleaningSettings(min_item_support=1))
    assert list(walks(frame)) == ["10", "z"]
    assert_frame_equal(clean(frame, CleaningSettings(min_item_support=1))[0], frame)


def test_a_summary_by_hand():
    assert summarise(log((1, "a", 0), (1, "b", 1), (2, "a", 5), (2, "b", 6), (2, "c", 7), (3, "a", 86400))) == {
        "events": 6,
        "sessions": 3,
        "items": 3,
        "prefixes": 3,
        "first_time": "1970-01-01T00:00:00Z",
        "last_time": "1970-01-02T00:00:00Z",
        "mean_session_length": 2.0,
        "median_session_length": 2.0,
        "max_session_length": 3,
    }


def test_a_summary_of_nothing():
    summary = summarise(log())
    assert summary["events"] == summary["sessions"] == summary["items"] == 0
    assert summary["first_time"] is summary["mean_session_length"] is summary["max_session_length"] is None


def test_the_longest_allowed_session_is_no_shorter_than_the_shortest():
    with pytest.raises(ValidationError, match="must not be below min_session_length"):
        CleaningSettings(min_session_length=3, max_session_length=2)


@pytest.mark.parametrize("spread", [1, 2**40, -(2**40)])
def test_ids_come_back_whatever_lies_between_them(spread):
    events = log(*((s, i, t) for s in (3, 1, 2) for t, i in enumerate("abab")))
    wide = events.with_columns(pl.col(SESSION) * spread, (pl.col(TIME) // 1_000_000 % 2 * spread).alias(ITEM))
    frame, _ = clean(wide, CleaningSettings(min_item_support=1))
    assert frame.rows() == sorted(wide.rows(), key=lambda row: (row[0], row[2]))


def test_rows_in_any_order_are_put_in_order():
    events = sessions("abcab", "bca", "cab")
    assert_frame_equal(clean(events[::-1], CleaningSettings())[0], clean(events, CleaningSettings())[0])


def test_an_engine_puts_held_events_back_in_order():
    engine = PolarsEngine()
    held = engine.compute(engine.events([sessions("ab", "ba")]).pop())
    moved = lazy(native(held)[::-1])
    assert_frame_equal(native(engine.compute(moved)), native(held))
