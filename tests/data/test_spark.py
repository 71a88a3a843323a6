"""Spark reads, cleans and divides clicks as Polars does, and what it cannot do is refused."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.base.files import by_table, read_json
from gru4rec_cli.base.names import ITEMS_FILE, STATISTICS_FILE, TEST_FILE, TRAIN_FILE, VALID_FILE
from gru4rec_cli.data.events import DataSettings, read_event_table
from gru4rec_cli.data.spark import require_java
from gru4rec_cli.data.users import USERS_FILE
from tests.data.on_spark import BAD, FEW_ROWS, cases
from tests.small import study, write_config

EXTERNAL, USAGE = 5, 2


def missing() -> str:
    """What keeps Spark from running here, or an empty text."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed (extra [spark])"
    try:
        require_java()
    except ExternalError as error:
        return error.message
    return ""


needs_spark = pytest.mark.skipif(bool(missing()), reason=missing())


def quirky_log(path: Path) -> None:
    """Some thousand clicks: duplicates, repeats, equal times, text ids that look like numbers, quotes, other types."""
    random = np.random.default_rng(1)
    lines = ["SessionId,note,ItemId,Time,what,who"]
    starts = random.integers(0, 10 * 86_400, 400)
    odd = ["a", "Ü7", "007", "7", '"x,y"', '"q""t"', "b"]
    for _ in range(4000):
        session = random.integers(0, 400)
        item = odd[int(random.integers(0, 7))] if random.random() < 0.3 else str(int(random.exponential(9)) + 8)
        time = f"{1_400_000_000 + starts[session] + random.integers(0, 6)}{'.5' if random.random() < 0.1 else ''}"
        kind = "view" if random.random() < 0.9 else "buy"
        lines += [f"s{session:03},a note,{item},{time},{kind},u{session // 3}"] * (2 if random.random() < 0.05 else 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A whole run with each engine; Spark reads its file in several pieces and writes several parts."""
    folder = tmp_path_factory.mktemp("engines")
    quirky_log(folder / "clicks.csv")
    spark = {
        "master": "local[2]",
        "options": {
            "spark.sql.files.maxPartitionBytes": "40000",
            "spark.sql.files.openCostInBytes": "1",
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.adaptive.enabled": "false",
            **FEW_ROWS,
        },
    }
    config: dict[str, Any] = {
        "name": "engines",
        "data": {"source": str(folder / "clicks.csv"), "columns": {"event": "what", "user": "who"}, "events": ["view"]},
        "split": {
            "valid": 0.1,
            "max_session_length": 9,
            "overlong": "cut",
            "straddle": "truncate",
            "min_item_support": 3,
        },
        "baseline": {"models": {"popularity": {}, "markov": {}}},
        "evaluate": {"resamples": 20},
    }
    found = {}
    for engine in ("polars", "pyspark"):
        path = write_config(folder / engine, config | {"data": config["data"] | {"engine": engine}, "spark": spark})
        done = study("run", "--config", path, "--run-dir", folder / engine / "run", "--quiet")
        assert done.returncode == 0, done.stderr
        found[engine] = folder / engine / "run"
    return found


@needs_spark
@pytest.mark.slow
def test_both_engines_give_the_same_split(runs: dict[str, Path]):
    polars, spark = (run / "split" for run in runs.values())
    for name in (TRAIN_FILE, VALID_FILE, TEST_FILE):
        assert_frame_equal(read_event_table(polars / name), read_event_table(spark / name))
    assert_frame_equal(pl.read_parquet(polars / ITEMS_FILE), pl.read_parquet(spark / ITEMS_FILE))
    users = pl.read_parquet(spark / USERS_FILE)
    assert_frame_equal(pl.read_parquet(polars / USERS_FILE), users)
    assert users["user_id"].to_list() == [f"u{int(session[1:]) // 3}" for session in users["session_id"]]
    statistics = read_json(polars / STATISTICS_FILE)
    assert statistics == read_json(spark / STATISTICS_FILE)
    removed = {removal["reason"]: removal["events"] for removal in statistics["removals"]}
    assert (
        min(removed[rule] for rule in ("exact duplicate", "immediate repeat", "item too rare", "session too long")) > 0
    )


@needs_spark
@pytest.mark.slow
def test_spark_writes_parts_and_all_later_stages_read_them(runs: dict[str, Path]):
    parts = sorted(path.name for path in (runs["pyspark"] / "split" / TRAIN_FILE).iterdir())
    assert parts == [f"part-{number:05}.parquet" for number in range(3)]
    polars, spark = (read_json(run / "evaluate" / "metrics.json") for run in runs.values())
    assert polars["models"] == spark["models"]
    for run in runs.values():
        assert (run / "report" / "report.md").exists()


@needs_spark
@pytest.mark.slow
def test_a_damaged_part_is_noticed(runs: dict[str, Path], tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(runs["pyspark"], run)
    part = run / "split" / TRAIN_FILE / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    done = study("baseline", "--config", run / "config.yaml", "--run-dir", run)
    assert done.returncode == 4
    assert "part-00001.parquet is damaged" in done.stderr


@pytest.fixture(scope="module")
def read_by_spark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("reads")
    command = [sys.executable, "-m", "tests.data.on_spark", str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@needs_spark
@pytest.mark.slow
def test_spark_reads_what_polars_reads(read_by_spark: dict[str, Any], tmp_path: Path):
    good = [name for name in cases(tmp_path) if name not in BAD and name != "bad date"]
    wrong = {name: read_by_spark[name] for name in good if "refused" in read_by_spark[name]}
    wrong |= {
        name: told
        for name, told in read_by_spark.items()
        if name in good and not (told["events"] and told["facts"] and told["users"])
    }
    assert not wrong
    assert all(read_by_spark[name]["rows"] for name in good)


@needs_spark
@pytest.mark.slow
def test_both_engines_follow_the_presets(tmp_path: Path):  # fault 4
    """Parts, items, statistics and facts of reading; presets that have every rule between them."""
    presets = ["yoochoose", "coveo", "retailrocket", "yoochoose-srgnn-1-4", "diginetica-srgnn"]
    command = [sys.executable, "-m", "tests.data.presets_on_spark", str(tmp_path), *presets]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {preset: [] for preset in presets}


@needs_spark
@pytest.mark.slow
@pytest.mark.parametrize("name", [*BAD, "bad date"])
def test_spark_refuses_bad_rows_and_names_the_engine_that_explains_them(read_by_spark: dict[str, Any], name: str):
    message, hint = read_by_spark[name]["refused"]
    assert "1 rows lack an id or a time or are no records, the first of them" in message
    assert "data.engine: polars" in hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_error": "skip"}, "engine: on_error: skip does not work with pyspark"),
        (
            {"format": "otto"},
            "format: otto, which is neither delimited text nor Parquet, does not work with pyspark",
        ),
        ({"columns": {"time": None}}, "engine: columns.time: null does not work with pyspark"),
    ],
)
def test_what_spark_does_not_do_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        DataSettings.model_validate({"source": "clicks.csv", "engine": "pyspark", **given})


@pytest.fixture
def small_log(tmp_path: Path) -> Path:
    quirky_log(tmp_path / "clicks.csv")
    data = {"source": str(tmp_path / "clicks.csv"), "engine": "pyspark"}
    return write_config(tmp_path, {"name": "x", "data": data, "baseline": {"models": {"popularity": {}}}})


def test_a_missing_java_is_told(small_log: Path, tmp_path: Path):
    pytest.importorskip("pyspark", reason="pyspark is not installed (extra [spark])")
    done = study("split", "--config", small_log, "--run-dir", tmp_path / "run", JAVA_HOME=str(tmp_path / "nowhere"))
    assert done.returncode == EXTERNAL
    assert "engine: pyspark needs Java, and none was found" in done.stderr
    assert "JAVA_HOME" in done.stderr


def test_an_old_java_is_told(small_log: Path, tmp_path: Path):
    pytest.importorskip("pyspark", reason="pyspark is not installed (extra [spark])")
    java = tmp_path / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    done = study("split", "--config", small_log, "--run-dir", tmp_path / "run", JAVA_HOME=str(tmp_path / "old"))
    assert done.returncode == EXTERNAL
    assert "needs Java 17 or later" in done.stderr


@needs_spark
@pytest.mark.slow
def test_a_cluster_that_is_none_is_told(small_log: Path, tmp_path: Path):
    done = study("split", "--config", small_log, "--run-dir", tmp_path / "run", "--set", "spark.master=nowhere")
    assert done.returncode == EXTERNAL
    assert "Spark failed" in done.stderr
    assert "Master must" in done.stderr
    assert "check spark.master and spark.options" in done.stderr


def test_a_missing_pyspark_is_told(small_log: Path, tmp_path: Path):
    """In a process that finds no pyspark."""
    code = f"""
import sys
sys.modules["pyspark"] = None
sys.argv = ["gru4rec-study", "split", "--config", {str(small_log)!r}, "--run-dir", {str(tmp_path / "run")!r}]
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "pyspark" else found(name, package)
from gru4rec_cli.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert "gru4rec-study[spark]" in done.stderr


def test_the_parts_of_a_table_count_as_one():
    assert by_table({"a.parquet": "1"}) == {"a.parquet": "1"}
    one, two = ({f"t.parquet/part-{n}": digest for n, digest in enumerate(digests)} for digests in ("12", "13"))
    assert by_table(one).keys() == {"t.parquet"}
    assert by_table(one) != by_table(two)
