"""Descriptions of logs small enough to work out by hand, and a signal that is planted or taken away."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.describing import describe, drift
from gru4rec_cli.data.order_signal import order_signal
from tests.data.logs import DAY, SECOND, log


def test_counts_repeats_and_times():
    events = log(("aaba", (1_500_000_000, 1_500_000_000, 1_500_000_005, 1_500_000_009)), ("b", (1_500_000_003,)))
    events = pl.concat([events, events[3:4], events[:1]])  # a duplicate, twice; the last row goes back in time
    found = describe(events)
    assert (found["events"], found["sessions"], found["items"]) == (7, 2, 2)
    assert found["repeats"] == {
        "immediate": 3,
        "share_immediate": 3 / 5,
        "earlier_in_session": 4,
        "share_earlier_in_session": 4 / 7,
        "exact_duplicates": 3,
    }
    assert found["equal_times"] == {"events": 3, "sessions": 1}
    assert found["out_of_order"] == {"in_their_session": 1, "in_the_file": 2}
    assert found["session_lengths"]["sessions_by_length"] == [[1, 1], [6, 1]]
    assert found["session_lengths"]["share_of_one_event"] == 0.5
    assert found["item_support"]["events_by_rank"] == [5, 2]
    assert found["times"] == {"resolution": "seconds", "median_year": 2017, "guess": "plausible"}
    assert describe(events, in_file_order=False)["out_of_order"] is None


def test_nothing_but_out_of_order_depends_on_the_order_of_rows():
    random = np.random.default_rng(0)
    events = log(*[("".join(random.choice(list("abcdef"), 5)), range(k * 9000, k * 9000 + 5)) for k in range(60)])
    other = events.sample(fraction=1, shuffle=True, seed=1)
    one, two = describe(events), describe(other)
    assert one.pop("out_of_order") != two.pop("out_of_order")
    assert one == two


@pytest.mark.parametrize(
    ("start", "step", "resolution", "guess"),
    [
        (1_500_000_000 * SECOND, 1000, "milliseconds", "plausible"),
        (1_500_000_000 * 1000, 1000, "milliseconds", "the unit is wrong: read as seconds, the median"),
        (SECOND, SECOND, "seconds", "row numbers"),
        (1_500_000_000 * SECOND, 7, "microseconds", "plausible"),
        (16_000 * DAY * SECOND, DAY * SECOND, "days", "plausible"),
    ],
)
def test_the_unit_of_times_is_guessed(start, step, resolution, guess):
    times = [start + k * step for k in range(4)]
    found = describe(pl.DataFrame({SESSION: [1, 1, 2, 2], ITEM: [1, 2, 1, 2], TIME: times}))["times"]
    assert found["resolution"] == resolution
    assert found["guess"].startswith(guess)


def test_drift_by_day():
    events = log(("aab", (0, 1, 2)), ("abb", (3 * DAY, 3 * DAY + 1, 3 * DAY + 2)), ("cc", (4 * DAY, 4 * DAY + 1)))
    first, second, third = drift(events)
    assert first == {
        "day": "1970-01-01",
        "events": 3,
        "share_on_new_items": 1.0,
        "to_previous_day": None,
        "to_first_day": None,
    }
    assert second["day"] == "1970-01-04"
    assert second["share_on_new_items"] == 0.0
    assert second["to_previous_day"] == second["to_first_day"] == pytest.approx(4 / 5)  # (2, 1) and (1, 2)
    assert (third["share_on_new_items"], third["to_previous_day"], third["to_first_day"]) == (1.0, 0.0, 0.0)


def test_days_of_very_many_clicks_on_one_item_are_alike():
    clicks = 70_000  # its square is beyond 32 bits
    times = [0] * clicks + [DAY * SECOND] * (clicks + 30_000)
    items = [1] * (2 * clicks) + [2] * 30_000
    events = pl.DataFrame({SESSION: range(len(items)), ITEM: items, TIME: times})
    assert drift(events)[1]["to_previous_day"] == pytest.approx(7 / math.hypot(7, 3))


def test_the_order_signal_by_hand():
    """Training: a→b three times and b→c once; tried: a→b. Witten & Bell: P(b|a) = (3 + 1 · pop b) / (3 + 1)."""
    events = log(("ab", (0, 1)), ("ab", (2, 3)), ("abc", (4, 5, 6)), ("aa", (7, 8)), ("ab", (9, 10)))
    found = order_signal(events)
    assert found["transitions"] == 1
    pop_a, pop_b = 6 / 13, 4 / 13  # a is clicked 5 times, b 3 times, c once; one more for each, and one for all others
    assert found["forward"]["recall"] == 1.0
    assert found["forward"]["gain"] == pytest.approx(math.log((3 + pop_b) / 4 / pop_b))
    assert found["reversed"]["recall"] == 0.0
    assert found["reversed"]["gain"] == pytest.approx(math.log(pop_a / 2 / pop_a))


def _cycle(forward: Any) -> pl.DataFrame:
    """Sessions of 6 clicks round a circle of 30 items; `forward` tells for each session which way."""
    random = np.random.default_rng(1)
    starts = random.integers(0, 30, len(forward))
    steps = np.arange(6)
    items = (starts[:, None] + np.where(forward, 1, -1)[:, None] * steps) % 30
    session = np.repeat(np.arange(len(forward)), 6)
    return pl.DataFrame({SESSION: session, ITEM: items.ravel(), TIME: np.arange(session.size)})


def test_a_one_way_circle_shows_and_a_two_way_one_does_not():
    one_way = order_signal(_cycle(np.ones(600, bool)))
    assert one_way["forward"]["recall"] == 1.0
    assert one_way["reversed"]["recall"] == 0.0
    two_way = order_signal(_cycle(np.arange(600) % 2 == 0))
    assert two_way["forward"]["gain"] == pytest.approx(two_way["reversed"]["gain"], abs=0.05)
    assert two_way["forward"]["gain"] > 2


def test_without_transitions_there_is_no_signal():
    found = order_signal(log(("a", (0,)), ("bb", (1, 2))))
    assert found["transitions"] == 0
    assert found["forward"] == {"recall": None, "gain": None}
