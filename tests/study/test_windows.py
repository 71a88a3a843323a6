"""Several windows of one log through the real command: a run each, then the mean over them."""

import json
import shlex
import shutil
import signal
import statistics
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.study.config import load_config, resolved
from gru4rec_cli.study.pipeline import Study
from gru4rec_cli.study.runner import StageRunner
from gru4rec_cli.study.windows import study_of, window_config
from tests.small import SMALL, STAGES, artifact_hashes, started, study, write_config
from tests.study.test_killed import send_when

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    **SMALL,
    "synth": {**SMALL["synth"], "sessions": 3000, "items": 40},
    "split": {"windows": 3},
    "train": {"models": {"gru4rec": {**SMALL["train"]["models"]["gru4rec"], "epochs": 1}}},
}
WINDOWS = [f"windows/{number}-of-3" for number in (1, 2, 3)]
ORDER = [
    *(f"{window}/{stage}" for window in WINDOWS for stage in STAGES[:2]),
    *(f"{window}/{stage}" for window in WINDOWS for stage in STAGES[2:]),
    "joint",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("finished")
    done = study("run", "--config", write_config(folder, CONFIG), "--run-dir", folder / "run", "--json", fresh=True)
    assert done.returncode == 0, done.stderr
    (folder / "shown.json").write_text(done.stdout)
    return folder / "run"


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    write_config(tmp_path, CONFIG)
    return Path(shutil.copytree(finished, tmp_path / "run"))


def again(run: Path, command: str, *arguments: str) -> Any:
    return study(command, "--config", run.parent / "study.yaml", "--run-dir", run, *arguments)


def hashes(run: Path) -> dict[str, dict[str, dict[str, str]]]:
    return {folder: artifact_hashes(run / folder) for folder in ("", *WINDOWS)}


def actions(shown: str) -> dict[str, str]:
    return {stage["stage"]: stage["action"] for stage in json.loads(shown)["stages"]}


def test_all_splits_come_first_then_the_windows_in_order_then_what_they_give(finished: Path):
    assert list(actions((finished.parent / "shown.json").read_text())) == ORDER
    assert {path.name for path in (finished / "joint").iterdir()} == {
        *("manifest.json", "metrics.csv", "metrics.json"),
        *("report.html", "report.md"),
    }


def test_the_joint_table_is_mean_and_standard_deviation_of_the_windows_tables(finished: Path):
    keys = ["model", "metric", "k", "ties", "slice"]
    tables = [pd.read_csv(finished / window / "evaluate" / "metrics.csv", dtype={"seed": str}) for window in WINDOWS]
    values: dict[tuple[Any, ...], list[float]] = {}
    for table in tables:
        for row in table[table["seed"] == "all"].to_dict("records"):
            values.setdefault(tuple(row[key] for key in keys), []).append(row["value"])
    joint = pd.read_csv(finished / "joint" / "metrics.csv")
    assert list(joint) == [*keys, "mean", "sd", "windows"]
    found = {tuple(row)[:5]: row for row in joint.itertuples(index=False)}
    assert set(found) == set(values)
    for key, several in values.items():
        assert found[key].windows == len(several)
        assert found[key].mean == pytest.approx(sum(several) / len(several), abs=1e-12)
        if len(several) > 1:
            assert found[key].sd == pytest.approx(statistics.stdev(several), abs=1e-12)
    shown = json.loads((finished.parent / "shown.json").read_text())["results"]
    assert [window["run"] for window in shown["windows"]] == WINDOWS
    assert shown["metrics"] == json.loads((finished / "joint" / "metrics.json").read_text())["metrics"]
    (recall,) = [
        row for row in shown["metrics"]
        if tuple(row[key] for key in keys) == ("markov", "recall", 20, "conservative", "all")
    ]  # fmt: skip
    told = f"{recall['mean']:.4f} ± {recall['sd']:.4f}"
    for page in ("report.md", "report.html"):
        assert told.replace("0.", ".") in " ".join((finished / "joint" / page).read_text(encoding="utf-8").split())


def test_every_window_is_a_run_like_any_other(copy: Path):
    window = copy / WINDOWS[1]
    configuration = yaml.safe_load((window / "config.yaml").read_text())
    assert configuration["name"] == "small.2-of-3"
    assert configuration["split"]["window"] == {"number": 2, "of": 3}
    assert configuration["split"]["windows"] is None
    for command in ("evaluate", "run"):
        done = study(command, "--config", window / "config.yaml", "--run-dir", window)
        assert done.returncode == 0, done.stderr
        assert f"{command if command != 'run' else 'report'}: skipped" in done.stderr
    assert "Window 2 of 3: the sessions that start at 2024-01-05T" in (window / "report" / "report.md").read_text()
    compared = study("compare", window)
    assert compared.returncode == 0, compared.stderr
    refused = study("compare", copy)
    assert refused.returncode == 2
    assert f"give some of {copy}/windows/*" in refused.stderr


def test_a_second_run_skips_everything_and_a_third_redoes_what_one_window_changed(copy: Path):
    before, joint = hashes(copy), (copy / "joint" / "manifest.json").stat().st_mtime_ns
    done = again(copy, "run", "--quiet")
    assert done.stderr == ""
    for told in ("Mean over 3 windows at K = 20", "Recall@20 by window", "windows/3-of-3"):
        assert told in done.stdout
    assert (copy / "joint" / "manifest.json").stat().st_mtime_ns == joint
    window = copy / WINDOWS[2]
    alone = study("evaluate", "--config", window / "config.yaml", "--run-dir", window, "--set", "evaluate.resamples=9")
    assert alone.returncode == 0, alone.stderr
    done = again(copy, "run", "--json")
    assert [stage for stage, action in actions(done.stdout).items() if action == "ran"] == [f"{WINDOWS[2]}/evaluate"]
    assert hashes(copy) == before  # the joint stage was made from these same metrics


def test_other_cutoffs_redo_metrics_and_reports_alone_and_a_dry_run_says_so(copy: Path):
    cutoffs = ("--set", "evaluate.cutoffs=[3]")
    before = hashes(copy)
    plan = json.loads(again(copy, "run", "--dry-run", "--json", *cutoffs).stdout)["plan"]
    assert [row["stage"] for row in plan] == ORDER
    wanted = {stage for stage in ORDER if stage.endswith(("evaluate", "report", "joint"))}
    assert {row["stage"] for row in plan if row["state"] == "to run"} == wanted
    assert plan[-1]["reason"] == "unless the windows will give the same again"
    assert hashes(copy) == before
    done = again(copy, "run", "--json", *cutoffs)
    assert {stage for stage, action in actions(done.stdout).items() if action == "ran"} == wanted
    assert {row["k"] for row in json.loads(done.stdout)["results"]["metrics"]} == {3}


def test_another_number_of_windows_leaves_the_others_alone(copy: Path):
    before = {window: artifact_hashes(copy / window) for window in WINDOWS}
    done = again(copy, "run", "--json", "--set", "split.windows=2")
    assert done.returncode == 0, done.stderr
    assert [window["run"] for window in json.loads(done.stdout)["results"]["windows"]] == [
        "windows/1-of-2",
        "windows/2-of-2",
    ]
    assert {window: artifact_hashes(copy / window) for window in WINDOWS} == before


def test_force_does_everything_again_with_the_same_result(copy: Path):
    before = hashes(copy)
    done = again(copy, "run", "--force", "--json")
    assert set(actions(done.stdout).values()) == {"ran"}
    assert hashes(copy) == before


def test_a_single_stage_is_refused_and_the_command_that_is_named_works(copy: Path):
    refused = again(copy, "evaluate")
    assert refused.returncode == 2
    assert "split.windows asks for 3 runs, each with all stages" in refused.stderr
    commands = [line.partition("gru4rec-study ")[2] for line in refused.stderr.splitlines() if "gru4rec-study" in line]
    assert len(commands) == 2
    for command in commands:
        assert study(*shlex.split(command)).returncode == 0


def test_the_stage_over_all_windows_runs_alone_once_the_windows_are_finished(copy: Path):
    before = hashes(copy)
    done = again(copy, "joint", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["stage"], shown["action"]) == ("joint", "skipped")
    assert shown["results"]["metrics"] == json.loads((copy / "joint" / "metrics.json").read_text())["metrics"]
    shutil.rmtree(copy / "joint")
    assert again(copy, "joint").returncode == 0
    assert hashes(copy) == before
    shutil.rmtree(copy / WINDOWS[1] / "evaluate")
    refused = again(copy, "joint", "--force")
    assert refused.returncode == 4
    assert f"joint needs the evaluate stage of {copy / WINDOWS[1]}, but it has not run yet" in refused.stderr
    (command,) = refused.stderr.split("run first: gru4rec-study ")[1:]
    assert study(*shlex.split(command)).returncode == 0
    assert again(copy, "joint", "--force").returncode == 0
    assert hashes(copy) == before
    whole = study("joint", "--config", copy / WINDOWS[0] / "config.yaml", "--run-dir", copy / WINDOWS[0])
    assert whole.returncode == 2
    assert "split.windows is not set" in whole.stderr


@pytest.mark.parametrize("stage", [f"{WINDOWS[0]}/evaluate", "joint"])
def test_damage_stops_the_run_and_what_is_advised_repairs_it(copy: Path, stage: str):
    before = hashes(copy)
    (copy / stage / "metrics.json").write_text("{}")
    done = again(copy, "run")
    assert done.returncode == 4
    assert "metrics.json is damaged" in done.stderr
    (command,) = [part for part in done.stderr.split("gru4rec-study ") if "--force" in part]
    assert command.startswith(Path(stage).name)
    assert study(*shlex.split(command)).returncode == 0
    assert again(copy, "run").returncode == 0
    assert hashes(copy) == before


def test_a_killed_run_goes_on_and_ends_like_an_uninterrupted_one(tmp_path: Path, finished: Path):
    config, run = write_config(tmp_path, CONFIG), tmp_path / "run"
    process = started("run", "--config", config, "--run-dir", run)
    send_when(process, (run / WINDOWS[1] / ".train.partial").exists, signal.SIGKILL)
    process.communicate()
    assert (run / WINDOWS[0] / "report").exists()
    assert not (run / WINDOWS[1] / "train").exists()
    assert not (run / "joint").exists()
    second = started("run", "--config", config, "--run-dir", run)
    send_when(second, (run / ".joint.partial").exists, signal.SIGKILL)
    second.communicate()
    done = study("run", "--config", config, "--run-dir", run, "--json")
    assert done.returncode == 0, done.stderr
    assert [stage for stage, action in actions(done.stdout).items() if action == "ran"] == ["joint"]
    assert hashes(run) == hashes(finished)


def test_two_runs_on_one_directory_are_refused(tmp_path: Path):
    config, run = write_config(tmp_path, CONFIG), tmp_path / "run"
    process = started("run", "--config", config, "--run-dir", run, fresh=True)
    try:
        while not (run / WINDOWS[0]).exists() and process.poll() is None:
            time.sleep(0.0005)
        second = study("run", "--config", config, "--run-dir", run)
    finally:
        process.kill()
        process.communicate()
    assert second.returncode == 2
    assert f"is in use by process {process.pid}" in second.stderr


def test_a_window_with_too_few_sessions_is_named_before_anything_is_fitted(tmp_path: Path):
    rows = [f"{s},{s % 3 + c},{time}" for s in range(60) for c in range(2) for time in [1_600_000_000 + 60 * s + c]]
    rows += [f"99,{c},{1_600_020_000 + c}" for c in range(2)]  # alone in the last third
    (tmp_path / "clicks.csv").write_text("\n".join(["SessionId,ItemId,Time", *rows]) + "\n")
    config = {
        "name": "few",
        "data": {"source": str(tmp_path / "clicks.csv")},
        "split": {"windows": 3, "min_item_support": 1},
        "baseline": {"models": {"popularity": {}}},
    }
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "run")
    assert done.returncode == 3
    assert "error: window 2 of 3: no session starts at 2020-09-13T" in done.stderr
    assert "try: cut the log into fewer windows" in done.stderr
    assert not (tmp_path / "run" / WINDOWS[0] / "baseline").exists()


