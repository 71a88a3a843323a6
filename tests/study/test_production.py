"""`split.test: 0`: a model for use is fitted on everything, and nothing is evaluated."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.data import split
from gru4rec_cli.models.registry import load_model
from tests.small import study, write_config
from tests.study.test_given import clicks

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {"name": "production", "baseline": {"models": {"popularity": {}}}}
AS_IS: dict[str, Any] = {
    "drop_duplicates": False,
    "drop_repeats": False,
    "min_session_length": 1,
    "min_item_support": 1,
}


def write(folder: Path, config: dict[str, Any] | None = None, **settings: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    clicks().write_csv(folder / "log.csv")
    data = {"source": str(folder / "log.csv")}
    return write_config(folder, {**CONFIG, "data": data, **(config or {}), "split": {"test": 0, **settings}})


def table(folder: Path, part: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "run" / "split" / f"{part}.parquet")


def test_everything_is_training_and_a_run_says_what_it_left_out(tmp_path: Path):
    config = write(tmp_path, **AS_IS)
    run = ("--config", str(config), "--run-dir", str(tmp_path / "run"))
    done = study("run", *run)
    assert done.returncode == 0, done.stderr
    for stage in ("evaluate", "report"):
        assert f"{stage}: left out (there is no test part to rank: split.test is 0)" in done.stderr
        assert not (tmp_path / "run" / stage).exists()
        refused = study(stage, *run)
        assert refused.returncode == 2
        assert "there is no test part to rank: split.test is 0" in " ".join(refused.stderr.split())
    assert study("joint", *run).returncode == 2
    assert not (tmp_path / "run" / "split" / "test.parquet").exists()
    written = sorted(table(tmp_path, "train").with_columns(pl.col("time") // 1_000_000).iter_rows())
    assert written == sorted(clicks().iter_rows())
    assert "There is no test part" in study("split", *run).stdout
    again = json.loads(study("run", *run, "--json").stdout)
    assert [(stage["stage"], stage["action"]) for stage in again["stages"]] == [
        ("split", "skipped"),
        ("baseline", "skipped"),
    ]
    assert [row["stage"] for row in again["left_out"]] == ["evaluate", "report"]
    assert study("verify", tmp_path / "run").returncode == 0
    counts = clicks().group_by("ItemId").len()
    best = load_model(tmp_path / "run" / "baseline" / "popularity").recommend([0], 1)[0]
    assert counts.filter(pl.col("ItemId") == int(best[0]))["len"].item() == counts["len"].max()


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        ({"valid": 0.25}, 75),  # the last quarter of 300 sessions, one starting every hour
        ({"by": "days", "valid": 0.99}, 24),  # those that start less than 23.76 hours before the last event
    ],
)
def test_validation_may_still_be_taken(tmp_path: Path, settings: dict[str, Any], last: int):
    entry = {"layers": [4], "epochs": 1, "batch_size": 16, "n_sample": 8, "validate_on": "recall@5"}
    config = write(tmp_path, {"train": {"models": {"gru4rec": entry}}}, unseen="keep", **AS_IS, **settings)
    done = study("split", "--config", config, "--run-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    single = clicks().group_by("SessionId").len().filter(pl.col("len") == 1)["SessionId"].to_list()
    longer = [session for session in range(300 - last, 300) if session not in single]
    assert table(tmp_path, "valid")["session_id"].unique().sort().to_list() == longer
    assert table(tmp_path, "train")["session_id"].max() == 299 - last


def test_a_preset_and_recent_sessions(tmp_path: Path):
    config = write(tmp_path, preset="diginetica", recent={"share": "1/2"})
    done = study("split", "--config", config, "--run-dir", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    statistics = json.loads((tmp_path / "run" / "split" / "statistics.json").read_text())
    assert statistics["preset"]["verdict"] == "not applicable"
    kept = statistics["parts"]["train"]["sessions"]
    assert kept == next(step for step in statistics["steps"])["after"]["sessions"]
    assert 0 < kept < 160


def test_a_split_in_a_notebook_has_an_empty_test():
    parts = split(clicks(), test=0)
    assert parts.test.height == 0
    assert parts.test.schema == clicks().schema
    assert parts.train.height > 0


@pytest.mark.parametrize(
    ("config", "settings", "said"),
    [
        ({}, {"windows": 3}, "split.windows: each window is evaluated, but test: 0 leaves no test"),
        ({}, {"by": "days", "end": 1_700_000_000}, "split.end: the days of `test` are counted from it"),
        ({"data": {"train": "a.csv", "test": "b.csv"}}, {}, "split.test: 0 leaves no test, but data.test gives one"),
        ({}, {"by": "column"}, "split.test: there is no cut with by: column"),
        ({}, {"valid": 0}, "split.valid: must be between 0 and 1"),
    ],
)
def test_what_needs_a_test_is_refused(tmp_path: Path, config: dict[str, Any], settings: dict[str, Any], said: str):
    done = study("split", "--config", write(tmp_path, config, **settings), "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split())
