"""A whole study through the real command."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from tests.small import SMALL, STAGES, artifact_hashes, copied_package, run_small, study, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests that change it take a copy."""
    return run_small(tmp_path_factory.mktemp("finished"), fresh=True)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run to do with as a test pleases, its configuration beside it."""
    write_config(tmp_path)
    return Path(shutil.copytree(finished, tmp_path / "run"))


def again(copy: Path, command: str, *arguments: str) -> tuple[int, str, str]:
    done = study(command, "--config", copy.parent / "study.yaml", "--run-dir", copy, *arguments)
    return done.returncode, done.stdout, done.stderr


def test_the_run_directory_holds_what_the_design_says(finished: Path):
    expected = {
        "config.yaml",
        "synth/events.parquet",
        "synth/process.safetensors",
        "split/train.parquet",
        "split/test.parquet",
        "split/items.parquet",
        "split/statistics.json",
        "baseline/popularity/model.json",
        "baseline/markov/model.json",
        "train/gru4rec/model.json",
        "train/gru4rec/fit.json",
        "evaluate/ranks/gru4rec.parquet",
        "evaluate/ranks/oracle.parquet",
        "evaluate/lists/gru4rec.parquet",
        "evaluate/lists/oracle.parquet",
        "evaluate/metrics.json",
        "evaluate/metrics.csv",
        "report/report.md",
        "report/report.html",
        "report/summary.md",
        "report/figures/recall_by_k.png",
        "report/figures/recall_by_k.svg",
        *(f"{stage}/manifest.json" for stage in STAGES),
    }
    found = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert expected <= found
    assert not [path for path in found if path.endswith((".pkl", ".pt", ".npy", ".npz"))]
    hidden = {path for path in found if "/." in path or path.startswith(".")}
    assert hidden == {".lock"}


def test_single_commands_in_order_give_the_artifacts_of_run(finished: Path, tmp_path: Path):
    config = write_config(tmp_path)
    for stage in STAGES:
        done = study(stage, "--config", config, "--run-dir", tmp_path / "run", "--quiet")
        assert done.returncode == 0, done.stderr
    assert artifact_hashes(tmp_path / "run") == artifact_hashes(finished)


def test_another_seed_gives_other_artifacts(finished: Path, tmp_path: Path):
    other = artifact_hashes(run_small(tmp_path, "--set", "seed=43"))
    assert other["synth"]["events.parquet"] != artifact_hashes(finished)["synth"]["events.parquet"]
    assert (
        other["train"]["gru4rec/weights.safetensors"]
        != artifact_hashes(finished)["train"]["gru4rec/weights.safetensors"]
    )


def test_metrics_are_one_long_table_that_follows_from_the_ranks(finished: Path):
    table = pd.read_csv(finished / "evaluate" / "metrics.csv", dtype={"seed": str})
    assert list(table) == ["model", "seed", "metric", "k", "ties", "slice", "value", "low", "high", "events"]
    assert set(table["model"]) == {"popularity", "markov", "gru4rec", "oracle"}
    assert set(table["seed"]) == {"42", "all"}
    ranks = pl.read_parquet(finished / "evaluate" / "ranks" / "markov.parquet")
    assert ranks.columns == [
        *("session_id", "position", "item_id", "greater", "equal", "greater_support", "equal_support")
    ]
    whole = table[(table.seed == "all") & (table.slice == "all")]
    rows = whole[(whole.model == "markov") & (whole.metric == "recall") & (whole.k == 5)]
    values = dict(zip(rows.ties, rows.value, strict=True))
    hits = {
        "optimistic": (ranks["greater"] + 1 <= 5).mean(),
        "median": (ranks["greater"] + ranks["equal"] / 2 + 1 <= 5).mean(),
        "conservative": (ranks["greater"] + ranks["equal"] + 1 <= 5).mean(),
    }
    assert values == pytest.approx(hits)
    with_interval = table[table["low"].notna()]
    assert set(with_interval["slice"]) == set(table["slice"])
    assert (with_interval["low"] <= with_interval["value"] + 1e-9).all()
    assert (with_interval["value"] <= with_interval["high"] + 1e-9).all()
    assert set(whole["events"]) == {ranks.height}
    for kind in ("position", "length", "target"):
        parts = table[(table.seed == "all") & table.slice.str.startswith(f"{kind}=")]
        assert set(parts.groupby(["model", "metric", "k"])["events"].sum()) == {ranks.height}


def test_lists_name_event_and_items_by_their_ids(finished: Path):
    """Friction: the lists can be read without the run's item table; the target is in the first K iff its rank is."""
    ranks, lists = (
        pl.read_parquet(finished / "evaluate" / folder / "gru4rec.parquet") for folder in ("ranks", "lists")
    )
    assert lists.columns == ["session_id", "position", "items"]
    assert lists.select("session_id", "position").equals(ranks.select("session_id", "position"))
    joined = ranks.join(lists, on=["session_id", "position"])
    alone = joined.filter(pl.col("equal") == 0)  # equal scores stand in order of index
    assert alone.height > joined.height / 2
    for k in (1, 5, 20):
        listed = alone.select(pl.col("items").arr.to_list().list.head(k).list.contains(pl.col("item_id")))
        assert listed.to_series().equals((alone["greater"] < k).alias("items"))


