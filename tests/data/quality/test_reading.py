"""The checks reach whoever reads a log: `split`, `describe` and notebooks; rows without an id can be dropped."""

import json
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.base.warnings import StudyWarning, collected
from gru4rec_cli.data import describe, split
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.quality.missing import LARGE_SHARE
from gru4rec_cli.data.reading import findings_of, read_log
from gru4rec_cli.data.removals import NO_ID
from gru4rec_cli.study.describing import Options, describe_input
from tests.small import study

NOW = 1_700_000_000


def data_settings(**given: object) -> DataSettings:
    return DataSettings.model_validate_json(json.dumps(given))


def written(path: Path, rows, header="SessionId,ItemId,Time") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def rows(sessions=60, first=0, missing=()):
    """Sessions of four clicks; of the numbers in `missing`, the id is the text NULL."""
    return [
        ("NULL" if s in missing else s, (s + k) % 7, NOW + 3600 * s + 60 * k)
        for s in range(first, first + sessions)
        for k in range(4)
    ]


def config(folder: Path, data: str, more: str = "") -> Path:
    path = folder / "x.yaml"
    path.write_text(f"name: x\ndata: {data}\n{more}")
    return path


def test_rows_without_an_id_are_dropped_and_counted_and_the_other_ids_stay_integers(tmp_path):  # fault 41
    path = written(tmp_path / "e.csv", [*rows(missing=(3, 4)), ("", 1, NOW), (9, "-1", NOW)])
    settings = data_settings(source=str(path), missing=("NULL", "-1", ""))
    log = read_log(path, settings)
    assert log.events.height == 60 * 4 - 8
    assert log.events.schema[SESSION] == log.events.schema[ITEM] == pl.Int64
    assert [(r["reason"], r["events"]) for r in log.facts["removals"]] == [(NO_ID, 10)]
    assert log.facts["rows"] == 60 * 4 + 2
    assert log.findings == []
    with pytest.raises(DataError, match="the id is empty"):  # without the empty text, it is a bad row
        read_log(path, settings.model_copy(update={"missing": ("NULL",)}))


def test_missing_ids_in_parquet_and_beside_bad_rows(tmp_path):  # fault 41
    frame = pl.DataFrame({"SessionId": ["a", "a", "NULL", None], "ItemId": [1, -1, 2, 3], "Time": [1, 2, 3, 4]})
    frame.write_parquet(tmp_path / "e.parquet")
    settings = data_settings(source="e", missing=("NULL", "-1"), on_error="skip")
    log = read_log(tmp_path / "e.parquet", settings)
    assert log.events.rows() == [("a", 1, 1_000_000)]
    assert {r["reason"]: r["events"] for r in log.facts["removals"]} == {NO_ID: 2, "bad row": 1}
    with pytest.raises(DataError, match="every one of its 4 events lacks an id"):
        read_log(tmp_path / "e.parquet", settings.model_copy(update={"missing": ("NULL", "a", "")}))


def test_further_missing_values_are_added_to_those_that_are_set(tmp_path):
    path = written(tmp_path / "e.csv", [*rows(missing=(3, 4)), ("", 1, NOW)])
    (finding,) = read_log(path, data_settings(source=str(path), missing=("", "-1"))).findings
    assert finding.hint == (
        'add "NULL" to data.missing, so that it reads data.missing: ["", "-1", "NULL"], to drop and count these rows'
    )
    by_user = {"columns": {"user": "user"}, "sessions": {"by": "user", "gap_minutes": 30}, "missing": [""]}
    clicks = [*rows(400), *(("bot2", n % 7, NOW + n) for n in range(400))]
    path = written(tmp_path / "f.csv", clicks, "user,ItemId,Time")
    (finding,) = [f for f in read_log(path, data_settings(source=str(path), **by_user)).findings if f.id == LARGE_SHARE]
    assert 'Add "bot2" to data.missing, so that it reads data.missing: ["", "bot2"], to drop' in finding.hint


def test_users_without_a_name_are_dropped_before_sessions_are_made(tmp_path):  # fault 41
    path = written(tmp_path / "e.csv", rows(missing=range(0, 60, 10)), "user,ItemId,Time")
    settings = {"source": str(path), "columns": {"user": "user"}, "sessions": {"by": "user", "gap_minutes": 30}}
    (finding,) = read_log(path, data_settings(**settings)).findings
    assert "the user id 'NULL'" in finding.message
    log = read_log(path, data_settings(**settings, missing=["NULL"]))
    assert (log.findings, log.events[SESSION].n_unique()) == ([], 54)


