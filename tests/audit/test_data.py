"""Every check of a log finds its fault, is silent on clean logs, and says numbers that can be counted by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.audit.data import DATA, audit_data
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.faults import LOG_FAULTS, plant
from gru4rec_cli.study.describing import Options
from tests.audit.faulty import audited, clean_log, data_results, wrong

MINUTE = 60_000_000
# What a fault brings with it: copies have equal times, and so on.
ALSO = {
    "equal_times": {"D02-order-signal", "D04-duplicates"},
    "duplicate_rows": {"D03-equal-times"},
    "join_duplicates": {"D03-equal-times", "D04-duplicates"},
    "two_units": {"D09-missing-days", "D14-robots"},
    "users_as_sessions": {"D10-sessions-over-midnight"},
    "wrong_column": {"D06-immediate-repeats", "D20-items-seen-once"},
}


@pytest.mark.parametrize("seed", [3, 4])
def test_clean_logs_pass(seed: int):
    assert wrong(data_results(clean_log(seed))) == set()


@pytest.mark.parametrize("name", LOG_FAULTS)
def test_a_planted_fault_is_found_and_named(name: str):
    fault = LOG_FAULTS[name]
    found = wrong(data_results(plant(clean_log(), [name], seed=1)))
    assert fault.check in found
    assert found <= {fault.check} | ALSO.get(name, set())


def test_every_check_has_a_fault_that_it_finds():
    """D12 needs a column of users, which events have not: see the test below."""
    assert {fault.check for fault in LOG_FAULTS.values()} == set(DATA.all) - {"D12-sessions-of-two-users"}


def test_sessions_of_two_users_are_found(tmp_path: Path):
    rows = [f"{n % 10},{n},{n},{n % 20}" for n in range(60)]  # sessions 0 to 9, each with two users
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["SessionId,ItemId,Time,UserId", *rows]))
    options = Options(user="UserId", session="SessionId")
    results = {result.id: result for result in audit_data(path, options=options).results}
    assert results["D12-sessions-of-two-users"].verdict == "FAIL"
    path.write_text(
        "\n".join(
            ["SessionId,ItemId,Time,UserId", *(row.rsplit(",", 1)[0] + f",{n % 10}" for n, row in enumerate(rows))]
        )
    )
    results = {result.id: result for result in audit_data(path, options=options).results}
    assert results["D12-sessions-of-two-users"].verdict == "PASS"
    results = {result.id: result for result in audit_data(path).results}
    assert results["D12-sessions-of-two-users"].verdict == "NOT CHECKED"


def test_figures_are_those_counted_by_hand():
    """Two sessions: items 1 2 2 3 at minutes 0 0 1 1 with the last row twice, and 4 5 in the wrong order."""
    events = pl.DataFrame(
        [(1, 1, 0), (1, 2, 0), (1, 2, 1), (1, 3, 1), (1, 3, 1), (2, 5, 3), (2, 4, 2)],
        [SESSION, ITEM, TIME],
        orient="row",
    ).with_columns(pl.col(TIME) * MINUTE + 1_700_000_000_000_000)
    results = data_results(events)
    assert results["D01-rows-out-of-order"].figure == pytest.approx(1 / 7)
    assert results["D03-equal-times"].figure == pytest.approx(3 / 5)
    assert results["D04-duplicates"].figure == pytest.approx(1 / 7)
    assert results["D06-immediate-repeats"].figure == pytest.approx(2 / 5)
    assert results["D18-constant-columns"].verdict == "NOT CHECKED"  # too few events
    assert results["D20-items-seen-once"].figure == pytest.approx(3 / 5)


def test_without_times_nothing_is_said_about_them(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_text("SessionId,ItemId\n1,2\n1,3\n2,2\n2,4\n")
    results = audit_data(path, options=Options(time="none")).results
    unknown = {result.id for result in results if result.verdict == "NOT CHECKED"}
    assert {"D01-rows-out-of-order", "D03-equal-times", "D07-times", "D11-sessions-longer-than-a-day"} <= unknown
    assert "D20-items-seen-once" not in unknown


def test_the_order_of_rows_changes_one_check_alone():
    log = clean_log()
    shuffled = log.sample(fraction=1, shuffle=True, seed=1)
    one, other = data_results(log), data_results(shuffled)
    different = {name for name in one if one[name].figure != pytest.approx(other[name].figure)}
    assert different == {"D01-rows-out-of-order"}


def test_a_log_of_one_event_can_be_audited():
    one = pl.DataFrame({SESSION: [1], ITEM: [1], TIME: [1_700_000_000_000_000]})
    assert len(audited(one).results) == len(DATA.all)


def test_text_ids_can_be_audited():
    text = clean_log().with_columns(pl.format("s{}", SESSION), pl.format("i{}", ITEM))
    assert wrong(data_results(text)) == set()


def test_faults_are_the_same_for_a_seed():
    log = clean_log()
    names = [*np.random.default_rng(0).permutation(["reloads", "fast_robots", "missing_items"])]
    assert plant(log, names, 5).equals(plant(log, names, 5))


def test_pandas_and_arrow_tables_give_the_same():
    log = plant(clean_log(), ["duplicate_rows"], 1)
    expected = [result.document() for result in audited(log).results]
    assert [result.document() for result in audited(log.to_pandas()).results] == expected
    assert [result.document() for result in audited(log.to_arrow()).results] == expected