def test_no_model_is_above_the_oracle_and_knowing_more_ranks_better(finished: Path):
    table = pd.read_csv(finished / "evaluate" / "metrics.csv", dtype={"seed": str})
    whole = table[(table.seed == "all") & (table.slice == "all") & (table.ties == "conservative")]
    best = whole[(whole.metric == "recall") & (whole.k == 5)]
    value = dict(zip(best.model, best.value, strict=True))
    assert value["oracle"] >= value["markov"] > value["popularity"]


def test_a_second_run_skips_everything_and_changes_nothing(copy: Path):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("manifest.json")}
    code, shown, log = again(copy, "run", "--json")
    assert code == 0, log
    assert [stage["action"] for stage in json.loads(shown)["stages"]] == ["skipped"] * 6
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("manifest.json")} == before


def test_force_does_it_again_with_the_same_result(copy: Path):
    before, manifest = artifact_hashes(copy), copy / "split" / "manifest.json"
    time = manifest.stat().st_mtime_ns
    code, _, log = again(copy, "split", "--force")
    assert code == 0, log
    assert manifest.stat().st_mtime_ns > time
    assert artifact_hashes(copy) == before


def test_a_dry_run_tells_what_would_run_and_why_and_writes_nothing(copy: Path, tmp_path: Path):
    before = sorted(copy.rglob("*"))
    code, shown, _ = again(copy, "run", "--dry-run", "--json", "--set", "split.test=0.3")
    assert code == 0
    plan = {row["stage"]: (row["state"], row["reason"]) for row in json.loads(shown)["plan"]}
    assert plan["synth"][0] == "up to date"
    assert plan["split"] == ("to run", "the configuration changed: split.test: 0.2 → 0.3")
    assert plan["train"] == ("to run", "unless split writes the same as before")
    assert sorted(copy.rglob("*")) == before
    fresh = study("run", "--dry-run", "--config", tmp_path / "study.yaml", "--run-dir", tmp_path / "new")
    assert fresh.returncode == 0
    assert "it has not run yet" in fresh.stdout
    assert not (tmp_path / "new").exists()


def test_a_changed_cutoff_redoes_only_evaluate_and_report_and_keeps_the_ranks(copy: Path):
    ranks = artifact_hashes(copy)["evaluate"]["ranks/gru4rec.parquet"]
    code, shown, log = again(copy, "run", "--json", "--set", "evaluate.cutoffs=[3]")
    assert code == 0, log
    actions = {stage["stage"]: stage["action"] for stage in json.loads(shown)["stages"]}
    assert actions == dict.fromkeys(STAGES[:4], "skipped") | dict.fromkeys(STAGES[4:], "ran")
    assert artifact_hashes(copy)["evaluate"]["ranks/gru4rec.parquet"] == ranks
    assert {row["k"] for row in json.loads(shown)["results"]["metrics"]} == {3}


@pytest.mark.parametrize("manifest", [True, False])
def test_ranks_are_taken_over_only_with_the_bytes_that_their_manifest_says(copy: Path, manifest: bool):
    """fault 12: popularity with the oracle's ranks and lists."""
    before = artifact_hashes(copy)["evaluate"]
    for folder in ("ranks", "lists"):
        shutil.copy(copy / "evaluate" / folder / "oracle.parquet", copy / "evaluate" / folder / "popularity.parquet")
    if manifest:  # what reads the stage finds it damaged
        code, _, log = again(copy, "evaluate")
        assert code == 4
        assert "popularity.parquet is damaged" in log
    (copy / "evaluate" / "manifest.json").unlink()
    code, _, log = again(copy, "evaluate")
    assert code == 0, log
    assert artifact_hashes(copy)["evaluate"] == before


def test_an_added_model_leaves_the_fitted_ones_as_they_are(copy: Path):
    fitted = (copy / "train" / "gru4rec" / "manifest.json").read_text()
    code, _, log = again(
        copy, "run", "--set", "train.models.wide={kind: gru4rec, layers: [12], epochs: 1, n_sample: 16}"
    )
    assert code == 0, log
    assert (copy / "train" / "gru4rec" / "manifest.json").read_text() == fitted
    assert (copy / "evaluate" / "ranks" / "wide.parquet").exists()


