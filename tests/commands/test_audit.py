"""`audit` as a user calls it: verdicts, exit codes, pages, and what wrong options say."""

import json
from pathlib import Path

import polars as pl
import pytest

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.faults import plant
from tests.audit.faulty import clean_log, clean_split
from tests.small import run_small, study

COLUMNS = ["--session", SESSION, "--item", ITEM, "--time", TIME, "--time-unit", "microseconds"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clean.csv, copies.csv, train.csv and test.csv."""
    folder = tmp_path_factory.mktemp("audited")
    clean_log().write_csv(folder / "clean.csv")
    plant(clean_log(), ["duplicate_rows"], 1).write_csv(folder / "copies.csv")
    for name, part in zip(("train", "test"), clean_split(), strict=True):
        part.write_csv(folder / f"{name}.csv")
    return folder


def test_a_clean_log_ends_with_0_and_a_log_with_copies_with_6(files: Path):
    done = study("audit", "data", files / "clean.csv", *COLUMNS, "--quiet")
    assert done.returncode == 0, done.stderr
    assert "21 checks: 0 failed, 0 warned" in done.stdout
    done = study("audit", "data", files / "copies.csv", *COLUMNS, "--quiet")
    assert done.returncode == 6
    assert "D04-duplicates" in done.stderr
    assert "split.drop_duplicates: true drops exact copies" in done.stdout


def test_a_reason_lets_a_check_pass_and_is_shown(files: Path):
    arguments: list[str | Path] = [
        "audit",
        "data",
        files / "copies.csv",
        *COLUMNS,
        "--quiet",
        "--ignore",
        "D04-duplicates=a test",
    ]
    done = study(*arguments)
    assert done.returncode == 0, done.stderr
    assert "D04-duplicates is ignored: a test" in done.stdout
    assert study(*arguments, "--fail-on", "warn").returncode == 6  # equal times warn
    assert study(*arguments, "--only", "D04", "--fail-on", "warn").returncode == 0


def test_a_threshold_replaces_those_of_a_check(files: Path):
    arguments: list[str | Path] = [
        "audit",
        "data",
        files / "clean.csv",
        *COLUMNS,
        "--quiet",
        "--only",
        "D18-constant-columns",
    ]
    assert study(*arguments).returncode == 0
    assert study(*arguments, "--threshold", "D18-constant-columns=0.01").returncode == 6


def test_the_document_has_every_check_with_its_figure(files: Path):
    done = study("audit", "data", files / "copies.csv", *COLUMNS, "--json", "--quiet")
    checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["D04-duplicates"]["verdict"] == "FAIL"
    assert checks["D04-duplicates"]["figure"] == pytest.approx(1 / 7, abs=0.01)  # a sixth of the rows once more
    assert checks["D01-rows-out-of-order"] | {"evidence": ""} == {
        "id": "D01-rows-out-of-order",
        "title": "Within a session, rows are in order of time",
        "verdict": "PASS",
        "figure": 0.0,
        "threshold": "WARN: 0.10 %",
        "evidence": "",
        "remedy": "",
        "ignored": None,
    }


def test_the_page_says_what_was_found_and_what_to_do(files: Path, tmp_path: Path):
    page = tmp_path / "audit.html"
    study("audit", "data", files / "copies.csv", *COLUMNS, "--html", page, "--quiet")
    text = page.read_text(encoding="utf-8")
    assert "D04-duplicates" in text
    assert "<strong>What to do:</strong>" in text
    assert "A row that is there twice is a click that is easy to predict" in text


def test_a_split_as_files_and_as_a_run(files: Path, tmp_path: Path):
    done = study("audit", "split", files / "train.csv", files / "test.csv", *COLUMNS, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["known split"].startswith("none of those that are known")
    exchanged = study("audit", "split", files / "test.csv", files / "train.csv", *COLUMNS, "--quiet")
    assert exchanged.returncode == 6
    assert "S02-not-by-time" in exchanged.stderr
    run = run_small(tmp_path)
    done = study("audit", "split", run, "--quiet")
    assert done.returncode == 0, done.stderr
    assert "13 checks: 0 failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "D04-copies"], "did you mean D04-duplicates?"),
        (["--ignore", "D04-duplicates"], "--ignore D04-duplicates: there is no REASON"),
        (["--threshold", "D04-duplicates=many"], "--threshold D04-duplicates=many: not a number from 0 on"),
        (["--threshold", "D04=nan"], "--threshold D04=nan: not a number from 0 on"),
        (["--threshold", "D04=inf"], "not a number from 0 on"),
        (["--threshold", "D04=-1"], "not a number from 0 on"),
        (["--threshold", "D04=30"], "write D04-duplicates=0.3 for 30 %"),
        (["--html", "clean.csv"], "--html: clean.csv is not the name of a page"),
        (["--html", "nowhere/page.html"], "there is no folder nowhere"),
        (["--only", "d04", "--html", "clean.csv"], "is not the name of a page"),
    ],
)
def test_wrong_options_are_said_before_any_work(arguments: list[str], said: str, files: Path):
    done = study("audit", "data", files / "clean.csv", *COLUMNS, *arguments, cwd=files)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_that_is_not_there():
    done = study("audit", "data", "nothing.csv")
    assert done.returncode == 3
    assert "nothing.csv" in done.stderr


def test_ranked_lists_and_a_claim_are_checked_by_the_command(tmp_path: Path):
    run = run_small(tmp_path)
    parts = [run / "split" / f"{name}.parquet" for name in ("train", "test")]
    lists = pl.read_parquet(run / "evaluate" / "lists" / "markov.parquet").with_columns(pl.col("position") + 1)
    ranked = lists.explode("items").with_columns(pl.int_range(pl.len()).over("session_id", "position").alias("rank"))
    ranked.rename({"items": "item_id"}).write_parquet(tmp_path / "lists.parquet")
    arguments: list[str | Path] = [
        "audit",
        "predictions",
        tmp_path / "lists.parquet",
        "--train",
        parts[0],
        "--test",
        parts[1],
        "--quiet",
    ]
    done = study(*arguments)
    assert done.returncode == 0, done.stderr
    done = study(*arguments, "--claim", "recall@20=0.9999")
    assert done.returncode == 6
    assert "P08-claims" in done.stderr
