"""Files that are given as train and test: taken as they are (fault 7), their leaks said loudly (fault 6)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.stages.split import results
from tests.small import study, write_config

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "name": "given",
    "baseline": {"models": {"popularity": {}, "markov": {}}},
    "evaluate": {"resamples": 50, "permutations": 100},
    "report": {"languages": ["en", "es"]},
}
COLUMNS = ["SessionId", "ItemId", "Time"]


def clicks(n_sessions: int = 300) -> pl.DataFrame:
    """Sessions of one to six clicks, one starting every hour; every fifth click repeats the one before."""
    rng = np.random.default_rng(5)
    rows = []
    for session in range(n_sessions):
        items = rng.integers(0, 40, rng.integers(1, 7)).tolist()
        items = [items[k - 1] if k and k % 5 == 0 else item for k, item in enumerate(items)]
        rows += [(session, item, 1_700_000_000 + 3600 * session + 7 * k) for k, item in enumerate(items)]
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.Int64), orient="row")


def write(folder: Path, train: pl.DataFrame, test: pl.DataFrame, **split: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train": folder / "train.tsv", "test": folder / "test.tsv"}
    for part, frame in (("train", train), ("test", test)):
        frame.write_csv(files[part], separator="\t")
    data = {part: str(path) for part, path in files.items()}
    return write_config(folder, {**CONFIG, "data": data, **({"split": split} if split else {})})


def by_sessions(log: pl.DataFrame, chosen: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    inside = pl.col("SessionId").is_in(pl.Series(chosen).implode())
    return log.filter(~inside), log.filter(inside)


def test_a_random_division_is_said_on_screen_beside_the_results_and_in_the_report(tmp_path: Path):
    """fault 6: no page may call it a division by time."""
    log = clicks()
    chosen = np.random.default_rng(0).permutation(300)[:60]
    config = write(tmp_path, *by_sessions(log, chosen))
    done = study("run", "--config", config, "--run-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "[test-not-later]" in done.stderr
    results = done.stdout.split("Results at K")[1]
    assert "not divided by time" in " ".join(results.split())
    statistics = json.loads((tmp_path / "run" / "split" / "statistics.json").read_text())
    late = log.filter(~pl.col("SessionId").is_in(pl.Series(chosen).implode()) & (pl.col("Time") >= 1_700_000_000))
    first = 1_700_000_000 + 3600 * int(chosen.min())
    assert statistics["leaks"]["late_events"] == late.filter(pl.col("Time") >= first).height
    assert 0.4 < statistics["leaks"]["later"] < 0.6
    for page, claim in (("summary.md", "not divided by time"), ("summary.es.md", "no están divididos por tiempo")):
        text = (tmp_path / "run" / "report" / page).read_text()
        assert claim in text.split("| ---")[0]
        assert "one split by time" not in text
        assert "Una sola división temporal" not in text


def test_given_files_are_taken_as_they_are(tmp_path: Path):
    """fault 7: repeats, rare items and sessions of one click stay in both parts."""
    train, test = by_sessions(clicks(), range(240, 300))
    config = write(tmp_path, train, test)
    done = study("split", "--config", config, "--run-dir", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    for part, given in (("train", train), ("test", test)):
        kept = pl.read_parquet(tmp_path / "run" / "split" / f"{part}.parquet")
        assert kept.height == given.height
        assert sorted(zip(kept["session_id"], kept["item_id"], kept["time"] // 1_000_000, strict=True)) == sorted(
            given.iter_rows()
        )
    assert "warning" not in done.stderr


def test_what_cleaning_changed_in_given_files_stands_beside_the_results(tmp_path: Path):
    """fault 7: cleaning that is asked for applies, and is told."""
    train, test = by_sessions(clicks(), range(240, 300))
    config = write(tmp_path, train, test, drop_repeats=True, min_session_length=2)
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    statistics = json.loads((tmp_path / "run" / "split" / "statistics.json").read_text())
    repeats = {r["step"]: r["events"] for r in statistics["removals"] if r["reason"] == "immediate repeat"}
    same = (pl.col("ItemId") == pl.col("ItemId").shift()) & (pl.col("SessionId") == pl.col("SessionId").shift())
    assert repeats == {"cleaning": train.filter(same).height, "test": test.filter(same).height}
    shown = " ".join(done.stdout.split())
    assert "were given and then cleaned" in shown
    assert f"from the test: {repeats['test']} (immediate repeat)" in shown


def test_a_preset_of_given_files_cleans_as_it_says(tmp_path: Path):
    config = write(tmp_path, clicks(), clicks(), preset="yoochoose")
    assert load_config(config).split.min_item_support == 5
    assert load_config(write(tmp_path, clicks(), clicks())).split.min_item_support == 1


def test_events_that_cannot_be_ranked_stay_in_the_files_and_are_counted(tmp_path: Path):
    """fault 7: a test session of two events, one of them of an item that training lacks."""
    train, test = by_sessions(clicks(), range(240, 300))
    strange = pl.DataFrame([(900, 5, 1_800_000_000), (900, 77, 1_800_000_001)], schema=test.schema, orient="row")
    config = write(tmp_path, train, pl.concat([test, strange]))
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "run" / "split" / "test.parquet").height == test.height + 2
    single = int((test.group_by("SessionId").len()["len"] == 1).sum())
    metrics = json.loads((tmp_path / "run" / "evaluate" / "metrics.json").read_text())
    assert metrics["division"]["left_out"] == {"unseen_events": 1, "sessions": single + 1}
    assert metrics["protocol"]["sessions"] == 60 - single
    assert metrics["protocol"]["events"] == test.height - 60
    assert f"1 events of items that are not in the training data; then {single + 1} sessions" in " ".join(
        done.stdout.split()
    )


def test_split_shows_no_table_of_removals_where_nothing_was_removed(tmp_path: Path):
    rule = {"step": "cleaning", "reason": "immediate repeat", "events": 0, "sessions": 0, "items": 0}
    for removed, tables in ((0, 1), (2, 2)):
        (tmp_path / "statistics.json").write_text(json.dumps({"removals": [{**rule, "events": removed}]}))
        shown = results(tmp_path, {}).tables
        assert len(shown) == tables
        assert ("Nothing was removed." in shown[0].notes) == (removed == 0)


def test_files_that_share_session_ids_run_to_the_end_with_a_warning(tmp_path: Path):
    log = clicks(60).filter(pl.len().over("SessionId") > 1).with_columns(pl.lit("u").alias("UserId"))
    ids = log["SessionId"].unique(maintain_order=True)
    test = log.filter(pl.col("SessionId").is_in(ids[-12:].implode()))
    train = log.filter(~pl.col("SessionId").is_in(ids[-12:].implode()))
    renamed = dict(zip(ids[-2:].to_list(), ids[:2].to_list(), strict=True))  # two sessions of the test get known ids
    train.write_csv(tmp_path / "train.csv")
    test.with_columns(pl.col("SessionId").replace(renamed), pl.lit("v").alias("UserId")).write_csv(
        tmp_path / "test.csv"
    )
    data = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv"), "columns": {"user": "UserId"}}
    path = write_config(tmp_path, {**CONFIG, "data": data, "report": {"languages": ["en"]}})
    done = study("run", "-c", path, "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "2 session ids occur in both data.train and data.test, such as" in " ".join(done.stderr.split())
    split = {part: pl.read_parquet(tmp_path / "run" / "split" / f"{part}.parquet") for part in ("train", "test")}
    assert (split["train"].height, split["test"].height) == (train.height, test.height)
    assert study("verify", tmp_path / "run").returncode == 0