def test_a_directory_holds_either_windows_or_a_run_of_the_whole_log(copy: Path):
    whole = again(copy, "run", "--set", "split.windows=null")
    assert whole.returncode == 2
    assert "holds windows, but this configuration asks for none" in whole.stderr
    run = copy.parent / "other"
    made = study("synth", "--config", copy.parent / "study.yaml", "--run-dir", run, "--set", "split.windows=null")
    assert made.returncode == 0, made.stderr
    several = study("run", "--config", copy.parent / "study.yaml", "--run-dir", run)
    assert several.returncode == 2
    assert "holds a run of the whole log, but this configuration asks for windows" in several.stderr


def test_the_configuration_of_a_window_loads_to_itself_and_names_it(tmp_path: Path):
    path = write_config(tmp_path, {**CONFIG, "report": {"title": "Clicks"}})
    one = window_config(load_config(path), 2)
    assert (one.name, one.report.title) == ("small.2-of-3", "Clicks (2/3)")
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(resolved(one)))
    assert resolved(load_config(tmp_path / "again.yaml")) == resolved(one)


def test_a_library_user_who_takes_a_plain_study_is_told(tmp_path: Path):
    config = load_config(write_config(tmp_path, CONFIG))
    with pytest.raises(UsageError, match=r"split\.windows asks for several runs"):
        Study(StageRunner(config, tmp_path / "run"))
    assert len(study_of(config, tmp_path / "run").plan()) == len(ORDER)
