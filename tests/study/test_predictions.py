"""Ranked lists of another tool through the command: judged on the same events as the models, never more than known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.audit.check import Choice
from gru4rec_cli.audit.run import audit_run
from gru4rec_cli.base.errors import ConfigError
from gru4rec_cli.study.config import load_config
from tests.small import SMALL, run_small, study, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without predictions."""
    return run_small(tmp_path_factory.mktemp("predictions"))


def write_lists(run: Path, path: Path, longest: int = 20) -> pl.DataFrame:
    """The lists of a run's own GRU4Rec as another tool would write them, by rank."""
    found = pl.read_parquet(run / "evaluate" / "lists" / "gru4rec.parquet")
    items = found["items"].to_numpy()[:, :longest]
    counts = pl.read_parquet(run / "evaluate" / "ranks" / "gru4rec.parquet")
    assert counts["equal"].max() == 0  # so that the order tells all
    lists = pl.DataFrame(
        {
            "session": np.repeat(found["session_id"].to_numpy(), longest),
            "position": np.repeat(found["position"].to_numpy() + 1, longest),
            "item": items.ravel(),
            "rank": np.tile(np.arange(1, longest + 1), len(items)),
        }
    )
    lists.write_csv(path)
    return lists


def evaluated(run: Path, lists: Path | str, *more: str, code: int = 0, command: str = "run") -> str:
    """What the command says, with the file as predictions named `theirs`."""
    settings = ["--set", f"evaluate.predictions.theirs={lists}", *more]
    done = study(command, "--config", run.parent / "study.yaml", "--run-dir", run, *settings)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def metrics(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "evaluate" / "metrics.json").read_text())
    return found


def by_cell(document: dict[str, Any], model: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    keys, values = ("seed", "metric", "k", "ties", "slice"), ("value", "low", "high", "events")
    rows = [row for row in document["metrics"] if row["model"] == model]
    return {tuple(row[key] for key in keys): tuple(row[value] for value in values) for row in rows}


def assert_ranks_hold(run: Path) -> None:
    """The audit of a run computes the same metrics from the ranks that predictions wrote."""
    results = audit_run(run, Choice(("R01", "R02", "R03", "R04", "R05"))).results
    assert [result.verdict for result in results] == ["PASS"] * 5


def test_a_runs_own_lists_have_the_runs_own_metrics(run: Path, tmp_path: Path):
    write_lists(run, tmp_path / "theirs.csv")
    said = evaluated(run, tmp_path / "theirs.csv", "--set", "evaluate.sensitivity=true")
    assert "up to date" in said or "skipped" in said  # training
    assert "[predictions-" not in said
    assert "theirs (at most 20 items an event)" in " ".join(said.split())
    document = metrics(run)
    ours, theirs = by_cell(document, "gru4rec"), by_cell(document, "theirs")
    beyond = {key for key in ours if key[1] in ("coverage", "popularity_rank", "repeats")}
    assert beyond  # they are of the whole ranking
    assert theirs == {key: value for key, value in ours.items() if key not in beyond}
    assert document["curves"]["theirs"] == document["curves"]["gru4rec"]
    assert document["models"]["theirs"]["lists"] == {"longest": 20, "missing": 0}
    (pair,) = [d for d in document["differences"] if {d["first"], d["second"]} == {"gru4rec", "theirs"}
               and d["metric"] == "recall"]  # fmt: skip
    assert (pair["value"], pair["low"], pair["high"], pair["p"]) == (0.0, 0.0, 0.0, 1.0)
    assert {row["model"] for row in document["sensitivity"]["rows"]} == {"popularity", "markov", "gru4rec", "oracle"}
    page = (run / "report" / "report.md").read_text()
    assert "theirs (at most 20 items an event)" in page
    assert "ranked lists that another tool wrote" in page
    assert_ranks_hold(run)


def test_a_changed_file_makes_evaluate_out_of_date_and_a_missing_one_does_not(run: Path, tmp_path: Path):
    path = tmp_path / "theirs.csv"
    lists = write_lists(run, path)
    evaluated(run, path)
    lists.filter(pl.col("item") != pl.col("item").first()).write_csv(path)
    assert "its input changed: evaluate.predictions.theirs" in " ".join(evaluated(run, path, "--dry-run").split())
    assert "[predictions-short]" in evaluated(run, path)
    path.unlink()
    assert "[predictions-short]" in evaluated(run, path)  # what was made of it is still there
    said = evaluated(run, path, "--set", "evaluate.resamples=20", code=3)
    assert f"there is no file {path}" in said


def test_what_is_not_known_of_short_lists_is_left_out(run: Path, tmp_path: Path):
    path = tmp_path / "theirs.csv"
    write_lists(run, path, longest=10)
    said = " ".join(evaluated(run, path).split())
    assert "the longest list has 10 items, so metrics at larger cutoffs are not known and are left out" in said
    document = metrics(run)
    ours, theirs = by_cell(document, "gru4rec"), by_cell(document, "theirs")
    assert theirs
    assert {key[2] for key in theirs} == {5, 10}
    assert all(ours[key] == value for key, value in theirs.items())
    assert "theirs" not in document["curves"]
    assert not [d for d in document["differences"] if "theirs" in (d["first"], d["second"])]
    assert_ranks_hold(run)


def test_a_study_of_predictions_alone_needs_no_model(run: Path, tmp_path: Path):
    path = tmp_path / "theirs.csv"
    write_lists(run, path)
    config = write_config(tmp_path, {**SMALL, "baseline": {"models": {}}, "train": {"models": {}},
                                     "evaluate": {"resamples": 50, "predictions": {"theirs": str(path)}}})  # fmt: skip
    done = study("run", "--config", config, "--run-dir", tmp_path / "alone")
    assert done.returncode == 0, done.stderr
    evaluated(run, path)
    assert by_cell(metrics(tmp_path / "alone"), "theirs") == by_cell(metrics(run), "theirs")


def test_names_that_predictions_may_not_have(tmp_path: Path):
    predictions = {"Markov": "a.run", "oracle": "b.run", "x.y": "c.run", "mine": "d.run", "Mine": "e.run"}
    config = write_config(tmp_path, {**SMALL, "evaluate": {"predictions": predictions}})
    with pytest.raises(ConfigError) as error:
        load_config(config)
    assert len(error.value.problems) == 4
    for problem in (
        "evaluate.predictions.Markov: the name is already used by baseline.models.markov",
        "evaluate.predictions.oracle: not a name for predictions",
        "evaluate.predictions.x.y: not a name for predictions",
        "evaluate.predictions.Mine: the name is already used by evaluate.predictions.mine",
    ):
        assert any(found.startswith(problem) for found in error.value.problems)
    windows = {**SMALL, "split": {"windows": 2}, "evaluate": {"predictions": {"theirs": "a.run"}}}
    with pytest.raises(ConfigError, match=r"evaluate.predictions: the lists are for one test, but split.windows"):
        load_config(write_config(tmp_path, windows))
    with pytest.raises(ConfigError, match=r"expected keys and values such as \{theirs: FILE\}, found a text"):
        load_config(write_config(tmp_path, {**SMALL, "evaluate": {"predictions": "a.run"}}))
