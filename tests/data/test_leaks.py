"""Leaks of files that are given as train and test: fault 6."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.warnings import StudyWarning, collected
from gru4rec_cli.data.leaks import copied, find_leaks, kind_of_overlap, warn_of_leaks

Walk = tuple[int, str, int]  # id, items, time of the first click; one second between clicks


def log(*walks: Walk) -> pl.DataFrame:
    ordered = sorted(walks, key=lambda walk: (walk[2], walk[0]))
    rows = [(id, item, (start + k) * 1_000_000) for id, items, start in ordered for k, item in enumerate(items)]
    return pl.DataFrame(rows, schema={SESSION: pl.Int64, ITEM: pl.String, TIME: pl.Int64}, orient="row")


def warned(leaks: dict[str, Any]) -> list[StudyWarning]:
    with collected() as found:
        warn_of_leaks(leaks)
    return found


TEN = [(n, "ab", 10 * n) for n in range(10)]


def test_a_division_by_time_has_no_leak():
    leaks = find_leaks(log(*TEN[:7]), log(*TEN[7:]))
    assert (leaks["later"], leaks["late_events"], leaks["late_sessions"], leaks["train_events"]) == (1.0, 0, 0, 14)
    assert kind_of_overlap(leaks) == "none"
    assert warned(leaks) == []


def test_pairs_of_sessions_are_counted_and_equal_starts_half():
    """Training starts at 0 and 20, the test at 10, 20 and 30: later in 1 + 1.5 + 2 of 6 pairs."""
    leaks = find_leaks(log((1, "abc", 0), (2, "ab", 20)), log((3, "ab", 10), (4, "ab", 20), (5, "ab", 30)))
    assert leaks["later"] == pytest.approx(4.5 / 6)
    assert (leaks["late_events"], leaks["late_sessions"]) == (2, 1)
    assert leaks["first_test_event"] == "1970-01-01T00:00:10Z"


def test_a_session_across_the_border_is_told_with_its_share():
    train = log((0, "a" * 95, 0), *[(n, "ab", n) for n in range(1, 40)])
    leaks = find_leaks(train, log((90, "ab", 90), (91, "ab", 91)))
    assert kind_of_overlap(leaks) == "late"
    (warning,) = warned(leaks)
    assert warning.id == "train-after-test"
    assert "5 of 173 training events (2.9 %)" in warning.message
    assert "1970-01-01T00:01:30Z" in warning.message


def test_a_random_division_is_called_so():
    leaks = find_leaks(log(*TEN[::2]), log(*TEN[1::2]))
    assert leaks["later"] == pytest.approx(15 / 25)  # 10, 30 … against 0, 20 …: 1 + 2 + 3 + 4 + 5
    (warning,) = warned(leaks)
    assert warning.id == "test-not-later"
    assert "60 % of all pairs" in warning.message


def test_exchanged_files_are_called_so():
    leaks = find_leaks(log(*TEN[7:]), log(*TEN[:7]))
    (warning,) = warned(leaks)
    assert warning.id == "train-and-test-exchanged"
    assert "exchange data.train and data.test" in warning.hint


def test_copies_under_new_ids_are_found_by_items_and_times():
    train, test = [(n, "ab", 10 * n) for n in range(40)], [(n, "ba", 10 * n) for n in range(100, 120)]
    copies = [(id + 1000, items, start) for id, items, start in test[:5]]
    leaks = find_leaks(log(*train, *copies), log(*test))
    exact = leaks["copies"]["items and times"]
    assert (exact["sessions"], exact["of"], exact["example"]) == (5, 20, ["100", "1100"])
    assert exact["expected"] == pytest.approx(20 * 1 / 46)  # no twins in training, and one added
    warning = next(w for w in warned(leaks) if w.id == "test-in-train")
    assert "5 test sessions" in warning.message
    assert "'100' and '1100'" in warning.message


def test_copies_with_other_times_are_found_where_they_are_long():
    long = ["abcde", "bcdea", "cdeab", "deabc", "eabcd"]
    train = [*[(n, "ab", 10 * n) for n in range(40)], *[(50 + n, walk, 700 + 9 * n) for n, walk in enumerate(long)]]
    test = [(100 + n, walk, 2000 + 10 * n) for n, walk in enumerate(long)]
    leaks = find_leaks(log(*train), log(*test))
    assert leaks["copies"]["items and times"]["sessions"] == 0
    assert leaks["copies"]["items"]["sessions"] == 5
    (warning,) = warned(leaks)
    assert "5 test sessions are in training, too, with the same items but another id" in warning.message


def test_sessions_that_are_often_equal_by_chance_are_no_copies():
    """Days as times and two items: training sessions have as many twins among themselves."""
    train = [(n, "ab" if n % 2 else "ba", 0) for n in range(50)]
    test = [(100 + n, "ab", 0) for n in range(10)]
    found = find_leaks(log(*train), log(*test))["copies"]["items and times"]
    assert found["sessions"] == 10
    assert found["expected"] == pytest.approx(10.0)
    assert copied({"copies": {"items and times": found}}) is None


def test_row_numbers_are_not_compared():
    leaks = find_leaks(log(*TEN[7:]), log(*TEN[:7]), timed=False)
    assert kind_of_overlap(leaks) == "unknown"
    assert leaks["later"] is None
    assert list(leaks["copies"]) == ["items"]
    assert warned(leaks) == []


@given(st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=4), min_size=1, max_size=12), st.data())
def test_copies_are_those_that_a_plain_comparison_finds(walks: list[list[int]], data: st.DataObject):
    """A property, on sessions so short and times so coarse that many are equal."""
    starts = data.draw(st.lists(st.integers(0, 2), min_size=len(walks), max_size=len(walks)))
    sessions = [
        (n, "".join("abc"[i] for i in walk), start) for n, (walk, start) in enumerate(zip(walks, starts, strict=True))
    ]
    cut = data.draw(st.integers(0, len(sessions) - 1))
    train, test = [(99, "zz", 0), *sessions[:cut]], sessions[cut:]
    found = find_leaks(log(*train), log(*test))["copies"]["items and times"]
    known = {walk[1:] for walk in train}
    assert found["sessions"] == sum(walk[1:] in known for walk in test)
