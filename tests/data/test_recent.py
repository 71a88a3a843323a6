"""Training on the last sessions alone: the test part stays, but for items that only older sessions had."""

from typing import Any

import pytest
from pydantic import ValidationError

from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_given, split_log
from gru4rec_cli.data.windows import RecentSettings
from tests.data.logs import DAY, log, walks

RULES: dict[str, Any] = {"min_item_support": 1, "test": 0.2}


def split(events, **recent):
    return split_log(events, SplitSettings(**RULES, recent=RecentSettings(**recent)))


def test_a_share_of_the_training_sessions_that_starts_last():
    events = log(*[("ab", (10 * k, 10 * k + 1)) for k in range(10)])  # 8 of them are training
    assert list(walks(split(events, share="1/4").train)) == [7, 8]
    assert list(walks(split(events, share=0.5).train)) == [5, 6, 7, 8]
    assert list(walks(split(events, share=1.0).train)) == list(range(1, 9))
    assert list(walks(split(events, share="1/4").test)) == [9, 10]


def test_the_sessions_of_some_days_and_what_went_is_counted():
    events = log(
        *[("ab" if k else "cab", (k * DAY, k * DAY + 1, k * DAY + 2)[: 3 - bool(k)]) for k in range(9)],
        ("abc", (9 * DAY, 9 * DAY + 1, 9 * DAY + 2)),
    )
    found = split(events, days=3.0)
    assert list(walks(found.train)) == [6, 7, 8]
    assert walks(found.test) == {9: "ab", 10: "ab"}  # c was in session 1 alone
    assert [
        (r["events"], r["sessions"], r["items"])
        for r in found.statistics["removals"]
        if r["reason"] == "session too old"
    ] == [(11, 5, 1)]


def test_files_that_are_split_can_be_reduced_too():
    train, test = log(*[("ab", (10 * k, 10 * k + 1)) for k in range(8)]), log(*[("ab", (90, 91))] * 20)[-2:]
    found = split_given(train, test, SplitSettings(**RULES, recent=RecentSettings(share="1/4")))
    assert list(walks(found.train)) == [7, 8]


@pytest.mark.parametrize(
    "recent", [{}, {"share": 0.5, "days": 3.0}, {"share": 0.0}, {"share": "1/0"}, {"share": "half"}, {"days": 0.0}]
)
def test_what_is_no_share_and_no_number_of_days_is_refused(recent):
    with pytest.raises(ValidationError):
        SplitSettings(recent=recent)
