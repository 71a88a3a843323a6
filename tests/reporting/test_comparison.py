"""Several runs beside each other: one table only where test set and protocol are the same."""

import copy
import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.errors import CheckError, StageError, UsageError
from gru4rec_cli.base.files import MANIFEST, hash_folder, hash_json, write_json, write_manifest
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables.comparison import models_by_run, runs_table
from gru4rec_cli.reporting.text.comparison import RunResults, grouped, mismatches
from gru4rec_cli.reporting.text.words import ENGLISH
from gru4rec_cli.study.comparing import compare, write
from tests.small import study

PROTOCOL: dict[str, Any] = {"ties": "conservative", "cutoffs": [20], "unseen": "drop", "seed": 1, "confidence": 0.95}
HASHES = {"test.parquet": "a" * 64, "items.parquet": "b" * 64, "train.parquet": "c" * 64}


def metrics(**recall: float) -> dict[str, Any]:
    """A metrics.json with one value of each metric a model."""
    rows = [
        {"model": model, "seed": seed, "metric": metric, "k": 20, "ties": "conservative", "slice": "all",
         "value": value * share, "low": math.nan, "high": math.nan, "events": 100}
        for model, value in recall.items() for seed in ("1", "all")
        for metric, share in (("recall", 1.0), ("mrr", 0.5), ("ndcg", 0.75))
    ]  # fmt: skip
    models = {model: {"kind": model, "stage": "baseline", "random": model == "gru4rec"} for model in recall}
    return {"protocol": copy.deepcopy(PROTOCOL), "models": models, "not_applicable": {}, "metrics": rows}


def results(label: str, document: dict[str, Any], **hashes: str) -> RunResults:
    given = {f"{name}.parquet": digest for name, digest in hashes.items()}
    costs = {"gru4rec": {"seconds": 90.0, "peak_memory_bytes": 2.0**30}}
    return RunResults(label, f"runs/{label}", Findings(document), {**HASHES, **given}, costs)


def test_budgets_that_differ_are_told_and_equal_ones_are_not():
    own, searched = results("own", metrics(markov=0.3)), results("searched", metrics(vsknn=0.4))

    def told(*runs: RunResults) -> list[str]:
        (group,) = grouped(list(runs))
        return [note for note in runs_table(group).notes if "budgets" in note]

    (note,) = told(own, replace(searched, trials={"vsknn": 30, "sr": 25}))
    assert note.endswith("own: 0 trials for each model. searched: 25 and 30 trials for each model.")
    assert told(own, searched) == []
    assert told(replace(own, trials={"sr": 30}), replace(searched, trials={"vsknn": 30})) == []


def make_run(path: Path, document: dict[str, Any], test: str = "clicks") -> Path:
    """A run directory that holds what `compare` reads."""
    for stage, files in (
        ("split", {"test.parquet": test, "items.parquet": "i", "train.parquet": "t"}),
        ("evaluate", {}),
    ):
        (path / stage).mkdir(parents=True)
        for file, text in files.items():
            (path / stage / file).write_text(text)
    write_json(path / "evaluate" / "metrics.json", json.loads(json.dumps(document).replace("NaN", "null")))
    split = hash_folder(path / "split")
    for stage, inputs in (("split", {}), ("evaluate", {"split": hash_json(split)})):
        outputs = hash_folder(path / stage)
        manifest = {
            "config": {},
            "inputs": inputs,
            "code": "",
            "outputs": outputs,
            "manifests": {},
            "device": {"processor": "P"},
        }
        write_manifest(path / stage / MANIFEST, manifest)
    fit = path / "train" / "gru4rec"
    fit.mkdir(parents=True)
    write_json(fit / MANIFEST, {"cost": {"seconds": 90.0, "peak_memory_bytes": 2**30}})
    write_json(fit / "fit.json", {"curve": [{"loss": 1.0}] * 3, "facts": {}})
    return path


def test_models_of_all_runs_stand_in_one_table_the_best_first_and_the_bound_on_top():
    one = results("one", metrics(oracle=0.9, markov=0.3))
    two = results("two", metrics(oracle=0.9, gru4rec=0.4))
    (group,) = grouped([one, two])
    table = runs_table(group)
    assert [row[:3] for row in table.rows] == [
        ("one", "oracle (bound)", ".9000"),
        ("two", "oracle (bound)", ".9000"),
        ("two", "gru4rec", ".4000"),
        ("one", "markov", ".3000"),
    ]
    assert table.best == {(2, 2), (2, 3), (2, 4)}
    assert table.rows[2][5:] == ("1", "1.5 min", "1.0 GiB")
    assert table.rows[3][5:] == ("–", "–", "–")  # no seed decides what markov is
    wide = models_by_run(group)
    assert wide.columns == ("Model", "one", "two")
    assert wide.rows == (("oracle (bound)", ".9000", ".9000"), ("markov", ".3000", "–"), ("gru4rec", "–", ".4000"))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("ties", "optimistic", "ties: conservative in one and optimistic in two"),
        ("cutoffs", [10, 20], "cutoffs: 20 in one and 10, 20 in two"),
        ("unseen", "miss", "unseen: drop in one and miss in two"),
        ("confidence", 0.9, "confidence: 0.95 in one and 0.9 in two"),
        ("candidates", "some", "candidates: none in one and some in two"),
    ],
)
def test_another_protocol_is_told_by_what_differs(key: str, value: object, told: str):
    other = metrics(markov=0.3)
    other["protocol"][key] = value
    assert mismatches(results("one", metrics(markov=0.3)), results("two", other)) == (told,)


