"""Every check of a split finds its fault and is silent on a clean one; known splits are named."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.audit.check import Choice
from gru4rec_cli.audit.known import Counts, KnownSplit, Order, name_of_split
from gru4rec_cli.audit.split import SPLIT, audit_split, audit_tables
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.faults import SPLIT_FAULTS
from tests.audit.faulty import by_id, clean_split, split_results, wrong

LATE, COPIED, SHARED_EVENTS = "S01-training-after-test", "S04-copied-sessions", "S09-same-events"
# What a fault brings with it: a copy of a test session is in training at the time of the test, and so on.
ALSO = {
    "random_split": {LATE},
    "sessions_cut_in_two": {LATE},
    "test_in_training": {LATE, SHARED_EVENTS},
    "events_under_two_sessions": {LATE, COPIED},
    "always_the_next_item": {"S05-copied-prefixes"},
    "filtered_with_the_test": {"S13-sessions-of-one-event"},
}


@pytest.mark.parametrize("seed", [3, 4])
def test_clean_splits_pass(seed: int):
    train, test = clean_split(seed)
    late = train[TIME].quantile(0.9)
    valid = pl.col(TIME).min().over(SESSION) >= late
    assert wrong(split_results(train.filter(~valid), test, train.filter(valid))) == set()


@pytest.mark.parametrize("name", SPLIT_FAULTS)
def test_a_planted_fault_is_found_and_named(name: str):
    fault = SPLIT_FAULTS[name]
    found = wrong(split_results(*fault.plant(*clean_split(), np.random.default_rng(1))))
    assert fault.check in found
    assert found <= {fault.check} | ALSO.get(name, set())


def test_every_check_has_a_fault_that_it_finds():
    validation = {"S07-validation-after-test", "S08-validation-in-test"}  # tested below
    assert {fault.check for fault in SPLIT_FAULTS.values()} == set(SPLIT.all) - validation


def test_validation_of_the_time_of_the_test_and_of_the_test_itself():
    train, test = clean_split()
    late = test.with_columns(pl.col(SESSION) + 10**6, pl.col(TIME) + 1)
    assert wrong(split_results(train, test, late)) == {"S07-validation-after-test"}
    assert {"S07-validation-after-test", "S08-validation-in-test"} <= wrong(split_results(train, test, test))


def test_figures_are_those_counted_by_hand():
    """Training 1 2 3, 1 2; test 1 2 1 2, 9 2: the follower of 1 is 2, that of 2 is 3."""
    train = frame([(1, 1, 0), (1, 2, 1), (1, 3, 2), (2, 1, 3), (2, 2, 4)])
    test = frame([(3, 1, 3), (3, 2, 6), (3, 1, 7), (3, 2, 8), (4, 9, 9), (4, 2, 10), (5, 1, 11)])
    results = split_results(train, test)
    assert results[LATE].figure == pytest.approx(2 / 5)
    assert results["S02-not-by-time"].figure == pytest.approx(0.5 / 6)  # sessions 2 and 3 start together
    assert results["S06-unknown-items"].figure == pytest.approx(1 / 7)
    assert results[SHARED_EVENTS].figure == pytest.approx(1 / 7)
    assert results["S13-sessions-of-one-event"].figure == pytest.approx(1 / 3)
    assert results["S10-bigrams"].verdict == "NOT CHECKED"


def frame(rows: list[tuple[int, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, {SESSION: pl.Int64, ITEM: pl.Int64, TIME: pl.Int64}, orient="row")


def sessions(targets: int, first_session: int, first_item: int, items: int) -> pl.DataFrame:
    """One session with so many events to predict, which goes round through the items."""
    rows = np.arange(targets + 1)
    return pl.DataFrame({SESSION: np.full(targets + 1, first_session), ITEM: first_item + rows % items, TIME: rows})


def test_the_counts_of_a_known_split_with_other_clicks_are_not_its_order():
    train, test = sessions(719_470, 0, 0, 43_097), sessions(60_858, 1, 0, 100)
    diginetica = "the Diginetica split of the SR-GNN line"
    named = name_of_split(train, test)
    assert named.startswith(f"{diginetica} by its counts")
    assert "training has 43,097 different pairs of consecutive items in place of 487,995" in named
    near = name_of_split(train.head(-10), test)
    assert near.startswith(f"nearly {diginetica}: 719,460 training targets in place of 719,470, and the order of")
    assert name_of_split(test, test).startswith("none of those that are known (60,858 training targets")


PUBLISHED = [[1, 2, 3, 4], [2, 3, 5], [1, 2, 4]] * 20  # pairs 12 23 34 35 24, first items 1 2
PUBLISHED_TEST = [[1, 2, 3], [1, 4]] * 20  # pairs 12 23 14, first item 1
OURS = [KnownSplit("ours", Counts(140, 60, 5), Order(5, 2, 3, 1)), KnownSplit("another", Counts(7, 7))]


def of_lists(lists: list[list[int]], name: str = "{}") -> pl.DataFrame:
    table = pl.DataFrame({SESSION: range(len(lists)), ITEM: lists}).explode(ITEM)
    return table.with_columns(pl.format(name, pl.col(ITEM) * 7 % 11))


def test_a_known_split_is_named_whatever_its_ids():
    """7 i mod 11 puts the items in another order: 7 3 10 6 2."""
    named = name_of_split(of_lists(PUBLISHED, "item-{}"), of_lists(PUBLISHED_TEST, "item-{}"), OURS)
    assert named == "ours, by its counts and the order of its clicks (140 training targets, 60 test targets, 5 items)"
    unknown_order = [OURS[0]._replace(order=None)]
    named = name_of_split(of_lists(PUBLISHED), of_lists(PUBLISHED_TEST), unknown_order)
    assert named == "ours, by its counts (140 training targets, 60 test targets, 5 items)"


def test_a_known_split_with_clicks_in_another_order_is_not_called_the_same():
    generator = np.random.default_rng(1)
    shuffled = [[*map(int, generator.permutation(clicks))] for clicks in PUBLISHED]
    reversed_test = [clicks[::-1] for clicks in PUBLISHED_TEST]
    for train, test in ((shuffled, PUBLISHED_TEST), (PUBLISHED, reversed_test)):
        named = name_of_split(of_lists(train), of_lists(test), OURS)
        assert named.startswith("ours by its counts (140 training targets, 60 test targets, 5 items), but the order of")
    assert named.endswith("sessions differs: the test has 2 different first items of sessions in place of 1")


def test_a_known_split_that_lacks_a_row_is_nearly_it():
    lacking = of_lists([*PUBLISHED[:-1], PUBLISHED[-1][:-1]])
    near = name_of_split(lacking, of_lists(PUBLISHED_TEST), OURS)
    assert near == "nearly ours: 139 training targets in place of 140"
    backwards = of_lists([clicks[::-1] for clicks in PUBLISHED[:-1]] + [[2, 1]])  # first items 4 5 2: one more
    near = name_of_split(backwards, of_lists(PUBLISHED_TEST), OURS)
    assert near == ("nearly ours: 139 training targets in place of 140, and the order of clicks in sessions differs")


def test_files_and_ids_of_two_types(tmp_path: Path):
    train, test = clean_split()
    train.write_csv(tmp_path / "train.csv")
    test.with_columns(pl.format("x{}", ITEM)).write_csv(tmp_path / "test.csv")
    from gru4rec_cli.study.describing import Options

    options = Options(session=SESSION, item=ITEM, time=TIME, time_unit="microseconds")
    audit = audit_split([tmp_path / "train.csv", tmp_path / "test.csv"], options, Choice(("S06-unknown-items",)))
    assert [result.figure for result in audit.results] == [1.0]


def test_one_file_is_no_split(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no split"):
        audit_split([tmp_path])
    with pytest.raises(UsageError, match="4 files: a split has two or three"):
        audit_split([tmp_path] * 4)
    (tmp_path / "train.csv").touch()
    with pytest.raises(UsageError, match="is one file: a split has two or three"):
        audit_split([tmp_path / "train.csv"])


def test_tables_in_memory_give_the_same():
    parts = SPLIT_FAULTS["test_in_training"].plant(*clean_split(), np.random.default_rng(1))
    columns = {"session": SESSION, "item": ITEM, "time": TIME}
    found = audit_tables(*(part.to_pandas() for part in parts), **columns, time_unit="microseconds")
    assert by_id(found.results) == split_results(*parts)
