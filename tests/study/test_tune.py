"""The search for settings through the command: the test part stays shut, kills cost nothing, mistakes are told."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
import yaml

from gru4rec_cli.audit.run import audit_run
from gru4rec_cli.base.progress import SILENT
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.stage import StageWork
from gru4rec_cli.study.stages import tune
from tests.small import SMALL, artifact_hashes, command, started, study, write_config

SEARCH: dict[str, Any] = {
    **SMALL,
    "split": {"valid": 0.1},
    "baseline": {"models": {"popularity": {}, "sr": {}}},
    "tune": {
        "models": {
            "sr": {"steps": [2, 3, 10, 30], "weighting": ["same", "div", "quadratic"]},
            "gru4rec": {"learning_rate": {"from": 0.05, "to": 0.4, "step": 0.05}, "momentum": [0.0, 0.3]},
        },
        "budget": {"trials": 7},
        "metric": "mrr@10",
    },
}


def options(folder: Path, config: dict[str, Any] | None = None, run: str = "run") -> list[str]:
    return ["--config", str(write_config(folder, config or SEARCH)), "--run-dir", str(folder / run)]


def ledger(run: Path) -> dict[str, bytes]:
    """All files of the stage but what is measured: times, and the manifest that holds them."""
    folder = run / "tune"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "costs" not in path.parts}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with a search; its run directory."""
    folder = tmp_path_factory.mktemp("whole")
    done = study("run", *options(folder), "--quiet")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_the_chosen_settings_are_fitted_and_evaluated_beside_the_models_own(whole: Path):
    found = json.loads((whole / "tune" / "tune.json").read_text())
    best = yaml.safe_load((whole / "tune" / "best.yaml").read_text())
    trials = pd.read_csv(whole / "tune" / "trials.csv")
    metrics = json.loads((whole / "evaluate" / "metrics.json").read_text())
    for section, name in (("baseline", "sr"), ("train", "gru4rec")):
        mine = trials[trials.model == name]
        complete = mine[mine.state == "complete"]
        number = found["models"][name]["chosen"]["trial"]
        assert complete.value.max() == complete.value[complete.trial == number].item()
        chosen = best[section]["models"][name]
        assert metrics["models"][name]["settings"] == {key: value for key, value in chosen.items() if key != "kind"}
        row = mine[mine.trial == number].iloc[0]
        for key in SEARCH["tune"]["models"][name]:
            assert chosen[key] == row[f"settings.{key}"]
    assert metrics["models"]["gru4rec_default"]["settings"]["learning_rate"] == 0.2
    assert "popularity_default" not in metrics["models"]


def test_a_run_with_a_search_is_audited_by_the_settings_that_were_chosen(whole: Path):
    found = {result.id: result for result in audit_run(whole).results}
    assert not [name for name, result in found.items() if result.verdict == "FAIL"]
    assert found["R04-ranks-from-models"].verdict == "PASS"
    assert found["R15-tuning-budgets"].evidence == "all that were tuned had 7 trials; not tuned: none"


