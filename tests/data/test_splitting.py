"""Cuts, straddling sessions and unseen items on logs small enough to work out by hand."""

import datetime
import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, ITEMS_FILE, SESSION, SUPPORT, TEST_FILE, TIME
from gru4rec_cli.base.warnings import StudyWarning
from gru4rec_cli.data.sessions import read_sessions, read_vocabulary
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_given, split_log

PERMISSIVE = {"drop_duplicates": False, "drop_repeats": False, "min_item_support": 1}
SECOND = 1_000_000
DAY = 86_400


def settings(**fields):
    return SplitSettings(**{**PERMISSIVE, **fields})


def log(*walks):
    """Sessions 1, 2, … as (items, time in seconds of each event)."""
    rows = [
        (n, i, t * SECOND) for n, (items, times) in enumerate(walks, start=1) for i, t in zip(items, times, strict=True)
    ]
    return pl.DataFrame(rows, schema={SESSION: pl.Int64, ITEM: pl.String, TIME: pl.Int64}, orient="row")


def walks(events):
    return (
        None
        if events is None
        else dict(events.group_by(SESSION, maintain_order=True).agg(pl.col(ITEM).str.join("")).iter_rows())
    )


def removed(split):
    return {
        (r["step"], r["reason"]): (r["events"], r["sessions"], r["items"])
        for r in split.statistics["removals"]
        if r["events"]
    }


def even_log(n, items="ab"):
    """n sessions of two events, one starting every 10 seconds."""
    return log(*[(items, (10 * k, 10 * k + 1)) for k in range(n)])


@pytest.mark.parametrize(
    ("n", "test", "first"),
    [(10, 0.2, 9), (10, 0.1, 10), (10, 0.7, 4), (10, 0.25, 8), (7, 0.2, 6), (10, 0.05, 10), (20, 0.9, 3)],
)
def test_ratio_takes_the_sessions_that_start_last(n, test, first):
    """first = 1 + floor((1 - test) * n); in floating point 1 - 0.9 is a little less than 0.1, and must count as 0.1."""
    split = split_log(even_log(n), settings(test=test))
    assert list(walks(split.test)) == list(range(first, n + 1))
    assert list(walks(split.train)) == list(range(1, first))
    assert split.statistics["cuts"]["test"] == {
        "time": f"1970-01-01T00:{10 * (first - 1) // 60:02}:{10 * (first - 1) % 60:02}Z",
        "microseconds": 10 * (first - 1) * SECOND,
    }


def test_sessions_that_start_together_with_the_cut_are_all_test_sessions():
    events = log(("ab", (0, 1)), ("ab", (1, 2)), ("ab", (5, 6)), ("ab", (5, 7)), ("ab", (5, 8)))
    split = split_log(events, settings(test=0.2))  # index 4 starts at 5, and so do 2 and 3
    assert list(walks(split.train)) == [1, 2]
    assert list(walks(split.test)) == [3, 4, 5]


def test_an_event_exactly_at_the_cut_straddles_and_one_just_before_does_not():
    events = log(("ab", (0, 9)), ("ab", (1, 10)), ("ab", (2, 3)), ("ab", (10, 11)))
    split = split_log(events, settings(test=0.25))
    assert list(walks(split.train)) == [1, 3]
    assert removed(split) == {("test cut", "session straddles the cut"): (2, 1, 0)}


STRADDLING = log(("abc", (0, 1, 2)), ("bca", (1, 2, 10)), ("bc", (3, 12)), ("ab", (10, 11)), ("ab", (13, 14)))


