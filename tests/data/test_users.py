"""The user of each session, kept beside the parts and named in ranks and lists."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.base.names import SESSION
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.reading import read_log
from gru4rec_cli.data.users import USER
from tests.small import study, write_config

HEADER = "SessionId,ItemId,Time,who\n"


def users_of(folder: Path, rows: list[str], **data: Any) -> dict[str, str] | None:
    path = folder / "clicks.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    users = read_log(path, DataSettings.model_validate({"source": str(path), "columns": {"user": "who"}} | data)).users
    return None if users is None else dict(users.select(SESSION, USER).iter_rows())


def test_each_session_has_the_user_of_its_rows(tmp_path: Path):
    rows = ["1,a,0,ann", "1,b,1,ann", "2,a,2,bob", "2,b,3,", "3,a,4,", "3,b,5,"]
    assert users_of(tmp_path, rows) == {"1": "ann", "2": "bob"}
    assert users_of(tmp_path, rows, columns={}) is None


def test_a_session_of_several_users_or_of_a_missing_one_has_none(tmp_path: Path):
    rows = [f"{number},{item},{number},u{number}" for number in range(40) for item in "ab"]
    expected = {str(number): f"u{number}" for number in range(40)}
    assert users_of(tmp_path, [*rows, "3,c,3,u4"]) == {name: user for name, user in expected.items() if name != "3"}
    data = {"missing": ("u5",)}
    assert users_of(tmp_path, rows, **data) == {name: user for name, user in expected.items() if name != "5"}


def test_sessions_made_by_pauses_have_the_user_that_they_were_cut_from(tmp_path: Path):
    rows = ["1,a,0,bob", "2,b,10,ann", "1,c,20,bob", "1,d,7200,bob", "2,e,7210,ann"]
    by_user = {"sessions": {"by": "user", "gap_minutes": 30.0}}
    assert users_of(tmp_path, rows, **by_user) == {"0": "ann", "1": "ann", "2": "bob", "3": "bob"}
    cut = {"sessions": {"gap_minutes": 30.0}}  # session 1 of bob is cut first
    assert users_of(tmp_path, rows, **cut) == {"0": "bob", "1": "bob", "2": "ann", "3": "ann"}


@pytest.mark.slow
@pytest.mark.parametrize("given", [False, True])
def test_the_split_keeps_users_and_ranks_and_lists_name_them(tmp_path: Path, given: bool):
    """Ten sessions an hour apart, of users 100 to 102 in turn; the last two are the test."""
    rows = [f"{n},{item},{3600 * n + place},{100 + n % 3}\n" for n in range(10) for place, item in enumerate([7, 8, 9])]
    (tmp_path / "log.csv").write_text(HEADER + "".join(rows))
    (tmp_path / "train.csv").write_text(HEADER + "".join(rows[:24]))
    (tmp_path / "test.csv").write_text(HEADER + "".join(rows[24:]))
    files = {"train": "train.csv", "test": "test.csv"} if given else {"source": "log.csv"}
    data: dict[str, Any] = {key: str(tmp_path / file) for key, file in files.items()}
    config = {
        "name": "users",
        "data": data | {"columns": {"user": "who"}},
        "split": {} if given else {"test": 0.2, "valid": 0.25},
        "baseline": {"models": {"popularity": {}}},
        "evaluate": {"cutoffs": [2], "resamples": 20},
    }
    run = tmp_path / "run"
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", run)
    assert done.returncode == 0, done.stderr
    kept = pl.read_parquet(run / "split" / "users.parquet")
    parts = ["train"] * 8 if given else ["train"] * 6 + ["valid"] * 2
    assert kept.columns == ["session_id", "user_id", "part"]
    assert kept.rows() == [(n, 100 + n % 3, part) for n, part in enumerate([*parts, "test", "test"])]
    assert "users.parquet" in json.loads((run / "split" / "manifest.json").read_text())["outputs"]
    for folder in ("ranks", "lists"):
        table = pl.read_parquet(run / "evaluate" / folder / "popularity.parquet")
        assert table.columns[:3] == ["session_id", "user_id", "position"]
        named = table.select("session_id", "user_id", "position").rows()
        assert named == [(8, 102, 1), (8, 102, 2), (9, 100, 1), (9, 100, 2)]

    config["data"] = data  # without a column of users, no file has them
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert not (run / "split" / "users.parquet").exists()
    assert "user_id" not in pl.read_parquet(run / "evaluate" / "ranks" / "popularity.parquet").columns
    assert "user_id" not in pl.read_parquet(run / "evaluate" / "lists" / "popularity.parquet").columns