def test_the_times_that_the_test_part_was_used_are_counted(whole: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    other = {**SEARCH, "baseline": {"models": {"popularity": {}, "sr": {}, "markov": {}}}}
    done = study("run", *options(tmp_path, other))
    assert done.returncode == 0, done.stderr
    assert "The test part was ranked 2 times in this run directory" in " ".join(done.stdout.split())


def test_the_ledger_holds_the_settings_that_a_model_has_by_default(whole: Path):
    """gru4rec's own settings name neither learning rate nor momentum: both are .2 by default."""
    model = json.loads((whole / "tune" / "tune.json").read_text())["models"]["gru4rec"]
    trials = pd.read_csv(whole / "tune" / "trials.csv")
    mine = trials[trials.model == "gru4rec"].set_index("trial")
    own = model["default"]["settings"]
    assert own == {"learning_rate": 0.2, "momentum": 0.2}
    assert [mine.loc[1, f"settings.{key}"] for key in own] == [0.2, 0.2]
    chosen = {key: mine.loc[model["chosen"]["trial"], f"settings.{key}"] for key in own}
    assert model["chosen"]["changed"] == {key: chosen[key] for key in own if chosen[key] != own[key]}
    assert model["used_up"] is False


def test_the_report_tells_of_the_search_and_of_rows_with_own_settings(whole: Path):
    metrics = json.loads((whole / "evaluate" / "metrics.json").read_text())["models"]
    rows = {name: about["default_of"] for name, about in metrics.items() if "default_of" in about}
    assert rows == {"sr_default": "sr", "gru4rec_default": "gru4rec"}
    report = (whole / "report" / "report.md").read_text(encoding="utf-8")
    assert "All of these models had the same budget: 7 trials." in report
    assert {path.stem for path in (whole / "report" / "figures").glob("tuning_*.svg")} == {
        "tuning_best",
        "tuning_importance",
        "tuning_space",
    }
    costs = (whole / "report" / "costs" / "costs.md").read_text(encoding="utf-8")
    assert "tuning_time.png" in costs
    assert "| gru4rec | 7 |" in costs


def test_the_value_of_a_trial_is_what_evaluating_on_validation_gives(whole: Path, tmp_path: Path):
    """The chosen model of the study, by the ordinary commands, with validation as the test part."""
    split = whole / "split"
    for part, file in (("train", "train.parquet"), ("test", "valid.parquet")):
        pl.read_parquet(split / file).write_csv(tmp_path / f"{part}.csv")
    columns = pl.read_parquet(split / "train.parquet").columns
    best = yaml.safe_load((whole / "tune" / "best.yaml").read_text())["baseline"]["models"]["sr"]
    config = {
        "name": "again",
        "data": {
            "train": str(tmp_path / "train.csv"),
            "test": str(tmp_path / "test.csv"),
            "columns": {"session": columns[0], "item": columns[1], "time": columns[2]},
            "time_unit": "microseconds",
        },
        "baseline": {"models": {"sr": best}},
        "evaluate": {"cutoffs": [10], "resamples": 0},
    }
    done = study("run", *options(tmp_path, config), "--quiet")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "run" / "evaluate" / "metrics.json").read_text())["metrics"]
    (value,) = {
        row["value"] for row in rows if (row["metric"], row["ties"], row["slice"]) == ("mrr", "conservative", "all")
    }
    found = json.loads((whole / "tune" / "tune.json").read_text())["models"]["sr"]["chosen"]["value"]
    assert value == pytest.approx(found, abs=1e-12)