@pytest.mark.parametrize(
    ("straddle", "train", "expected"),
    [
        ("drop", {1: "abc"}, {("test cut", "session straddles the cut"): (5, 2, 0)}),
        ("train", {1: "abc", 2: "bca", 3: "bc"}, {}),
        (
            "truncate",
            {1: "abc", 2: "bc"},
            {("test cut", "event at or after the cut"): (2, 0, 0), ("test cut", "session too short"): (1, 1, 0)},
        ),
    ],
)
def test_straddling_sessions(straddle, train, expected):
    events = pl.concat([STRADDLING, log(("ab", (0, 1))).with_columns(pl.lit(9, pl.Int64).alias(SESSION))])
    split = split_log(events, settings(test="1970-01-01T00:00:10Z", by="time", straddle=straddle))
    assert walks(split.train) == {1: train.pop(1), 9: "ab", **train}
    assert walks(split.test) == {4: "ab", 5: "ab"}
    assert removed(split) == expected
    late = (2, 2) if straddle == "train" else (0, 0)
    overlap = split.statistics["overlap"]
    assert (overlap["train_events_at_or_after_first_test_event"], overlap["of_sessions"]) == late


def test_days_count_back_from_the_last_event():
    events = log(("ab", (0, 1)), ("ab", (DAY, DAY + 1)), ("ab", (2 * DAY, 2 * DAY + 1)), ("ab", (3 * DAY - 5, 3 * DAY)))
    split = split_log(events, settings(by="days", test=1))
    assert list(walks(split.train)) == [1, 2]
    assert list(walks(split.test)) == [3, 4]  # session 3 starts exactly a day before the last event
    split = split_log(events, settings(by="days", test=0.5))
    assert list(walks(split.test)) == [4]


def test_a_given_time_is_the_cut_in_any_spelling():
    events = even_log(6)
    expected = split_log(events, settings(by="time", test=30))
    assert list(walks(expected.test)) == [4, 5, 6]
    for test in ("1970-01-01T00:00:30Z", "1970-01-01 00:00:30", "1970-01-01T01:00:30+01:00"):
        assert_frame_equal(split_log(events, settings(by="time", test=test)).test, expected.test)


def test_yaml_dates_are_times():
    assert settings(by="time", test=datetime.date(2014, 9, 1)).test == "2014-09-01"
    moment = datetime.datetime(2014, 9, 1, 12, tzinfo=datetime.UTC)
    assert settings(by="time", test=moment).test == "2014-09-01T12:00:00+00:00"


def test_validation_is_taken_from_the_remaining_train_by_the_same_rule():
    split = split_log(even_log(10), settings(test=0.2, valid=0.25))  # floor(0.75 * 8) = 6
    assert [list(walks(part)) for part in (split.train, split.valid, split.test)] == [[*range(1, 7)], [7, 8], [9, 10]]
    assert split.statistics["cuts"]["valid"]["microseconds"] == 60 * SECOND
    split = split_log(even_log(10), settings(by="time", test=80, valid=50))
    assert [list(walks(part)) for part in (split.train, split.valid, split.test)] == [
        [*range(1, 6)],
        [6, 7, 8],
        [9, 10],
    ]


def test_validation_days_count_back_from_the_last_event_of_the_remaining_train():
    events = log(*[("ab", (DAY * k, DAY * k + 10)) for k in range(6)])
    split = split_log(events, settings(by="days", test=1.5, valid=1.5))
    assert [list(walks(part)) for part in (split.train, split.valid, split.test)] == [[1, 2], [3, 4], [5, 6]]


def test_a_session_may_straddle_the_validation_cut():
    events = log(("ab", (0, 1)), ("ab", (2, 3)), ("aab", (4, 5, 21)), ("ab", (20, 21)), ("ab", (30, 31)))
    for straddle, train in (("drop", [1, 2]), ("train", [1, 2, 3]), ("truncate", [1, 2, 3])):
        split = split_log(events, settings(by="time", test=30, valid=20, straddle=straddle))
        assert list(walks(split.train)) == train
        assert walks(split.valid) == {4: "ab"}
        assert walks(split.train).get(3) == {"drop": None, "train": "aab", "truncate": "aa"}[straddle]


UNSEEN = log(
    ("ab", (0, 1)), ("ba", (2, 3)), ("axb", (20, 21, 22)), ("ay", (23, 24)), ("xab", (19, 25, 26)), ("zz", (27, 28))
)


