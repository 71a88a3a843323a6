"""`split.by: column`: a column of the file says which rows are training, validation and test."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.small import study, write_config
from tests.study.test_given import clicks

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "name": "column",
    "baseline": {"models": {"popularity": {}, "markov": {}}},
    "evaluate": {"resamples": 50, "permutations": 100},
}


def labelled(log: pl.DataFrame | None = None) -> pl.DataFrame:
    """Sessions 0 to 199 are train, 200 to 239 valid, 240 to 299 test."""
    session = pl.col("SessionId")
    part = pl.when(session < 200).then(pl.lit("train")).when(session < 240).then(pl.lit("valid"))
    return (clicks() if log is None else log).with_columns(part.otherwise(pl.lit("test")).alias("part"))


def write(folder: Path, log: pl.DataFrame, data: dict[str, Any] | None = None, **split: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    log.write_csv(folder / "log.csv")
    config = {**CONFIG, "data": {"source": str(folder / "log.csv"), **(data or {})}, "split": {"by": "column", **split}}
    return write_config(folder, config)


def split_into(folder: Path, config: Path) -> tuple[Any, dict[str, pl.DataFrame]]:
    done = study("split", "--config", config, "--run-dir", folder / "run", "--json")
    parts = {path.stem: pl.read_parquet(path) for path in (folder / "run" / "split").glob("*.parquet")}
    return done, parts


def rows(frame: pl.DataFrame) -> list[tuple[int, int, int]]:
    return sorted(frame.select("SessionId", "ItemId", "Time").iter_rows())


def written(frame: pl.DataFrame) -> list[tuple[int, int, int]]:
    return sorted(frame.select("session_id", "item_id", pl.col("time") // 1_000_000).iter_rows())


def test_every_row_is_in_the_part_that_its_column_names(tmp_path: Path):
    log = labelled()
    done, parts = split_into(tmp_path, write(tmp_path, log.sample(fraction=1, shuffle=True, seed=1)))
    assert done.returncode == 0, done.stderr
    for part in ("train", "valid", "test"):
        assert written(parts[part]) == rows(log.filter(pl.col("part") == part))
    assert "warning" not in done.stderr
    statistics = json.loads((tmp_path / "run" / "split" / "statistics.json").read_text())
    assert statistics["source"] == "given"
    assert statistics["leaks"]["late_events"] == 0
    assert statistics["input"]["valid"]["sessions"] == 40


def test_other_names_of_column_and_validation_and_a_parquet_file(tmp_path: Path):
    log = labelled().with_columns(pl.col("part").replace({"valid": "dev"}).cast(pl.Categorical).alias("Fold"))
    tmp_path.mkdir(exist_ok=True)
    log.drop("part").write_parquet(tmp_path / "log.parquet")
    data = {"source": str(tmp_path / "log.parquet"), "columns": {"part": "Fold"}}
    done, parts = split_into(tmp_path, write_config(tmp_path, {**CONFIG, "data": data, "split": {"by": "column"}}))
    assert done.returncode == 0, done.stderr
    assert written(parts["valid"]) == rows(log.filter(pl.col("Fold").cast(pl.String) == "dev"))


def test_a_whole_study_without_times(tmp_path: Path):
    """The layout of public Diginetica splits: SessionId, ItemId, part; the order of the rows is the time."""
    log = labelled().drop("Time").select("SessionId", "ItemId", "part")
    config = write(tmp_path, log, {"columns": {"time": None}}, drop_repeats=True)
    done = study("run", "--config", config, "--run-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    same = (pl.col("ItemId") == pl.col("ItemId").shift()) & (pl.col("SessionId") == pl.col("SessionId").shift())
    repeats = {part: log.filter(same & (pl.col("part") == part)).height for part in ("train", "valid", "test")}
    shown = " ".join(done.stdout.split())
    assert f"Events removed from training: {repeats['train']} (immediate repeat)" in shown
    assert f"given validation part: {repeats['valid']} (immediate repeat)" in shown
    again = study("run", "--config", tmp_path / "run" / "config.yaml", "--run-dir", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    assert "split: skipped" in again.stderr


def test_a_random_division_is_warned_of(tmp_path: Path):
    log = labelled().with_columns(
        pl.when(pl.col("SessionId") % 5 == 0).then(pl.lit("test")).otherwise(pl.lit("train")).alias("part")
    )
    done, _ = split_into(tmp_path, write(tmp_path, log))
    assert done.returncode == 0, done.stderr
    assert "[test-not-later]" in done.stderr


def test_neural_models_validate_on_the_rows_that_say_so(tmp_path: Path):
    entry = {"layers": [4], "epochs": 2, "batch_size": 16, "n_sample": 8, "validate_on": "recall@5"}
    config = json.loads(json.dumps(CONFIG)) | {"train": {"models": {"gru4rec": entry}}}
    for name, log in (("with", labelled()), ("without", labelled().filter(pl.col("part") != "valid"))):
        write(tmp_path / name, log)
        data = {"source": str(tmp_path / name / "log.csv")}
        path = write_config(tmp_path / name, {**config, "data": data, "split": {"by": "column"}})
        run = ["--config", str(path), "--run-dir", str(tmp_path / name / "run")]
        assert study("split", *run).returncode == 0
        done = study("train", *run)
        if name == "with":
            assert done.returncode == 0, done.stderr
            fit = json.loads((tmp_path / name / "run" / "train" / "gru4rec" / "fit.json").read_text())
            assert [sorted(row) for row in fit["curve"]] == [["epoch", "loss", "valid_recall@5"]] * 2
        else:
            assert done.returncode == 2
            assert "needs validation sessions" in done.stderr


@pytest.mark.parametrize("value", ["eval", "Train", "", "0"])
def test_another_value_is_refused_with_its_line_or_skipped(tmp_path: Path, value: str):
    log = labelled().with_row_index("row")
    log = log.with_columns(pl.when(pl.col("row") == 11).then(pl.lit(value)).otherwise(pl.col("part")).alias("part"))
    log = log.drop("row")
    done, _ = split_into(tmp_path, write(tmp_path, log))
    assert done.returncode == 3
    assert "log.csv: line 13, column 'part': the part is " in done.stderr
    assert (repr(value) if value else "empty") in done.stderr
    for allowed in ("train", "valid", "validation", "dev", "test"):
        assert allowed in done.stderr.split("try:")[-1]
    done, parts = split_into(tmp_path / "skip", write(tmp_path / "skip", log, {"on_error": "skip"}))
    assert done.returncode == 0, done.stderr
    statistics = json.loads((tmp_path / "skip" / "run" / "split" / "statistics.json").read_text())
    assert statistics["reading"]["log"]["bad_rows"] == [
        {"reason": "unknown part", "rows": 1, "first": "log.csv, line 13"}
    ]
    assert sum(parts[part].height for part in ("train", "valid", "test")) == log.height - 1


def test_sessions_in_several_parts_are_taken_as_they_are_with_a_warning(tmp_path: Path):
    """The last row of sessions 7 and 9 is of the test, that of 8 of validation, as where each session was cut."""
    log = labelled()
    last = pl.col("Time") == pl.col("Time").max().over("SessionId")
    moved = pl.when(last & pl.col("SessionId").is_in([7, 9])).then(pl.lit("test"))
    also_moved = moved.when(last & (pl.col("SessionId") == 8)).then(pl.lit("valid")).otherwise(pl.col("part"))
    log = log.with_columns(also_moved.alias("part"))
    config = write(tmp_path, log)
    done, parts = split_into(tmp_path, config)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "3 session ids have rows in several parts of" in said
    assert "such as 7, 8, 9; the parts are taken as they are" in said
    assert "[session-in-train-and-test]" in said
    for part in ("train", "valid", "test"):
        assert written(parts[part]) == rows(log.filter(pl.col("part") == part))
    done = study("run", "--config", config, "--run-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert study("verify", tmp_path / "run").returncode == 0


def test_a_session_that_is_late_in_training_and_in_validation_counts_once(tmp_path: Path):
    """The proof of the written split counts as the statistics do, where two parts share the session."""
    last = pl.when(pl.col("SessionId") == 260).then(pl.lit("train")).otherwise(pl.col("part"))
    first = pl.col("Time") == pl.col("Time").min().over("SessionId")
    log = labelled().with_columns(last.alias("part"))
    log = log.with_columns(
        pl.when(first & (pl.col("SessionId") == 260)).then(pl.lit("valid")).otherwise(pl.col("part")).alias("part")
    )
    done, _ = split_into(tmp_path, write(tmp_path, log))
    assert done.returncode == 0, done.stderr
    statistics = json.loads((tmp_path / "run" / "split" / "statistics.json").read_text())
    assert statistics["leaks"]["late_sessions"] == 1


@pytest.mark.parametrize("lost", ["train", "test"])
def test_a_part_without_rows_is_refused(tmp_path: Path, lost: str):
    done, _ = split_into(tmp_path, write(tmp_path, labelled().filter(pl.col("part") != lost)))
    assert done.returncode == 3
    assert f"no row is of part '{lost}'" in " ".join(done.stderr.split())


def test_a_column_that_is_not_there_is_named(tmp_path: Path):
    done, _ = split_into(tmp_path, write(tmp_path, labelled().rename({"part": "Part"})))
    assert done.returncode == 3
    assert "no column 'part'" in done.stderr
    assert "name the column in data.columns.part; did you mean 'Part'?" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("data", "split", "said"),
    [
        ({"engine": "pyspark"}, {}, "split.by: column does not work with pyspark"),
        ({}, {"valid": 0.1}, "split.valid: there is no cut with by: column"),
        ({}, {"test": 0.3}, "split.test: there is no cut with by: column"),
        ({}, {"straddle": "train"}, "split.straddle: there is no cut with by: column"),
        ({}, {"windows": 3}, "split.windows: a log that is already divided"),
        ({}, {"preset": "yoochoose"}, "split.preset: a preset divides by time"),
        ({"columns": {"part": "Fold"}}, {"by": "ratio"}, "data.columns.part: is only for split.by: column"),
        ({"format": "yoochoose"}, {}, "split.by: column: needs a file of format: generic"),
        ({"source": "synth"}, {}, "split.by: column: needs a file of format: generic"),
        ({"source": None, "train": "a.csv", "test": "b.csv"}, {}, "split.by: column: data.train and data.test are"),
    ],
)
def test_what_does_not_go_together_is_a_wrong_configuration(
    tmp_path: Path, data: dict[str, Any], split: dict[str, Any], said: str
):
    done = study("split", "--config", write(tmp_path, labelled(), data, **split), "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split())
