"""Cleaning and splitting compared with a second account of the same rules: plain loops over lists of events."""

import math
from fractions import Fraction
from itertools import groupby

import polars as pl
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.cleaning import CleaningSettings, clean
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_given, split_log

SECOND = 1_000_000

patient = hypothesis_settings(deadline=None, max_examples=60)
thorough = hypothesis_settings(deadline=None, max_examples=150)


def frame(rows):
    schema = {SESSION: pl.Int64, ITEM: pl.Int64, TIME: pl.Int64}
    return pl.DataFrame([(s, i, t * SECOND) for s, i, t in rows], schema=schema, orient="row")


def rows(events):
    return [(s, i, t // SECOND) for s, i, t in events.iter_rows()]


def by_session(log: list[tuple[int, int, int]]) -> dict[int, list[tuple[int, int]]]:
    """Session → its (item, time) pairs, kept in the order of the list."""
    sessions: dict[int, list[tuple[int, int]]] = {}
    for session, item, time in log:
        sessions.setdefault(session, []).append((item, time))
    return sessions


def in_visiting_order(sessions):
    order = sorted(sessions, key=lambda s: (sessions[s][0][1], s))
    return [(s, item, time) for s in order for item, time in sessions[s]]


def reference_repetitions(log, rules):
    sessions = by_session(sorted(log, key=lambda row: (row[0], row[2])))
    for s, events in sessions.items():
        if rules.drop_duplicates:
            events = list(dict.fromkeys(events))
        if rules.drop_repeats:
            events = [next(run) for _, run in groupby(events, key=lambda event: event[0])]
        sessions[s] = events
    return sessions


def reference_limit(sessions, rules):
    longest = rules.max_session_length or math.inf
    if rules.overlong == "cut" and rules.max_session_length:
        return {s: events[: rules.max_session_length] for s, events in sessions.items()}
    return {s: events for s, events in sessions.items() if len(events) <= longest}


def reference_clean(log, rules):
    sessions = reference_repetitions(log, rules)
    while True:
        before = sum(map(len, sessions.values()))
        sessions = {s: events for s, events in sessions.items() if len(events) >= rules.min_session_length}
        support = [item for events in sessions.values() for item, _ in events]
        kept = {item for item in support if support.count(item) >= rules.min_item_support}
        sessions = {s: [e for e in events if e[0] in kept] for s, events in sessions.items()}
        sessions = {s: events for s, events in sessions.items() if events}
        if sum(map(len, sessions.values())) == before:
            return reference_limit(sessions, rules)


def reference_divide(sessions, amount, rules):
    starts = sorted(events[0][1] for events in sessions.values())
    if rules.by == "ratio":
        cut = starts[math.floor((1 - Fraction(str(amount))) * len(starts))]
    elif rules.by == "days":
        cut = max(events[-1][1] for events in sessions.values()) - round(amount * 86_400)
    else:
        cut = amount
    before, after = {}, {}
    for s, events in sessions.items():
        if events[-1 if rules.straddle == "test" else 0][1] >= cut:
            after[s] = events
        elif events[-1][1] < cut or rules.straddle == "train":
            before[s] = events
        elif rules.straddle == "truncate":
            kept = [event for event in events if event[1] < cut]
            if len(kept) >= 2:
                before[s] = kept
    return before, after


def reference_settle(sessions, train, shortest, rules):
    known = {item for events in train.values() for item, _ in events}
    if rules.unseen == "drop":
        sessions = {s: [event for event in events if event[0] in known] for s, events in sessions.items()}
    return {s: events for s, events in sessions.items() if len(events) >= shortest}


def reference_split(train, test, rules, shortest_test):
    valid = None
    if rules.valid is not None:
        train, valid = reference_divide(train, rules.valid, rules)
        valid = reference_settle(valid, train, 2, rules)
    parts = {"train": train, "valid": valid, "test": reference_settle(test, train, shortest_test, rules)}
    return {name: None if part is None else in_visiting_order(part) for name, part in parts.items()}


CLICKS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 1, 1, 2, 9])), min_size=1, max_size=8)


@st.composite
def logs(draw):
    """Eight to 16 sessions of (item, seconds since the click before), started at odd times, in an odd file order."""
    walks = draw(st.lists(st.tuples(st.integers(0, 40), CLICKS), min_size=8, max_size=16))
    log: list[tuple[int, int, int]] = []
    for session, (time, clicks) in enumerate(walks):
        for item, gap in clicks:
            time += gap
            log.append((session, item, time))
    draw(st.randoms(use_true_random=False)).shuffle(log)
    return log


LOGS = logs()

RULES = {
    "drop_duplicates": st.booleans(),
    "drop_repeats": st.booleans(),
    "min_session_length": st.integers(2, 3),
    "min_item_support": st.sampled_from([1, 1, 2, 4]),
    "max_session_length": st.none() | st.integers(3, 6),
    "overlong": st.sampled_from(["drop", "cut"]),
}


@st.composite
def split_rules(draw):
    rules = {name: draw(values) for name, values in RULES.items()}
    by = draw(st.sampled_from(["ratio", "days", "time"]))
    amounts = {
        "ratio": st.sampled_from([0.1, 0.2, 1 / 3, 0.5, 0.7]),
        "days": st.integers(1, 20).map(lambda seconds: seconds / 86_400),
        "time": st.integers(5, 40),
    }[by]
    test, valid = draw(amounts), draw(st.none() | amounts)
    if by == "time" and valid is not None and valid >= test:
        valid = test - 1
    choices = {"straddle": ["drop", "train", "truncate", "test"], "unseen": ["drop", "miss"]}
    picked = {name: draw(st.sampled_from(values)) for name, values in choices.items()}
    return SplitSettings(**rules, by=by, test=test, valid=valid, **picked)