def test_unseen_items_are_dropped_and_then_sessions_too_short():
    split = split_log(UNSEEN, settings(by="time", test=10))
    assert walks(split.test) == {3: "ab", 5: "ab"}  # session 5 starts later now that its first event is gone
    assert removed(split) == {
        ("test", "item not in training"): (5, 1, 3),
        ("test", "session too short"): (1, 1, 0),
    }
    assert split.statistics["unseen"] == {
        "valid": None,
        "test": {"events": 5, "sessions": 4, "items": 3, "rule": "drop"},
    }


def test_unseen_items_are_kept_where_they_shall_count_as_misses():
    split = split_log(UNSEEN, settings(by="time", test=10, unseen="miss"))
    assert walks(split.test) == {5: "xab", 3: "axb", 4: "ay", 6: "zz"}
    assert removed(split) == {}
    assert split.statistics["unseen"]["test"] == {"events": 5, "sessions": 4, "items": 3, "rule": "miss"}
    assert split.items[ITEM].to_list() == ["a", "b"]


def test_unseen_items_may_be_kept_in_the_files_and_passed_over_in_ranking(tmp_path):  # fault 4
    split = split_log(UNSEEN, settings(by="time", test=10, unseen="keep"))
    assert walks(split.test) == {5: "xab", 3: "axb", 4: "ay", 6: "zz"}
    ranked = {"events": 4, "sessions": 2, "items": 2}
    facts = {"events": 5, "sessions": 4, "items": 3, "rule": "keep", "ranked": ranked}
    assert split.statistics["unseen"]["test"] == facts
    assert split.statistics["parts"]["test"]["prefixes"] == 6
    write_split(split, tmp_path)
    sessions = read_sessions(tmp_path / TEST_FILE, read_vocabulary(tmp_path / ITEMS_FILE), known_only=True)
    assert sessions.session_ids.tolist() == [5, 3]
    assert sessions.items.tolist() == [0, 1, 0, 1]
    assert sessions.offsets.tolist() == [0, 2, 4]
    assert (sessions.times // SECOND).tolist() == [25, 26, 20, 22]
    only_unseen = log(("ab", (0, 1)), ("ba", (2, 3)), ("ay", (20, 21)))
    with pytest.raises(DataError, match="what models can be ranked by in the test part is empty"):
        split_log(only_unseen, settings(by="time", test=10, unseen="keep"))


def test_days_may_be_counted_back_from_a_fixed_end():  # fault 4
    events = log(*[("ab", (day * DAY, day * DAY + 1)) for day in range(6)])  # the last event: a second into day 5
    last = split_log(events, settings(by="days", test=2))
    assert list(walks(last.test)) == [5, 6]  # the cut is a second into day 3: session 4 straddles it, and goes
    assert list(walks(last.train)) == [1, 2, 3]
    fixed = split_log(events, settings(by="days", test=2, end=5 * DAY))  # the cut is the start of day 3
    assert list(walks(fixed.test)) == [4, 5, 6]
    with pytest.raises(ValidationError, match="end: is only for by: days"):
        settings(by="ratio", end=5 * DAY)
    with pytest.raises(ValidationError, match="end: is a single moment"):
        settings(by="days", test=1, end=5 * DAY, windows=2)


def test_the_days_of_validation_end_at_the_last_training_event_or_at_the_cut():  # fault 4
    events = log(*[("ab", (int(day * DAY), int(day * DAY) + 1)) for day in (0, 0.25, 1, 2, 3, 6)])
    rules = settings(by="days", test=1, valid=2.5, straddle="truncate")  # the cut is a second into day 5
    assert list(walks(split_log(events, rules).valid)) == [3, 4, 5]  # 2.5 days before the last event of day 3
    from_cut = split_log(events, rules.model_copy(update={"valid_end": "cut"}))
    assert list(walks(from_cut.valid)) == [5]  # 2.5 days before the cut: in the middle of day 2


def test_sessions_that_start_at_the_cut_may_be_in_neither_part(tmp_path):  # fault 4
    events = log(("ab", (0, 1)), ("ba", (2, 3)), ("ab", (10, 11)), ("ab", (12, 13)), ("ab", (5, 12)))
    rules = settings(by="time", test=10, on_cut="drop", straddle="train")
    split = split_log(events, rules)
    assert list(walks(split.train)) == [1, 2, 5]
    assert list(walks(split.test)) == [4]
    assert removed(split) == {("test cut", "session starts at the cut"): (2, 1, 0)}
    write_split(split, tmp_path)
    verify_split(tmp_path, rules)
    ends = split_log(events, rules.model_copy(update={"straddle": "test"}))
    assert list(walks(ends.test)) == [5, 4]


def test_sessions_of_equal_start_may_keep_the_order_of_the_file(tmp_path):  # fault 4
    events = log(("ab", (5, 6)), ("cb", (0, 1)), ("ba", (0, 1)), ("ab", (20, 20)))
    shuffled = pl.concat([events[4:5], events[2:4], events[5:6], events[:2], events[6:]])  # 3 b, 2 cb, 3 a, 1 ab, 4 ab
    rules = settings(by="time", test=10, equal_starts="file")
    split = split_log(shuffled, rules)
    assert walks(split.train) == {3: "ba", 2: "cb", 1: "ab"}
    assert list(walks(split.train)) == [3, 2, 1]
    assert split.items[ITEM].to_list() == ["b", "a", "c"]
    write_split(split, tmp_path)
    verify_split(tmp_path, rules)
    by_id = split_log(shuffled, settings(by="time", test=10))
    assert list(walks(by_id.train)) == [2, 3, 1]
    assert by_id.items[ITEM].to_list() == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("share", "train"),
    [
        ("1/3", {3: "ab", 4: "ba"}),
        ("1/2", {3: "abc", 4: "ba"}),
        (0.66, {3: "abc", 4: "ba"}),  # floor(3.96) = 3
        ("5/6", {2: "cb", 3: "abca", 4: "ba"}),
        (1, {1: "ab", 2: "cb", 3: "abca", 4: "ba"}),
    ],
)
def test_the_last_prefixes_are_the_shortest_of_the_oldest_session(tmp_path, share, train):  # fault 4
    """Six prefixes with their targets, in SR-GNN's order: 1 ab; 2 cb; 3 abca, abc, ab; 4 ba."""
    events = log(("ab", (0, 1)), ("cb", (1, 2)), ("abca", (2, 3, 4, 5)), ("ba", (2, 9)), ("cax", (20, 21, 22)))
    rules = settings(by="time", test=15, recent={"prefixes": share, "items": "all"})
    split = split_log(events, rules)
    assert walks(split.train) == train
    assert split.statistics["parts"]["train"]["prefixes"] == sum(len(walk) - 1 for walk in train.values())
    support = {item: "".join(train.values()).count(item) for item in "abc"}
    assert dict(split.items.iter_rows()) == support
    assert split.items[ITEM].to_list() == ["a", "b", "c"]
    assert walks(split.test) == {5: "ca"}  # c is an item of the whole training part, x of none
    write_split(split, tmp_path)
    verify_split(tmp_path, rules)