def test_nothing_is_run_twice_and_more_trials_continue(whole: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    done = study("run", *options(tmp_path), "--json")
    assert {stage["action"] for stage in json.loads(done.stdout)["stages"]} == {"skipped"}
    more = {**SEARCH, "tune": {**SEARCH["tune"], "budget": {"trials": 8}}}
    before = {path.name: path.stat().st_mtime_ns for path in (copy / "tune" / "sr").iterdir()}
    done = study("tune", *options(tmp_path, more), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]["models"]["sr"]["trials"] == 8
    first = ledger(whole)
    second = ledger(copy)
    assert all(second[name] == content for name, content in first.items() if name.startswith(("sr/", "gru4rec/")))
    assert len(before) == 7


def few_events(run: Path) -> list[dict[str, str]]:
    """The warnings of few validation events that the stage has kept."""
    warnings = json.loads((run / "tune" / "manifest.json").read_text())["warnings"]
    return [each for each in warnings if each["id"] == "few-validation-events"]


def test_a_validation_part_on_which_chance_decides_is_told(tmp_path: Path):
    """The number that is said to be enough is, with the value that was found; with that share nothing is said."""
    one = {"models": {"sr": {"steps": [2, 30]}}, "budget": {"trials": 2}, "metric": "recall@5"}
    config = {**SEARCH, "baseline": {"models": {"sr": {}}}, "train": {"models": {}}, "tune": one}
    config["split"] = {"valid": 0.01}
    for name in ("synth", "split", "tune"):
        done = study(name, *options(tmp_path, config), "--quiet")
        assert done.returncode == 0, done.stderr
    valid = pl.read_parquet(tmp_path / "run" / "split" / "valid.parquet")
    n_events = valid.height - valid.select(pl.col(valid.columns[0]).n_unique()).item()
    (found,) = few_events(tmp_path / "run")
    assert f"chosen on {n_events} validation events; recall@5 of sr is known best there" in found["message"]
    assert f"warning: {found['message']} [few-validation-events]" in done.stderr
    best = json.loads((tmp_path / "run" / "tune" / "tune.json").read_text())["models"]["sr"]["chosen"]
    needed = n_events * (best["standard_error"] / best["value"] / 0.1) ** 2
    (said,) = re.findall(r"^raise split.valid, to about ([0-9,]+) validation events$", found["hint"])
    assert needed <= int(said.replace(",", "")) <= 1.1 * needed
    config["split"] = {"valid": 0.4}
    for name in ("split", "tune"):
        done = study(name, *options(tmp_path, config), "--quiet")
        assert done.returncode == 0, done.stderr
    assert few_events(tmp_path / "run") == []


@pytest.mark.slow
def test_two_processes_make_the_same_ledger(whole: Path, tmp_path: Path):
    done = study("run", *options(tmp_path), "--jobs", "2", "--quiet", fresh=True)
    assert done.returncode == 0, done.stderr
    assert ledger(tmp_path / "run") == ledger(whole)
    assert artifact_hashes(tmp_path / "run")["train"] == artifact_hashes(whole)["train"]


def test_the_test_part_is_not_opened(whole: Path, tmp_path: Path):
    """The stage does the same where the test file holds garbage, or is not there."""
    config = load_config(write_config(tmp_path, SEARCH))
    for number, change in enumerate(("garbage", "gone")):
        split, folder = tmp_path / f"split-{number}", tmp_path / f"tune-{number}"
        shutil.copytree(whole / "split", split)
        folder.mkdir()
        (split / "test.parquet").unlink()
        if change == "garbage":
            (split / "test.parquet").write_bytes(b"garbage")
        tune.run(StageWork(config, folder, {"split": split}, None, SILENT))
        for file in ("best.yaml", "tune.json", "trials.csv"):
            assert (folder / file).read_bytes() == (whole / "tune" / file).read_bytes()


def test_permuted_test_targets_leave_the_choice_as_it_is(whole: Path, tmp_path: Path):
    """The same training and validation with another test: the ledger is the same, byte by byte."""
    split = whole / "split"
    test = pl.read_parquet(split / "test.parquet")
    columns = test.columns
    ledgers = []
    for name, changed in (("as-is", test), ("permuted", test.with_columns(pl.col(columns[1]).shuffle(seed=1)))):
        folder = tmp_path / name
        folder.mkdir()
        both = pl.concat([pl.read_parquet(split / "train.parquet"), pl.read_parquet(split / "valid.parquet")])
        both.write_csv(folder / "train.csv")
        changed.write_csv(folder / "test.csv")
        config = {
            **SEARCH,
            "data": {
                "train": str(folder / "train.csv"),
                "test": str(folder / "test.csv"),
                "columns": {"session": columns[0], "item": columns[1], "time": columns[2]},
                "time_unit": "microseconds",
            },
        }
        del config["synth"]
        for command_name in ("split", "tune"):
            done = study(command_name, *options(folder, config), "--quiet")
            assert done.returncode == 0, done.stderr
        ledgers.append(ledger(folder / "run"))
    assert ledgers[0] == ledgers[1]


LONG: dict[str, Any] = {
    **SEARCH,
    "train": {"models": {"gru4rec": {"layers": [4], "epochs": 2, "batch_size": 32, "n_sample": 8}}},
    "tune": {
        "models": {
            "sr": {"steps": list(range(2, 31)), "weighting": ["same", "div", "quadratic"]},
            "gru4rec": {"learning_rate": {"from": 0.05, "to": 0.4, "step": 0.005}, "momentum": [0.0, 0.3]},
        },
        "budget": {"trials": 40},
        "metric": "mrr@10",
    },
}


def killed_in_a_trial(given: list[str], folder: Path, chance: random.Random, jobs: int = 1) -> int | None:
    """Kill a search at a random moment after a trial that was not there before; return its exit code."""
    before, wait = len(list(folder.glob("*/*.json"))), chance.uniform(0, 0.05)
    process = started("tune", *given, "--jobs", str(jobs), "--quiet", fresh=jobs > 1)
    while process.poll() is None and len(list(folder.glob("*/*.json"))) == before:
        time.sleep(0.001)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode


def killed_in_writing(given: list[str], folder: Path, chance: random.Random, jobs: int = 1) -> int:
    """Kill a search before a random one of its changes of files of the ledger; return its exit code."""
    kill = ("tests.study.killed_command", "kill_before", [chance.randint(1, 20), str(folder)])
    return study("tune", *given, "--jobs", str(jobs), "--quiet", first=kill).returncode


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="kills forks")
def test_a_search_that_is_killed_twenty_times_ends_the_same(tmp_path: Path):
    """At random moments, in trials and while the ledger is written; sometimes with two processes for trials."""
    chance, torn = random.Random(1), 0
    whole, given = options(tmp_path, LONG, "whole"), options(tmp_path, LONG)
    for name in ("synth", "split"):
        assert study(name, *given, "--quiet").returncode == 0
        assert study(name, *whole, "--quiet").returncode == 0
    assert study("tune", *whole, "--quiet", fresh=True).returncode == 0
    kinds: list[Callable[..., int | None]] = [killed_in_a_trial, killed_in_writing] * 5
    kinds += [partial(kind, jobs=2) for kind in kinds]
    chance.shuffle(kinds)
    unfinished = tmp_path / "run" / ".tune.partial"
    for number, kind in enumerate(kinds):
        assert kind(given, unfinished, chance) == -signal.SIGKILL, f"kill {number} came too late"
        costs, trials = ({path.name for path in unfinished.glob(glob)} for glob in ("costs/*/*.json", "[!c]*/*.json"))
        torn += bool(list(unfinished.rglob(".*.tmp"))) or costs != trials
    assert torn, "no kill came between two files of a trial"
    assert study("tune", *given, "--quiet", fresh=True).returncode == 0
    found = ledger(tmp_path / "run")
    assert len(found) == 2 * 40 + 3  # trials of two models, and the three files of the choice
    assert found == ledger(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_killed_worker_is_told_and_the_same_command_goes_on(whole: Path, tmp_path: Path):
    given = options(tmp_path)
    for name in ("synth", "split"):
        assert study(name, *given, "--quiet").returncode == 0
    program = command("tune", *given, "--jobs", "2", "--quiet")
    process = subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while process.poll() is None and not list((tmp_path / "run" / ".tune.partial").glob("*/*.json")):
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    os.kill(int(workers[0]), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 4, said
    assert "a process that carried out a trial was killed" in said
    assert study("tune", *given, "--quiet").returncode == 0
    assert ledger(tmp_path / "run") == ledger(whole)


def group_is_there(group: int) -> bool:
    """Whether a process of a group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_ctrl_c_keeps_finished_trials_and_leaves_no_process(tmp_path: Path):
    given = options(tmp_path)
    for name in ("synth", "split"):
        assert study(name, *given, "--quiet").returncode == 0
    process = subprocess.Popen(
        command("tune", *given, "--jobs", "2"), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    unfinished = tmp_path / "run" / ".tune.partial"
    end = time.monotonic() + 120
    while not list(unfinished.glob("sr/*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes of the group
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    kept = {path.name: path.read_bytes() for path in unfinished.glob("sr/*.json")}
    assert kept
    end = time.monotonic() + 10
    while group_is_there(process.pid):
        assert time.monotonic() < end, "a worker goes on"
        time.sleep(0.1)
    assert study("tune", *given, "--quiet").returncode == 0
    assert all((tmp_path / "run" / "tune" / "sr" / name).read_bytes() == content for name, content in kept.items())


def test_defaults_decide_which_rows_there_are(whole: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    without = {**SEARCH, "tune": {**SEARCH["tune"], "defaults": False}}
    for config, rows in ((without, set()), (SEARCH, {"sr_default", "gru4rec_default"})):
        done = study("run", *options(tmp_path, config), "--quiet")
        assert done.returncode == 0, done.stderr
        models = json.loads((copy / "evaluate" / "metrics.json").read_text())["models"]
        assert {name for name in models if name.endswith("_default")} == rows


def test_multiples_are_of_the_mean_length_of_the_training_sessions(whole: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    space = {"lambda_spw": {"of_mean_session_length": [0.5, 2.0]}}
    config = {**SEARCH, "baseline": {"models": {"stan": {}}}, "train": {"models": {}}}
    config["tune"] = {**SEARCH["tune"], "models": {"stan": space}}
    done = study("tune", *options(tmp_path, config), "--quiet")
    assert done.returncode == 0, done.stderr
    train = pd.read_parquet(run / "split" / "train.parquet")
    mean = len(train) / train["session_id"].nunique()
    written = json.loads((run / "tune" / "tune.json").read_text())["models"]["stan"]
    assert written["space"]["lambda_spw"] == pytest.approx([mean / 2, mean * 2], rel=1e-3)
    assert written["trials"] == 3


def test_choices_that_were_edited_are_damage_for_the_audit(whole: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    best = copy / "tune" / "best.yaml"
    best.write_text(best.read_text().replace("models:", "modelz:"))
    done = study("audit", "run", copy)
    assert done.returncode == 4, done.stderr
    assert "best.yaml is damaged, or not of this configuration" in done.stderr


def test_all_mistakes_are_told_together_before_anything_runs(tmp_path: Path):
    wrong = {
        **SEARCH,
        "tune": {
            "models": {
                "sr": {"stepz": [1], "weighting": []},
                "gru4rec": {"learning_rate": {"from": 2, "to": 1}},
                "popularity": None,
                "srr": None,
            }
        },
    }
    done = study("run", *options(tmp_path, wrong))
    assert done.returncode == 2
    for message in (
        "tune.models.sr.stepz: sr has no such setting, did you mean 'steps'?",
        "tune.models.sr.weighting: an empty list",
        "tune.models.gru4rec.learning_rate: from (2) must be below to (1)",
        "tune.models.popularity: no space is published for popularity",
        "tune.models.srr: no model has this name, did you mean 'sr'?",
    ):
        assert message in " ".join(done.stderr.split()), done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {}}, "tune: needs validation sessions; set split.valid, or leave tune out"),
        ({"tune": {"budget": {"trials": 3, "seconds": 3.0}}}, "give trials or seconds, one of both"),
        ({"tune": {"metric": "auc@3"}}, "allowed: recall, mrr, ndcg with a cutoff"),
        ({"tune": {}, "baseline": {"models": {"popularity": {}}}, "train": {}}, "no model of baseline or train has a"),
        (
            {"tune": {}, "baseline": {"models": {"sr": {}, "sr_default": {"kind": "sr"}}}},
            "sr_default is the name of another",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str):
    done = study("tune", *options(tmp_path, SEARCH | changes))
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())


def test_without_the_section_there_is_nothing_to_tune(tmp_path: Path):
    done = study("tune", *options(tmp_path, SMALL))
    assert done.returncode == 2
    assert "there is nothing to tune: the configuration has no section tune" in done.stderr
