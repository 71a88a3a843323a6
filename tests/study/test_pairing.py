"""Paired tests between the models of several runs (friction): by hand, and as `evaluate` tests those of one run."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.evaluation.paired import paired_differences, session_sums
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables.comparison import between_runs
from gru4rec_cli.reporting.text.comparison import Group, RunResults
from gru4rec_cli.study import pairing
from tests.small import SMALL, study, write_config

SETTINGS = EvaluateSettings(cutoffs=(2,), resamples=200, permutations=2000)


def ranks(sessions: list[str], greater: list[int], equal: list[int] | None = None, unseen: int = -1) -> pl.DataFrame:
    items = [None if row == unseen else 7 for row in range(len(sessions))]
    return pl.DataFrame(
        {"session_id": sessions, "item_id": items, "greater": greater, "equal": equal or [0] * len(sessions)},
        schema_overrides={"item_id": pl.Int64},
    )


def test_session_sums_follow_from_the_counts_of_the_rank_table():
    """Ranks 1, 3 | 2 with a tie: 3 | 1, unseen: recall@2 and mrr@2 are (1, 1), (0, 0), (1, 1)."""
    table = ranks(["a", "a", "b", "c", "c"], [0, 2, 1, 0, 0], [0, 0, 1, 0, 0], unseen=4)
    recall, mrr, ndcg = session_sums(table, SETTINGS)
    assert recall.tolist() == mrr.tolist() == ndcg.tolist() == [1.0, 0.0, 1.0]


def test_the_p_value_of_a_model_that_is_better_in_every_session_is_that_of_equal_signs():
    """Eight sessions, all better by one event: both signs all equal in 2 of 2^8 exchanges."""
    events = np.full(8, 2.0)
    sums = {"x": np.ones((3, 8)), "y": np.zeros((3, 8)), "z": np.zeros((3, 8))}
    rows = paired_differences(sums, events, [("x", "y"), ("y", "z")], SETTINGS, seed=1)
    by_pair = {(row["first"], row["second"]): row for row in rows if row["metric"] == "recall"}
    better, equal = by_pair["x", "y"], by_pair["y", "z"]
    assert (better["value"], better["low"], better["high"]) == (0.5, 0.5, 0.5)
    assert better["p"] == pytest.approx(2 / 256, abs=0.006)
    assert better["p_holm"] == pytest.approx(2 * better["p"])
    assert (equal["value"], equal["p"], equal["distinguishable"]) == (0.0, 1.0, False)


def run_of(folder: Path, permutations: int, **greater: int) -> RunResults:
    """Return a run of 40 sessions of one event, each ranked by its models below so many items."""
    rows = [
        {"model": model, "seed": seed, "metric": "recall", "k": 2, "ties": "conservative", "slice": "all",
         "value": float(above < 2), "low": None, "high": None, "events": 40}
        for model, above in greater.items() for seed in ("1", "all")
    ]  # fmt: skip
    protocol = {
        "ties": "conservative", "cutoffs": [2], "confidence": 0.95, "seed": 1, "resamples": 20,
        "permutations": permutations,
    }  # fmt: skip
    (folder / "evaluate" / "ranks").mkdir(parents=True)
    sessions = [f"{number:02}" for number in range(40)]
    for model, above in greater.items():
        table = ranks(sessions, [above] * 40).with_columns(position=pl.lit(1))
        table.write_parquet(folder / "evaluate" / "ranks" / f"{model}.parquet")
    return RunResults(folder.name, str(folder), Findings({"protocol": protocol, "metrics": rows}), {}, {})


def test_a_p_value_at_its_floor_is_said_to_be_at_most_that(tmp_path: Path):
    """Three of six pairs differ in every session: p = 1 / 1,001 of 1,000 exchanges, times 6 pairs: .00599. Only some
    pairs are shown, but Holm's correction is over all of them (screen and page: p at its floor without "≤")."""
    one = run_of(tmp_path / "one", 1000, good=0, poor=9, worse=9)
    two = run_of(tmp_path / "two", 1000, fair=0, poor=9)
    table = between_runs(pairing.tested(Group((one, two))))
    shown = {row[1:3]: row[6] for row in table.rows}
    assert len(shown) == 2  # of 6: the best of each run, and poor of both
    everything = {
        row[1:3]: row[6] for row in between_runs(pairing.tested(Group((one, two))), all_of_them=True).rows[:6]
    }
    assert everything["one: good", "two: poor"] == "≤ .0060"
    assert everything["one: good", "two: fair"] == "1.000"
    changed = run_of(tmp_path / "three", 1000, good=9)
    (row,) = between_runs(pairing.tested(Group((one, changed)))).rows[:1]
    assert row[1:3] == ("one: good", "three: good")
    assert row[6] == "≤ .0030"  # 3 pairs


def test_the_verdict_does_not_depend_on_the_order_of_runs_with_different_numbers_of_exchanges(tmp_path: Path):
    """With 9 exchanges p is at least .1, with 999 at least .001: the tests take the most, and say so."""
    few = run_of(tmp_path / "few", 9, good=0)
    many = run_of(tmp_path / "many", 999, bad=9)
    groups = [pairing.tested(Group(runs)) for runs in ((few, many), (many, few))]
    assert groups[0].differences == groups[1].differences
    assert groups[0].differences[0]["p_holm"] == pytest.approx(1 / 1000)
    assert groups[0].tested_with == {"permutations": 999, "resamples": 20, "seed": 1}
    note = "The runs have different evaluate.permutations: 9, 999. The tests took the largest of them, 999"
    assert any(text.startswith(note) for text in between_runs(groups[0]).notes)
    alike = between_runs(pairing.tested(Group((many, run_of(tmp_path / "alike", 999, bad=9)))))
    assert not any("different evaluate" in text for text in alike.notes)


@pytest.mark.slow
def test_two_runs_are_tested_as_one_run_would_test_them(tmp_path: Path):
    """One run holds both models; two runs of one model each give the same difference, interval and p-value."""
    config = {key: value for key, value in SMALL.items() if key != "train"}
    assert study("run", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "both").returncode == 0
    for model in ("popularity", "markov"):
        shutil.copytree(tmp_path / "both", tmp_path / model)
        alone = write_config(tmp_path / "alone", {**config, "baseline": {"models": {model: {}}}})
        done = study("run", "--config", alone, "--run-dir", tmp_path / model, "--quiet")
        assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "both" / "evaluate" / "metrics.json").read_text())
    expected = {
        d["metric"]: d for d in document["differences"] if {d["first"], d["second"]} == {"markov", "popularity"}
    }
    done = study("compare", tmp_path / "popularity", tmp_path / "markov", "--json", "--to", tmp_path / "to")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["groups"][0]["differences"]
    assert [row["metric"] for row in found] == ["recall", "mrr", "ndcg"]
    for row in found:
        one = expected[row["metric"]]
        assert (row["first"], row["second"]) == (f"markov: {one['first']}", f"popularity: {one['second']}")
        for key in ("value", "relative", "low", "high", "p"):
            assert row[key] == pytest.approx(one[key]), key
        assert row["p_holm"] == row["p"]  # one pair
    page = (tmp_path / "to" / "comparison.md").read_text()
    assert "| Recall@20 | markov: markov | popularity: popularity |" in page
