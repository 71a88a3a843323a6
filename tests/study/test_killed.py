"""Real processes killed at any moment: the next run continues and ends with the same artifacts."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gru4rec_cli.base.files import MANIFEST, hash_folder, write_manifest
from gru4rec_cli.study import fits
from tests.small import SMALL, STAGES, artifact_hashes, started, study, write_config
from tests.warm import WarmProcess

pytestmark = pytest.mark.slow

CONFIG = {
    **SMALL,
    "synth": {**SMALL["synth"], "sessions": 6000, "items": 200},
    "train": {"models": {"gru4rec": {**SMALL["train"]["models"]["gru4rec"], "epochs": 4}}},
}


def send_when(
    process: "WarmProcess | subprocess.Popen[str]", there: Callable[[], bool], number: signal.Signals
) -> None:
    """Send the signal as soon as `there` holds."""
    limit = time.monotonic() + 120
    while not there():
        assert process.poll() is None, f"the run ended before it could be stopped: {process.communicate()}"
        assert time.monotonic() < limit, "waited for two minutes"
        time.sleep(0.0005)
    process.send_signal(number)


def kill_within(stage: str, config: Path, run: Path) -> None:
    """Kill a run while it makes `stage`. Where the signal came too late, as on a busy machine, take the stage back."""
    for _ in range(10):
        process = started("run", "--config", config, "--run-dir", run)
        send_when(process, lambda: (run / f".{stage}.partial").exists() or (run / stage).exists(), signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        if not (run / stage).exists():
            return
        for later in STAGES[STAGES.index(stage) :]:
            shutil.rmtree(run / later, ignore_errors=True)
    pytest.fail(f"{stage} was never stopped midway")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = study("run", "--config", write_config(folder, CONFIG), "--run-dir", folder / "run")
    assert done.returncode == 0, done.stderr
    return artifact_hashes(folder / "run")


def test_a_run_killed_in_every_stage_ends_like_an_uninterrupted_one(
    tmp_path: Path, uninterrupted: dict[str, dict[str, str]]
):
    config, run = write_config(tmp_path, CONFIG), tmp_path / "run"
    for stage in STAGES:
        kill_within(stage, config, run)
    done = study("run", "--config", config, "--run-dir", run, "--json")
    assert done.returncode == 0, done.stderr
    assert [stage["action"] for stage in json.loads(done.stdout)["stages"]] == ["skipped"] * 5 + ["ran"]
    assert artifact_hashes(run) == uninterrupted


def test_training_killed_after_an_epoch_continues_with_the_next(
    tmp_path: Path, uninterrupted: dict[str, dict[str, str]]
):
    config, run = write_config(tmp_path, CONFIG), tmp_path / "run"
    process = started("run", "--config", config, "--run-dir", run)
    checkpoints = run / ".train.partial"
    send_when(process, lambda: any(checkpoints.glob(".gru4rec.*.checkpoints/epoch-2.safetensors")), signal.SIGKILL)
    process.communicate()
    (latest,) = checkpoints.glob(".gru4rec.*.checkpoints/latest.json")
    earlier = json.loads(latest.read_text())["cost"]["seconds"]
    done = study("run", "--config", config, "--run-dir", run, "--json")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^training goes on after epoch [123] of 4$", done.stderr, flags=re.MULTILINE)
    assert artifact_hashes(run) == uninterrupted
    assert not any(run.rglob("*.checkpoints"))
    costs = json.loads(done.stdout)["results"]["costs"]["gru4rec"]
    assert costs["seconds"] > earlier > 0  # that of both processes
    assert (costs["epochs"], costs["seconds_per_epoch"]) == (4, costs["seconds"] / 4)


def test_ctrl_c_ends_with_130_and_the_next_run_continues(tmp_path: Path):
    config, run = write_config(tmp_path, CONFIG), tmp_path / "run"
    process = started("run", "--config", config, "--run-dir", run, fresh=True)
    send_when(process, (run / ".train.partial").exists, signal.SIGINT)
    shown, log = process.communicate()
    assert process.returncode == 130
    assert shown == ""
    assert "interrupted; every finished stage is as it was; the same command, without --force, continues" in log
    assert "Traceback" not in log
    assert sorted(path.name for path in run.iterdir() if not path.name.startswith(".")) == [
        "baseline",
        "config.yaml",
        "split",
        "synth",
    ]
    done = study("run", "--config", config, "--run-dir", run)
    assert done.returncode == 0, done.stderr


def test_a_second_run_on_one_directory_fails_at_once_and_names_the_first(tmp_path: Path):
    config, run = write_config(tmp_path, CONFIG), tmp_path / "run"
    process = started("run", "--config", config, "--run-dir", run, fresh=True)
    try:
        while not (run / ".lock-holder.json").exists() and process.poll() is None:
            time.sleep(0.0005)
        second = study("run", "--config", config, "--run-dir", run)
    finally:
        process.kill()
        process.communicate()
    assert second.returncode == 2
    assert f"is in use by process {process.pid}" in second.stderr
    assert study("synth", "--config", config, "--run-dir", run).returncode == 0


def test_what_a_kill_may_leave_in_a_stage_does_not_stop_the_next_run(tmp_path: Path):
    config, run = write_config(tmp_path), tmp_path / "run"
    for stage in ("synth", "split", "baseline"):
        assert study(stage, "--config", config, "--run-dir", run).returncode == 0
    for number, leftover in enumerate(
        (".manifest.json.tmp", ".markov.copy/model.json", ".markov.new/model.json", ".x.checkpoints/a")
    ):
        path = run / ".baseline.partial" / leftover
        path.parent.mkdir(parents=True)
        path.touch()
        another = f"baseline.models.more-{number}.kind=popularity"
        done = study("baseline", "--config", config, "--run-dir", run, "--set", another)
        assert done.returncode == 0, (leftover, done.stderr)
        assert (run / "baseline" / f"more-{number}").is_dir()
        assert not [path for path in (run / "baseline").rglob("*") if path.name.startswith(".")]


def test_a_copy_that_a_killed_run_was_making_is_not_taken_over(tmp_path: Path):
    for name in (".other.copy", "markov"):
        fit = tmp_path / name
        fit.mkdir()
        (fit / "model.json").write_text("{}")
        write_manifest(fit / MANIFEST, {"key": "the same", "outputs": hash_folder(fit)})
        assert fits._made_before([tmp_path], "the same") == (None if name.startswith(".") else fit)