@patient
@given(log=LOGS, rules=st.builds(CleaningSettings, **RULES))
def test_cleaning_is_what_the_reference_says_and_counts_every_row(log, rules):
    events = frame(log)
    cleaned, removals = clean(events, rules)
    assert rows(cleaned) == in_visiting_order(reference_clean(log, rules))
    assert events.height - sum(r.events for r in removals) == cleaned.height
    for column, count in ((SESSION, "sessions"), (ITEM, "items")):
        lost = sum(getattr(r, count) for r in removals)
        assert events[column].n_unique() - lost == cleaned[column].n_unique()


@patient
@given(log=LOGS, support=st.integers(1, 4), length=st.integers(2, 3), duplicates=st.booleans())
def test_cleaning_twice_is_cleaning_once_where_no_rule_undoes_another(log, support, length, duplicates):
    rules = CleaningSettings(
        min_item_support=support, min_session_length=length, drop_duplicates=duplicates, drop_repeats=False
    )
    once, _ = clean(frame(log), rules)
    assert_frame_equal(clean(once, rules)[0], once)


@patient
@given(log=LOGS, rules=st.builds(CleaningSettings, **RULES), seed=st.randoms())
def test_the_order_of_the_file_matters_only_among_events_of_one_session_and_time(log, rules, seed):
    shuffled = sorted(log, key=lambda row: (row[0], row[2]))
    groups = [list(group) for _, group in groupby(shuffled, key=lambda row: (row[0], row[2]))]
    seed.shuffle(groups)
    assert_frame_equal(clean(frame([row for g in groups for row in g]), rules)[0], clean(frame(log), rules)[0])


def outcome(action):
    """The result, or None where the data is refused because a part is empty or a single session or item."""
    try:
        return action()
    except DataError as error:
        if "is empty" in error.message or "single" in error.message:
            return None
        raise


def check(split, expected, rules, folder):
    """The split is the expected one, its files prove what they promise, and both accounts agree on refusals."""
    if split is None:
        assert any(part is not None and few(part, name) for name, part in expected.items())
        return
    found = {"train": split.train, "valid": split.valid, "test": split.test}
    assert {name: None if part is None else rows(part) for name, part in found.items()} == expected
    assert split.items.rows() == support_of(expected["train"])
    write_split(split, folder)
    assert verify_split(folder, rules)


def few(part, name):
    return not part or (name == "train" and (len({s for s, _, _ in part}) < 2 or len({i for _, i, _ in part}) < 2))


def support_of(train):
    items = [item for _, item, _ in train]
    return [(item, items.count(item)) for item in dict.fromkeys(items)]


START_UNSEEN = [
    (0, 0, 0),
    (0, 1, 0),
    (1, 0, 0),
    (1, 1, 0),
    (2, 0, 0),
    (2, 1, 0),
    (5, 2, 1),
    (5, 0, 2),
    (5, 0, 2),
    (4, 0, 2),
    (4, 0, 2),
]


@thorough
@given(log=LOGS, rules=split_rules())
@example(
    log=START_UNSEEN,
    rules=SplitSettings(
        min_item_support=1, drop_duplicates=False, drop_repeats=False, by="time", test=2, valid=1, straddle="train"
    ),
)
def test_splitting_a_log_is_what_the_reference_says(tmp_path_factory, log, rules):
    split = outcome(lambda: split_log(frame(log), rules))
    cleaned = reference_clean(log, rules)
    if len(cleaned) < 2 or len({item for events in cleaned.values() for item, _ in events}) < 2:
        assert split is None
        return
    before, after = reference_divide(cleaned, rules.test, rules)
    if few(in_visiting_order(before), "train"):
        assert split is None
        return
    check(split, reference_split(before, after, rules, 2), rules, tmp_path_factory.mktemp("split"))


@thorough
@given(train=LOGS, test=LOGS, rules=split_rules())
def test_given_files_are_cleaned_as_the_reference_says(tmp_path_factory, train, test, rules):
    test = [(session + 100, item, time) for session, item, time in test]
    split = outcome(lambda: split_given(frame(train), frame(test), rules))
    cleaned = reference_clean(train, rules)
    if few(in_visiting_order(cleaned), "train"):
        assert split is None
        return
    judged = reference_limit(reference_repetitions(test, rules), rules)
    expected = reference_split(cleaned, judged, rules, rules.min_session_length)
    check(split, expected, rules, tmp_path_factory.mktemp("split"))


@patient
@given(log=LOGS, rules=split_rules())
def test_every_input_event_is_in_one_part_or_counted_as_removed(log, rules):
    split = outcome(lambda: split_log(frame(log), rules))
    if split is None:
        return
    parts = [part for part in (split.train, split.valid, split.test) if part is not None]
    assert sum(part.height for part in parts) + sum(r["events"] for r in split.statistics["removals"]) == len(log)
    kept = pl.concat(parts)
    assert not (set(rows(kept)) - set(log))
    assert sum(part[SESSION].n_unique() for part in parts) == kept[SESSION].n_unique()
