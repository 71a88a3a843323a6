"""Windows of a log: borders worked out by hand, every session in the one in which it starts."""

from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from gru4rec_cli.base.errors import CheckError, DataError
from gru4rec_cli.base.names import SESSION
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_log
from gru4rec_cli.data.windows import OUTSIDE, WindowSettings, find_window
from tests.data.logs import SECOND, log, walks

RULES: dict[str, Any] = {"min_item_support": 1, "drop_repeats": False, "test": 0.5}


def settings(number: int, of: int, **rules: Any) -> SplitSettings:
    return SplitSettings.model_validate({**RULES, **rules, "window": {"number": number, "of": of}})


@pytest.mark.parametrize(
    ("first", "last", "of", "borders"),
    [
        (0, 9, 2, [0, 5, 10]),
        (100, 109, 3, [100, 103, 106, 110]),  # 100 + floor(10 / 3), 100 + floor(20 / 3)
        (7, 7, 2, [7, 7, 8]),
        (0, 10**15, 4, [0, 250_000_000_000_000, 500_000_000_000_000, 750_000_000_000_000, 10**15 + 1]),
    ],
)
def test_borders_divide_the_span_evenly_and_leave_no_moment_out(first: int, last: int, of: int, borders: list[int]):
    windows = [find_window(first, last, WindowSettings(number=k, of=of)) for k in range(1, of + 1)]
    assert [(window.start, window.end) for window in windows] == list(pairwise(borders))


def test_a_session_is_in_the_window_in_which_it_starts_and_stays_whole():
    # From second 0 to 100: the border is at 50 s (half a microsecond later, rounded down), just where a session starts.
    events = log(
        ("ab", (0, 1)), ("ab", (20, 90)), ("ab", (30, 31)), ("ba", (49, 50)),
        ("ba", (50, 51)), ("ab", (60, 61)), ("ab", (80, 81)), ("ab", (98, 100)),
    )  # fmt: skip
    first, second = (split_log(events, settings(number, 2, straddle="train")) for number in (1, 2))
    assert walks(first.train) == {1: "ab", 2: "ab"}
    assert walks(first.test) == {3: "ab", 4: "ba"}
    assert walks(second.train) == {5: "ba", 6: "ab"}
    assert walks(second.test) == {7: "ab", 8: "ab"}
    border = 50 * SECOND
    assert first.statistics["window"] == {
        "start": "1970-01-01T00:00:00Z",
        "end": "1970-01-01T00:00:50Z",
        "start_microseconds": 0,
        "end_microseconds": border,
    }
    assert second.statistics["window"]["start_microseconds"] == border
    assert second.statistics["window"]["end_microseconds"] == 100 * SECOND + 1


def test_days_and_recent_sessions_are_those_of_the_window():
    day = 86_400
    events = log(*[("ab", (k * day, k * day + 1)) for k in range(14)])
    found = split_log(events, settings(1, 2, by="days", test=1.5, recent={"share": 0.5}))
    assert walks(found.test) == {6: "ab", 7: "ab"}  # the window's last click is at 6 d + 1 s
    assert walks(found.train) == {3: "ab", 4: "ab", 5: "ab"}  # the last half of five, rounded up
    assert found.statistics["cuts"]["test"]["microseconds"] == (6 * day + 1 - day * 3 // 2) * SECOND


def test_cleaning_knows_only_the_window():
    """c has two events in the log, one in each window."""
    half = [("abc", (0, 1, 2)), ("ab", (3, 4)), ("ab", (5, 6)), ("ab", (7, 8))]
    events = log(*half, *[(items, [time + 10 for time in times]) for items, times in half])
    for number in (1, 2):
        found = split_log(events, settings(number, 2, min_item_support=2))
        assert "c" not in "".join([*walks(found.train).values(), *walks(found.test).values()])


def test_what_lies_outside_is_counted_and_the_split_proves_itself(tmp_path):
    events = log(*[("abc" if k == 9 else "ab", range(10 * k, 10 * k + 2 + (k == 9))) for k in range(10)])
    rules = settings(1, 2)
    found = split_log(events, rules)
    assert [r for r in found.statistics["removals"] if r["step"] == "window"] == [
        {"step": "window", "reason": OUTSIDE, "events": 11, "sessions": 5, "items": 1}
    ]
    assert found.statistics["input"]["log"]["sessions"] == 10
    write_split(found, tmp_path)
    assert "no test event is before the window's start at 1970-01-01T00:00:00Z" in verify_split(tmp_path, rules)


def test_events_before_the_window_are_found_in_what_was_written(tmp_path):
    events = log(*[("ab", (10 * k, 10 * k + 1)) for k in range(10)])
    rules = settings(2, 2)
    found = split_log(events, rules)
    found.statistics["window"]["start_microseconds"] += 10 * SECOND
    write_split(found, tmp_path)
    with pytest.raises(CheckError, match="no train event is before the window's start"):
        verify_split(tmp_path, rules)


def test_all_windows_together_hold_every_session_once():
    events = log(*[("ab", (7 * k, 7 * k + 1)) for k in range(40)])
    parts = [
        part[SESSION].unique().to_list()
        for number in (1, 2, 3)
        for found in [split_log(events, settings(number, 3))]
        for part in (found.train, found.test)
    ]
    assert sorted(session for part in parts for session in part) == list(range(1, 41))


def test_a_window_without_sessions_or_with_too_few_is_named():
    events = log(("ab", (0, 1)), ("ab", (2, 3)), ("ab", (90, 91)), ("ab", (92, 99)))
    with pytest.raises(DataError) as empty:
        split_log(events, settings(2, 3))
    assert empty.value.message == (
        "window 2 of 3: no session starts at 1970-01-01T00:00:33Z or later and before 1970-01-01T00:01:06Z"
    )
    assert empty.value.hint == "cut the log into fewer windows"
    with pytest.raises(DataError, match=r"^window 1 of 3: the training part.* is left with a single session") as few:
        split_log(events, settings(1, 3))
    assert few.value.hint.endswith("; or cut the log into fewer windows")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"windows": 1}, "greater than or equal to 2"),
        ({"windows": 101}, "less than or equal to 100"),
        ({"windows": 3, "window": {"number": 1, "of": 3}}, "window: selects one window, but windows asks for all"),
        ({"window": {"number": 4, "of": 3}}, "there is no window 4 of 3"),
        ({"window": {"number": 1}}, "Field required"),
        ({"windows": 3, "by": "time", "test": "2024-01-01"}, "by: time is a single moment"),
        ({"window": {"number": 1, "of": 3}, "by": "time", "test": 5}, "by: time is a single moment"),
    ],
)
def test_windows_that_cannot_be_are_refused(given: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        SplitSettings.model_validate(given)