def test_items_that_only_validation_or_dropped_sessions_hold_are_unseen():
    events = log(
        ("ab", (0, 1)), ("ab", (1, 2)), ("acb", (10, 11, 12)), ("dab", (13, 14, 25)), ("abcd", (20, 21, 22, 23))
    )
    split = split_log(events, settings(by="time", test=20, valid=10))
    assert walks(split.valid) == {3: "ab"}
    assert walks(split.test) == {5: "ab"}


def test_items_stand_in_order_of_first_appearance_with_their_support():
    events = log(("cab", (5, 6, 7)), ("dac", (1, 2, 3)), ("ca", (50, 51)))
    split = split_log(events, settings(by="time", test=50))
    expected = pl.DataFrame({ITEM: ["d", "a", "c", "b"], SUPPORT: [1, 2, 2, 1]}, schema_overrides={SUPPORT: pl.Int64})
    assert_frame_equal(split.items, expected)


def test_support_is_judged_on_the_whole_log():
    events = log(("ab", (0, 1)), ("ac", (2, 3)), ("bab", (20, 21, 22)), ("cb", (23, 24)))
    split = split_log(events, settings(by="time", test=10, min_item_support=2))
    assert split.items.rows() == [("a", 2), ("b", 1), ("c", 1)]


def test_statistics_are_plain_json_with_stable_keys():
    split = split_log(even_log(10), settings(test=0.2, valid=0.25))
    assert json.loads(json.dumps(split.statistics)) == split.statistics
    assert list(split.statistics) == [
        "source", "settings", "input", "cuts", "steps", "removals", "unseen", "overlap", "parts",
    ]  # fmt: skip
    assert [step["step"] for step in split.statistics["steps"]] == [
        "cleaning", "test cut", "validation cut", "validation", "test",
    ]  # fmt: skip
    assert {part: summary["sessions"] for part, summary in split.statistics["parts"].items()} == {
        "train": 6,
        "valid": 2,
        "test": 2,
    }


