"""A written split proves what it promises, and whatever breaks a promise is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gru4rec_cli.base.errors import CheckError, StageError
from gru4rec_cli.base.names import (
    ITEM,
    ITEMS_FILE,
    SESSION,
    STATISTICS_FILE,
    SUPPORT,
    TEST_FILE,
    TIME,
    TRAIN_FILE,
    VALID_FILE,
)
from gru4rec_cli.data.events import read_event_table, write_event_table, write_table
from gru4rec_cli.data.leaks import find_leaks
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.split_settings import AS_GIVEN, SplitSettings
from gru4rec_cli.data.splitting import split_given, split_log
from gru4rec_cli.data.users import USER, USERS_FILE, write_users

SETTINGS = SplitSettings(by="time", test=80, valid=50, min_item_support=1)
WALKS = ["abc", "bca", "ab", "abc", "cab", "abc", "cab", "abc", "bac", "ab"]


def log():
    rows = [(n, item, (10 * n + t) * 1_000_000) for n, walk in enumerate(WALKS) for t, item in enumerate(walk)]
    return pl.DataFrame(rows, schema=[SESSION, ITEM, TIME], orient="row")


@pytest.fixture
def folder(tmp_path):
    write_split(split_log(log(), SETTINGS), tmp_path)
    return tmp_path


def rewrite(folder, name, change):
    write_event_table(change(read_event_table(folder / name)), folder / name)


def change_statistics(folder, change):
    path = folder / STATISTICS_FILE
    statistics = json.loads(path.read_text())
    change(statistics)
    path.write_text(json.dumps(statistics))


def test_the_files_hold_the_split(folder):
    split = split_log(log(), SETTINGS)
    for name, part in ((TRAIN_FILE, split.train), (VALID_FILE, split.valid), (TEST_FILE, split.test)):
        assert part is not None
        assert_frame_equal(read_event_table(folder / name), part)
    assert_frame_equal(pl.read_parquet(folder / ITEMS_FILE), split.items)
    written = json.loads((folder / STATISTICS_FILE).read_text())
    counted = {"session_lengths", "item_support"}  # from the written parts: tests/data/test_distributions.py
    assert {key: value for key, value in written.items() if key not in counted} == split.statistics
    assert counted <= set(written)


def test_equal_splits_give_equal_bytes_whatever_the_order_of_the_file(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_split(split_log(log().sample(fraction=1, shuffle=True, seed=1), SETTINGS), other)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert all((folder / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_the_proof_is_told_in_words(folder):
    statements = verify_split(folder, SETTINGS)
    for statement in (
        "no session is in both train and test",
        "no train event is at or after the cut at 1970-01-01T00:00:50Z",
        "no valid event is at or after the cut at 1970-01-01T00:01:20Z",
        "train has every item of test",
        "all events of the input are in one part or counted as removed",
        "every session of test has at least 2 events",
    ):
        assert statement in statements


def test_kept_straddlers_and_misses_are_not_claimed_away(tmp_path):
    settings = SETTINGS.model_copy(update={"straddle": "train", "unseen": "miss"})
    write_split(split_log(log(), settings), tmp_path)
    statements = " / ".join(verify_split(tmp_path, settings))
    assert "no train event is at or after the cut" not in statements
    assert "train has every item of" not in statements
    assert "every train session starts before the cut at 1970-01-01T00:00:50Z" in statements


@pytest.mark.parametrize("key", ["test", "valid"])
def test_a_straddling_session_may_lose_its_end_to_unseen_items(tmp_path, key):  # fault 5
    """Session 3 begins before the cut at 100 and goes on after it, but only with an item that training lacks."""
    walks = [("abc", 0), ("bca", 10), ("ab", 20), ("abz", 98), ("abc", 101), ("ba", 300), ("ab", 310)]
    rows = [(n, item, (start + t) * 1_000_000) for n, (walk, start) in enumerate(walks) for t, item in enumerate(walk)]
    events = pl.DataFrame(rows, schema=[SESSION, ITEM, TIME], orient="row")
    cuts: dict[str, Any] = {"test": 100} if key == "test" else {"test": 300, "valid": 100}
    settings = SplitSettings(by="time", straddle="test", min_item_support=1, **cuts)
    split = split_log(events, settings)
    part = {"test": split.test, "valid": split.valid}[key]
    assert part is not None
    assert part.filter(pl.col(SESSION) == 3)[ITEM].to_list() == ["a", "b"]
    write_split(split, tmp_path)
    statements = " / ".join(verify_split(tmp_path, settings))
    assert f"every {key} session ends at or after" not in statements
    assert "no train event is at or after the cut at 1970-01-01T00:01:40Z" in statements


def test_a_part_that_is_not_there_is_not_looked_for(tmp_path):
    test = log().with_columns(pl.col(SESSION) + 100)
    settings = SplitSettings(min_item_support=1)
    write_split(split_given(log(), test, settings), tmp_path)
    assert not (tmp_path / VALID_FILE).exists()
    statements = " / ".join(verify_split(tmp_path, settings))
    assert "valid" not in statements
    assert "the cut at" not in statements


@pytest.mark.parametrize(
    ("name", "change", "broken"),
    [
        (TRAIN_FILE, lambda e: e[1:], "train has the counts of the statistics"),
        (TEST_FILE, lambda e: e.with_columns(pl.lit("z").alias(ITEM)), "test has the counts of the statistics"),
        (TEST_FILE, lambda e: e.with_columns(pl.col(SESSION) - 8), "no session is in both train and test"),
        (TRAIN_FILE, lambda e: e.reverse(), "events of each train session are in order of time"),
        (TRAIN_FILE, lambda e: pl.concat([e[1:], e[:1]]), "each session of train is in one piece"),
        (TRAIN_FILE, lambda e: pl.concat([e[3:], e[:3]]), "sessions of train are in order of start and id"),
    ],
)
def test_a_changed_part_is_noticed(folder, name, change, broken):
    rewrite(folder, name, change)
    with pytest.raises(CheckError, match=f"this check failed: {broken}"):
        verify_split(folder, SETTINGS)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda s: s["removals"][0].update(events=1), "the counts of step 'cleaning' add up"),
        (lambda s: s["input"]["log"].update(events=99), "all events of the input are in one part or counted"),
        (lambda s: s["cuts"]["test"].update(microseconds=10**12), "no test event is before the cut"),
        (lambda s: s["cuts"]["test"].update(microseconds=70_000_000), "no valid event is at or after the cut"),
        (lambda s: s["cuts"]["valid"].update(microseconds=41_000_000), "no train event is at or after the cut"),
    ],
)
def test_changed_statistics_are_noticed(folder, change, broken):
    change_statistics(folder, change)
    with pytest.raises(CheckError, match=f"this check failed: {broken}"):
        verify_split(folder, SETTINGS)


def test_a_changed_item_table_is_noticed(folder):
    items = pl.read_parquet(folder / ITEMS_FILE)
    for changed in (items.reverse(), items.with_columns(pl.col(SUPPORT) + 1)):
        write_table(changed, folder / ITEMS_FILE)
        with pytest.raises(CheckError, match="the item table has the items of train"):
            verify_split(folder, SETTINGS)


def test_other_settings_are_noticed(folder):
    with pytest.raises(CheckError, match="every session of train has at least 3 events"):
        verify_split(folder, SETTINGS.model_copy(update={"min_session_length": 3}))
    with pytest.raises(CheckError, match="no session of train has more than 2 events"):
        verify_split(folder, SETTINGS.model_copy(update={"max_session_length": 2}))


@pytest.mark.parametrize("name", [TRAIN_FILE, VALID_FILE, ITEMS_FILE, STATISTICS_FILE])
def test_missing_and_damaged_files_are_named(folder, name):
    (folder / name).write_bytes(b"nonsense")
    with pytest.raises(StageError, match=name):
        verify_split(folder, SETTINGS)
    (folder / name).unlink()
    with pytest.raises(StageError, match=name):
        verify_split(folder, SETTINGS)


def test_rows_that_were_read_are_in_the_input_or_counted(folder):
    reading = {"rows": log().height + 3, "removals": [{"events": 2}, {"events": 1}]}
    change_statistics(folder, lambda statistics: statistics.update(reading={"log": reading}))
    assert "all rows read as log are in the input or counted as left out" in verify_split(folder, SETTINGS)
    change_statistics(folder, lambda statistics: statistics["reading"]["log"]["removals"].pop())
    with pytest.raises(CheckError, match="all rows read as log"):
        verify_split(folder, SETTINGS)


def test_how_far_training_reaches_into_a_given_test_is_proven(tmp_path: Path):
    """fault 6: one training session of two ends after the first test event."""
    given = SplitSettings(**AS_GIVEN)
    rows = {"train": [(1, 0), (1, 1), (2, 2), (2, 9)], "test": [(3, 5), (3, 6)]}
    train, test = (
        pl.DataFrame({SESSION: [s for s, _ in part], ITEM: [7, 8] * (len(part) // 2), TIME: [t for _, t in part]})
        for part in rows.values()
    )
    split = split_given(train, test, given)
    leaks = find_leaks(split.train, split.test)
    assert leaks["late_sessions"] == 1
    write_split(replace(split, statistics={**split.statistics, "leaks": leaks}), tmp_path)
    assert "1 training sessions have events at or after the first test event" in verify_split(tmp_path, given)
    (tmp_path / "statistics.json").unlink()
    write_split(replace(split, statistics={**split.statistics, "leaks": {**leaks, "late_sessions": 0}}), tmp_path)
    with pytest.raises(CheckError, match="0 training sessions have events at or after the first test event"):
        verify_split(tmp_path, given)


def with_users(folder: Path) -> pl.DataFrame:
    """The table of users beside the written split; session n is of user u0 or u1."""
    users = pl.DataFrame({SESSION: [str(n) for n in range(10)], USER: [f"u{n % 2}" for n in range(10)]})
    parts = {name: read_event_table(folder / f"{name}.parquet") for name in ("train", "valid", "test")}
    write_users(parts, [users], folder)
    return pl.read_parquet(folder / USERS_FILE)


@pytest.mark.parametrize(
    "change",
    [
        lambda users: users[1:],
        lambda users: users.reverse(),
        lambda users: pl.concat([users, users[:1]]),
        lambda users: users.with_columns(pl.lit("test").alias("part")),
        lambda users: users.drop(USER),
        lambda users: users.with_columns(pl.col(SESSION) + 1),
    ],
)
def test_a_changed_table_of_users_is_noticed(folder, change):
    users = with_users(folder)
    assert "the table of users has a row for each session of the parts, in their order" in verify_split(
        folder, SETTINGS
    )
    write_table(change(users), folder / USERS_FILE)
    with pytest.raises(CheckError, match="this check failed: the table of users has a row for each session"):
        verify_split(folder, SETTINGS)


def test_a_damaged_table_of_users_is_named(folder):
    (folder / USERS_FILE).write_bytes(b"PAR1")
    with pytest.raises(StageError, match=r"users\.parquet: cannot be read"):
        verify_split(folder, SETTINGS)