@pytest.mark.parametrize("key", ["seed", "seeds", "resamples", "permutations", "test"])
def test_what_does_not_change_what_is_measured_may_differ(key: str):
    other = metrics(markov=0.3)
    other["protocol"][key] = 77
    assert mismatches(results("one", metrics(markov=0.3)), results("two", other)) == ()


def test_another_test_set_and_other_items_are_told_and_other_training_data_noted():
    one, two = results("one", metrics(a=0.3)), results("two", metrics(a=0.3), test="d" * 64, items="e" * 64)
    assert mismatches(one, two) == (
        "test set: split/test.parquet is aaaaaaaaaaaa in one and dddddddddddd in two",
        "items: split/items.parquet is bbbbbbbbbbbb in one and eeeeeeeeeeee in two",
    )
    (group,) = grouped([one, results("two", metrics(a=0.3), train="f" * 64)])
    assert "The training data of the runs differ: one and two." in runs_table(group).notes


def test_a_run_whose_models_were_fitted_again_is_told_from_one_without():
    again = metrics(gru4rec=0.5)
    again["models"]["gru4rec"]["refit"] = {"gru4rec": {"on": "train+valid", "epochs": 3}}
    mixed = " ".join(runs_table(grouped([results("a", metrics(gru4rec=0.4)), results("b", again)])[0]).notes)
    assert "b: Fitted again from the start on training and validation sessions" in mixed
    assert "gru4rec (epochs: 3)" in mixed
    assert "Fitted on training sessions alone: the models of a." in mixed
    both = " ".join(runs_table(grouped([results("a", again), results("b", again)])[0]).notes)
    assert "a: Fitted again" in both
    assert "alone" not in both
    assert "itted again" not in " ".join(runs_table(grouped([results("a", metrics(gru4rec=0.4))])[0]).notes)


def test_runs_go_to_the_first_group_that_they_fit():
    runs = [results(name, metrics(a=0.3), test=name[0] * 64) for name in ("a1", "b1", "a2", "b2")]
    assert [group.labels for group in grouped(runs)] == [["a1", "a2"], ["b1", "b2"]]


def test_the_command_refuses_what_cannot_be_compared_and_shows_it_apart(tmp_path: Path):
    one = make_run(tmp_path / "one", metrics(gru4rec=0.4))
    two = make_run(tmp_path / "two", metrics(gru4rec=0.5), test="other clicks")
    refused = study("compare", one, two)
    assert refused.returncode == 6
    assert "test set: split/test.parquet is " in refused.stderr
    assert "--apart" in refused.stderr
    assert refused.stdout == ""
    apart = study("compare", one, two, "--apart", "--to", tmp_path / "to")
    assert apart.returncode == 0, apart.stderr
    assert "Group 1: one: Results at K = 20" in apart.stdout
    assert "Group 2: two: Results at K = 20" in apart.stdout
    page = (tmp_path / "to" / "comparison.md").read_text(encoding="utf-8")
    assert "- Not comparable with the first group: test set: split/test.parquet is " in page