def given(train, test, **fields):
    first_free = train[SESSION].max() + 1
    return split_given(train, test.with_columns(pl.col(SESSION) + first_free - 1), settings(**fields))


def test_given_files_stay_as_they_are_split():
    split = given(log(("ab", (0, 1)), ("ab", (50, 99))), log(("ab", (40, 41)), ("ba", (2, 3))))
    assert walks(split.train) == {1: "ab", 2: "ab"}
    assert walks(split.test) == {4: "ba", 3: "ab"}
    assert split.statistics["source"] == "given"
    assert split.statistics["cuts"] == {"valid": None, "test": None}
    assert split.statistics["overlap"] == {"train_events_at_or_after_first_test_event": 2, "of_sessions": 1}


def test_given_test_sessions_are_cleaned_without_regard_to_support():
    train = log(("abab", (0, 1, 2, 3)), ("axb", (4, 5, 6)), ("b", (7,)))
    test = log(("aab", (20, 21, 22)), ("ab", (30, 31)), ("ax", (40, 41)), ("ababab", range(50, 56)), ("b", (60,)))
    split = given(train, test, min_item_support=2, drop_repeats=True, max_session_length=5)
    assert walks(split.train) == {1: "abab", 2: "ab"}
    assert walks(split.test) == {4: "ab", 5: "ab"}
    assert removed(split) == {
        ("cleaning", "session too short"): (1, 1, 0),
        ("cleaning", "item too rare"): (1, 0, 1),
        ("test", "immediate repeat"): (1, 0, 0),
        ("test", "session too long"): (6, 1, 0),
        ("test", "item not in training"): (1, 0, 1),
        ("test", "session too short"): (2, 2, 0),
    }


def test_validation_can_be_taken_from_a_given_train():
    split = given(even_log(8), log(("ab", (5, 6))), valid=0.25)
    assert [list(walks(part)) for part in (split.train, split.valid, split.test)] == [[*range(1, 7)], [7, 8], [9]]


def test_given_files_with_integer_and_text_ids_agree_on_text():
    train = even_log(3).with_columns(pl.lit(7, pl.Int64).alias(ITEM))
    train = train.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).mod(2).alias(ITEM))
    test = log(("01x", (50, 51, 52))).with_columns(pl.lit("s1").alias(SESSION))
    split = split_given(train, test, settings())
    assert split.items[ITEM].to_list() == ["0", "1"]
    assert walks(split.test) == {"s1": "01"}
    assert split.train.schema == split.test.schema