def test_session_numbers_that_restart_for_every_user(tmp_path):  # fault 42
    numbered = [(s % 3, f"u{s // 3}", i, t) for s, i, t in rows()]
    path = written(tmp_path / "e.csv", numbered, "SessionId,user,ItemId,Time")
    columns = {"user": "user"}
    ids = [f.id for f in read_log(path, data_settings(source=str(path), columns=columns)).findings]
    assert "sessions-of-several-users" in ids
    single = written(tmp_path / "f.csv", [(s, f"u{s // 3}", i, t) for s, i, t in rows()], "SessionId,user,ItemId,Time")
    assert read_log(single, data_settings(source=str(single), columns=columns)).findings == []
    with pytest.raises(DataError, match="no column 'usr'"):
        read_log(single, data_settings(source=str(single), columns={"user": "usr"}))
    with pytest.raises(DataError, match="no columns 'item', 'usr'"):
        read_log(single, data_settings(source=str(single), columns={"user": "usr", "item": "item"}))


def test_many_skipped_rows_are_said(tmp_path):
    path = written(tmp_path / "e.csv", [*rows(20), *((s, i, "then") for s, i, _ in rows(20))])
    (finding,) = read_log(path, data_settings(source=str(path), on_error="skip")).findings
    assert finding.id == "many-bad-rows"
    assert "80 of 160 rows (50%)" in finding.message
    assert "not a time" in finding.message


@pytest.mark.slow
def test_split_and_describe_say_the_same_and_need_no_models(tmp_path):  # faults 40, 41
    written(tmp_path / "train.csv", rows(40))
    written(tmp_path / "test.csv", [(s, f"{i}.0", t) for s, i, t in rows(20, first=40)])
    path = config(tmp_path, "{train: train.csv, test: test.csv}", "split: {unseen: miss}\n")
    done = study("split", "-c", path, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'0.0' in the test and '0' in training" in done.stderr
    manifest = json.loads((tmp_path / "runs" / "x" / "split" / "manifest.json").read_text())
    assert [warning["id"] for warning in manifest["warnings"]] == ["test-ids-in-another-form"]
    said = json.loads(study("describe", "--config", path, "--json", cwd=tmp_path).stdout)["warnings"]
    assert [warning["id"] for warning in said] == ["test-ids-in-another-form"]
    assert study("run", "-c", path, cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_split_says_nothing_of_long_sessions_that_a_setting_limits(tmp_path):  # fault 43
    written(tmp_path / "e.csv", [*rows(), *((999, n % 7, NOW + n) for n in range(3000))])
    path = config(tmp_path, "{source: e.csv}")
    assert "[long-sessions]" in study("split", "-c", path, cwd=tmp_path).stderr
    limited = study("split", "-c", path, "--set", "split.max_session_length=50", cwd=tmp_path)
    assert limited.returncode == 0
    assert "warning" not in limited.stderr


def test_describe_by_users_and_event_types_names_its_own_options(tmp_path):
    typed = [(s, "view" if i % 2 else "cart", i, t) for s, i, t in rows(missing=(1, 2, 3))]
    path = written(tmp_path / "e.csv", typed, "user,kind,ItemId,Time")
    options = Options(user="user", gap_minutes=30, event="kind", keep=("view",))
    with pytest.warns(StudyWarning, match="the user id 'NULL'"):
        found = describe_input(path, None, options)
    assert found["warnings"][0]["hint"] == 'give --missing "NULL" to drop and count these rows'
    assert found["events"] == sum(kind == "view" for _, kind, _, _ in typed)
    clean = describe_input(path, None, Options(user="user", gap_minutes=30, missing=("NULL",)))
    assert (clean["sessions"], clean["warnings"]) == (57, [])
    with pytest.raises(UsageError, match="--user") as error:
        describe_input(path, None, Options(user="user"))
    assert "--gap-minutes 30" in error.value.hint
    with pytest.raises(DataError) as missing:
        describe_input(path, None, Options(session="usr"))
    assert missing.value.hint == "name the column in --session; did you mean 'user'?"
    with pytest.raises(UsageError, match="--keep"):
        describe_input(path, None, Options(session="user", keep=("view",)))


def test_notebooks_are_warned_too_with_the_names_of_arguments():  # fault 43
    table = pd.DataFrame(rows(), columns=["SessionId", "ItemId", "Time"])
    robot = pd.DataFrame({"SessionId": 999, "ItemId": [n % 7 for n in range(3000)], "Time": range(NOW, NOW + 3000)})
    both = pd.concat([table, robot])
    with pytest.warns(StudyWarning, match="the session 999 has 3,000 events.*Give max_session_length=50"):
        describe(both)
    with collected() as said:
        split(both, max_session_length=50)
        split(table)
    assert said == []


def test_findings_between_two_files_come_after_those_of_each(tmp_path):
    one, two = written(tmp_path / "a.csv", rows(20, missing=(1,))), written(tmp_path / "b.csv", rows(20, first=30))
    settings = data_settings(train=str(two), test=str(one))
    ids = [f.id for f in findings_of([read_log(two, settings), read_log(one, settings)], settings)]
    assert ids == ["missing-value-as-id", "train-and-test-exchanged"]