def test_a_removed_model_is_gone_from_every_stage(copy: Path):
    config = {**SMALL, "baseline": {"models": {"popularity": {}}}}
    write_config(copy.parent, config)
    code, shown, log = again(copy, "run", "--json")
    assert code == 0, log
    assert not (copy / "baseline" / "markov").exists()
    assert not (copy / "evaluate" / "ranks" / "markov.parquet").exists()
    assert "markov" not in {row["model"] for row in json.loads(shown)["results"]["metrics"]}


def test_a_single_command_says_which_stage_must_run_first(tmp_path: Path):
    done = study("evaluate", "--config", write_config(tmp_path), "--run-dir", tmp_path / "run")
    assert done.returncode == 4
    assert "evaluate needs the synth stage" in done.stderr
    assert (
        f"run first: gru4rec-study synth --config {tmp_path / 'study.yaml'} --run-dir {tmp_path / 'run'}" in done.stderr
    )
    assert not (tmp_path / "run").exists()
    assert done.stdout == ""


def test_a_stage_made_with_another_configuration_is_not_used(copy: Path):
    code, _, log = again(copy, "evaluate", "--set", "split.test=0.3")
    assert code == 4
    assert "split.test: 0.2 → 0.3" in log


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_a_flipped_byte_is_found_and_nothing_is_built_on_it(copy: Path, command: str):
    path = copy / "split" / "test.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    before = artifact_hashes(copy)
    code, _, log = again(copy, command)
    assert code == 4
    assert "test.parquet is damaged" in log
    assert f"gru4rec-study split --config {copy.parent / 'study.yaml'} --run-dir {copy} --force" in log
    assert artifact_hashes(copy) == before
    assert again(copy, "split", "--force")[0] == 0
    assert again(copy, command)[0] == 0
    assert artifact_hashes(copy) == before


def test_changed_code_is_not_taken_for_old(copy: Path):
    package = copy.parent / "changed"
    scoring = copied_package(package) / "models" / "markov.py"
    right, wrong = (
        "rule_blocks(sessions, rules, self.order)",
        "rule_blocks(sessions, rules, ItemOrder(self.order.levels[::-1].copy()))",
    )
    assert right in scoring.read_text()
    scoring.write_text(scoring.read_text().replace(right, wrong))
    arguments = ["run", "--config", str(copy.parent / "study.yaml"), "--run-dir", str(copy), "--json"]
    code = f"import sys; sys.path.insert(0, {str(package)!r}); from gru4rec_cli.__main__ import main; main()"
    before = artifact_hashes(copy)["evaluate"]
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = artifact_hashes(copy)["evaluate"]
    assert {name for name in after if after[name] != before[name]} >= {"ranks/markov.parquet", "metrics.csv"}
    assert after["ranks/gru4rec.parquet"] == before["ranks/gru4rec.parquet"]


def test_a_directory_of_another_run_is_refused(copy: Path):
    code, _, log = again(copy, "run", "--set", "name=other")
    assert code == 2
    assert "belongs to the run 'small'" in log


def test_the_report_needs_no_more_than_the_artifacts(copy: Path):
    page = (copy / "report" / "report.md").read_text(encoding="utf-8")
    table = pd.read_csv(copy / "evaluate" / "metrics.csv", dtype={"seed": str})
    row = table.query(
        "model == 'gru4rec' and seed == 'all' and metric == 'recall' and k == 20 and ties == 'conservative' "
        "and slice == 'all'"
    )
    assert f"{row.value.item():.4f}".removeprefix("0") in page
    for figure in (copy / "report" / "figures").glob("*.png"):
        assert f"figures/{figure.name}" in page


def test_results_alone_go_to_stdout(copy: Path):
    code, shown, log = again(copy, "report", "--force")
    assert code == 0
    assert "Recall@20" in shown
    assert "report: ran" in log
    assert "report: ran" not in shown
    code, shown, log = again(copy, "report", "--quiet", "--json")
    assert json.loads(shown)["results"]["protocol"]["candidates"] == "all training items"
    assert log == ""


def test_a_model_that_still_improves_is_told_on_screen_beside_the_results_and_in_the_report(finished: Path):
    """fault 44: two epochs at the start of a training, of which the second is much better."""
    losses = [row["loss"] for row in json.loads((finished / "train" / "gru4rec" / "fit.json").read_text())["curve"]]
    assert losses[1] < 0.98 * losses[0]
    shown = study("report", "--config", finished.parent / "study.yaml", "--run-dir", finished, "--quiet")
    assert "gru4rec: the training loss was still falling in the last epoch" in " ".join(shown.stdout.split())
    manifest = json.loads((finished / "train" / "manifest.json").read_text())
    (warning,) = (w for w in manifest["warnings"] if w["id"] == "still-improving")
    assert f"{losses[1]:.4f}, after {losses[0]:.4f}" in warning["message"]
    assert "train.models.gru4rec.epochs" in warning["hint"]
    assert "still falling" in (finished / "report" / "report.md").read_text()