def test_given_files_that_share_session_ids_are_taken_as_they_are_and_warned_of():
    keep = settings(unseen="keep", min_session_length=1, min_item_support=1, drop_repeats=False)
    with pytest.warns(StudyWarning, match=r"2 session ids occur in both data.train and data.test, such as 1, 2;"):
        split = split_given(even_log(3), even_log(2), keep)
    assert split.train.height == even_log(3).height
    assert split.test.height == even_log(2).height
    assert split.statistics["parts"]["test"]["sessions"] == 2


@pytest.mark.parametrize(
    ("events", "fields", "message", "hint"),
    [
        (
            log(("a", (0,)), ("b", (1,))),
            {},
            "the log is empty: nothing is left of 2 events; most (2 events) went as 'session too short'",
            "data.columns.session",
        ),
        (even_log(2), {"min_item_support": 5}, "went as 'item too rare' (split.min_item_support)", "min_item_support"),
        (
            log(("ab", (0, 1)), ("a", (3,))),
            {},
            "the log is left with a single session of 2; most (1 events) went as 'session too short'",
            "data.columns.session",
        ),
        (even_log(9, "aa"), {}, "the log is left with a single item of 1", "data.columns.item"),
        (even_log(3), {"test": 0.9}, "the training part, before the cut at 1970-01-01T00:00:00Z,", "lower split.test"),
        (even_log(3), {"by": "days", "test": 2}, "before the cut at 1969-12-30T00:00:21Z, is", "lower split.test"),
        (even_log(3), {"by": "time", "test": 0}, "is empty: every session is on the other side", "to a later time"),
        (
            even_log(3),
            {"by": "time", "test": 99},
            "the test part is empty: every session is on the other side",
            "to an earlier time",
        ),
        (
            log(("ab", (0, 9)), ("ab", (1, 9)), ("ab", (5, 9))),
            {"by": "time", "test": 5},
            "nothing is left of 4 events; most (4 events) went as 'session straddles the cut' (split.straddle)",
            "look at split.straddle",
        ),
        (
            log(("ab", (0, 1)), ("ab", (2, 3)), ("cd", (5, 9))),
            {"by": "time", "test": 5},
            "the test part is empty: nothing is left of 2 events; most (2 events) went as 'item not in training'",
            "look at split.unseen",
        ),
        (even_log(9), {"by": "time", "test": 50, "valid": 45}, "the validation part is empty", "move split.valid"),
        (even_log(4), {"test": 0.25, "valid": 0.9}, "the training part, before the cut", "lower split.valid"),
        (even_log(4), {"test": 0.25, "valid": 0.5}, "is left with a single session", "at least two sessions"),
    ],
)
def test_an_empty_part_names_the_rule_and_the_key(events, fields, message, hint):
    with pytest.raises(DataError) as caught:
        split_log(events, settings(**fields))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_empty_given_test_part():
    with pytest.raises(DataError, match="the test part is empty") as caught:
        given(even_log(3), log(("xy", (50, 51))))
    assert "do data.train and data.test belong together?" in caught.value.hint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test": 1.0}, "test: must be between 0 and 1 with by: ratio, not 1.0"),
        ({"test": 7}, "test: must be between 0 and 1 with by: ratio, not 7"),
        ({"valid": 0.0}, "valid: must be between 0 and 1"),
        ({"test": "0.2"}, "test: must be a number with by: ratio, not the text '0.2'"),
        ({"by": "days", "test": "2014-09-01"}, "test: must be a number with by: days"),
        ({"by": "days", "test": -1}, "test: must be a positive number of days"),
        ({"by": "days", "test": 1e9}, "test: must be a positive number of days, at most 84,000"),
        ({"by": "time", "test": "soon"}, "test: 'soon' is neither an ISO 8601 time"),
        ({"by": "time", "test": -5}, "test: -5.0 is not a time between 1970 and 2200"),
        ({"by": "time", "test": "2014-09-02", "valid": "2014-09-02"}, "must be earlier than test"),
        ({"test": True}, "valid number"),
    ],
)
def test_amounts_must_fit_the_rule(fields, message):
    with pytest.raises(ValidationError) as caught:
        SplitSettings(**fields)
    assert message in str(caught.value)