def test_the_command_shows_comparable_runs_as_tables_json_and_pages(tmp_path: Path):
    runs = [make_run(tmp_path / name, metrics(gru4rec=value)) for name, value in (("one", 0.4), ("two", 0.5))]
    done = study("compare", *runs, "--json", "--to", tmp_path / "to", "--language", "es")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["comparable"] is True
    (group,) = document["groups"]
    assert [(row["run"], row["metric"], row["value"]) for row in group["metrics"][:2]] == [
        ("one", "recall", 0.4),
        ("one", "mrr", 0.2),
    ]
    assert group["runs"][0]["costs"]["gru4rec"]["seconds"] == 90
    written = {path.name for path in (tmp_path / "to").iterdir()}
    assert written == {"comparison.html", "comparison.md", "comparison.tex", "comparison.csv"}
    assert "| two | gru4rec | **0,5000** |" in (tmp_path / "to" / "comparison.md").read_text(encoding="utf-8")
    assert '<html lang="es">' in (tmp_path / "to" / "comparison.html").read_text(encoding="utf-8")
    with (tmp_path / "to" / "comparison.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(metrics(gru4rec=0.4)["metrics"])
    assert [row["value"] for row in rows if row["run"] == "two" and row["metric"] == "recall"] == ["0.5", "0.5"]


def test_costs_of_several_seeds_are_their_mean_time_and_largest_memory(tmp_path: Path):
    run = make_run(tmp_path / "one", metrics(gru4rec=0.4))
    shutil.rmtree(run / "train" / "gru4rec")
    for seed, seconds, peak in ((1, 10.0, 5), (2, 30.0, 3)):
        fit = run / "train" / f"gru4rec.seed-{seed}"
        fit.mkdir()
        write_json(fit / MANIFEST, {"cost": {"seconds": seconds, "peak_memory_bytes": peak}})
        write_json(fit / "fit.json", {"curve": [{"loss": 1.0}] * 4, "facts": {}})
    (group,) = compare([run]).groups
    costs = group.runs[0].costs["gru4rec"]
    assert (costs["seconds"], costs["peak_memory_bytes"], costs["seconds_per_epoch"]) == (20.0, 5, 5.0)


def test_a_missing_unfinished_or_damaged_run_says_what_to_do(tmp_path: Path):
    run = make_run(tmp_path / "one", metrics(gru4rec=0.4))
    with pytest.raises(StageError, match=r"there is no run directory .*nowhere") as gone:
        compare([run, tmp_path / "nowhere"])
    assert "give the directory of a finished run" in gone.value.hint
    unfinished = make_run(tmp_path / "two", metrics(gru4rec=0.4))
    (unfinished / "evaluate" / MANIFEST).unlink()
    with pytest.raises(StageError, match="two holds no finished evaluate stage") as early:
        compare([run, unfinished])
    assert f"gru4rec-study run --config {unfinished}/config.yaml --run-dir {unfinished}" in early.value.hint
    damaged = make_run(tmp_path / "three", metrics(gru4rec=0.4))
    (damaged / "evaluate" / "metrics.json").write_text("{}")
    done = study("compare", run, damaged)
    assert done.returncode == 4
    assert "metrics.json is damaged" in done.stderr
    assert "--force" in done.stderr


def test_a_run_whose_split_was_made_again_is_not_compared(tmp_path: Path):
    run = make_run(tmp_path / "one", metrics(gru4rec=0.4))
    (run / "split" / "train.parquet").write_text("other")
    manifest = {"config": {}, "inputs": {}, "code": "", "outputs": hash_folder(run / "split"), "manifests": {}}
    write_manifest(run / "split" / MANIFEST, manifest)
    with pytest.raises(StageError, match="evaluate was made from another split"):
        compare([run])


def test_a_manifest_that_is_none_is_damage(tmp_path: Path):
    run = make_run(tmp_path / "one", metrics(gru4rec=0.4))
    write_json(run / "evaluate" / MANIFEST, [])
    with pytest.raises(StageError, match=r"manifest\.json is damaged"):
        compare([run])


def test_a_run_given_twice_is_wrong_usage_and_equal_names_are_told_by_their_paths(tmp_path: Path):
    one, two = (make_run(tmp_path / name / "same", metrics(gru4rec=0.4)) for name in ("x", "y"))
    with pytest.raises(UsageError, match="given twice"):
        compare([one, one / ".." / "same"])
    (group,) = compare([one, two]).groups
    assert group.labels == [str(one), str(two)]


def test_a_page_is_not_written_over_a_file(tmp_path: Path):
    (tmp_path / "to").touch()
    with pytest.raises(UsageError, match="is a file"):
        write(compare([make_run(tmp_path / "one", metrics(gru4rec=0.4))]), tmp_path / "to")


def test_hostile_names_of_runs_and_models_stay_text(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    run = make_run(tmp_path / "<script>|", metrics(**{evil: 0.4}))
    write(compare([run]), tmp_path / "to")
    page = (tmp_path / "to" / "comparison.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1  # ours
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in (tmp_path / "to" / "comparison.md").read_text(encoding="utf-8")


def test_check_error_is_what_scripts_see_as_six(tmp_path: Path):
    other = metrics(gru4rec=0.4)
    other["protocol"]["ties"] = "median"
    runs = [make_run(tmp_path / "one", metrics(gru4rec=0.4)), make_run(tmp_path / "two", other)]
    with pytest.raises(CheckError, match="ties: conservative in one and median in two") as refused:
        compare(runs)
    assert refused.value.exit_code == 6
    assert ENGLISH("runs_untested") in runs_table(compare(runs, apart=True).groups[0]).notes
