"""A stage that is made again with --force and interrupted: the finished one stays, and the work goes on."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.study import fits
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.pipeline import Study
from gru4rec_cli.study.verifying import verify
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, artifact_hashes, started, write_config
from tests.study.test_killed import send_when

CONFIG: dict[str, Any] = {
    **SMALL,
    "synth": {"sessions": 400, "items": 16, "interests": 2, "successors": 2, "max_length": 8},
    "train": {"models": {"first": {"kind": "popularity"}, "second": {"kind": "random"}}},
    "evaluate": {"resamples": 0, "permutations": 10},
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    found = study_of(load_config(write_config(tmp_path, CONFIG)), tmp_path / "run")
    assert isinstance(found, Study)
    for stage in ("synth", "split", "baseline", "train"):
        found.run_stage(stage)
    return found


def interrupted(study: Study, monkeypatch: pytest.MonkeyPatch, *, after: int, force: bool) -> list[str]:
    """Run `train`, with Ctrl-C after so many fits, and return the names of those that were fitted."""
    fitted: list[str] = []
    fit_one = fits._fit

    def fit(work: Any, fit: Any, *rest: Any) -> None:
        if len(fitted) == after:
            raise KeyboardInterrupt
        fitted.append(fit.name)
        fit_one(work, fit, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(fits, "_fit", fit)
        try:
            study.run_stage("train", force=force)
        except KeyboardInterrupt:
            fitted.append("interrupted")
    return fitted


def test_a_forced_try_that_was_interrupted_goes_on_without_force(study: Study, monkeypatch: pytest.MonkeyPatch):
    """The next command said "skipped (up to date)", and the partial folder stayed for ever."""
    before = artifact_hashes(study.directory.path)
    assert interrupted(study, monkeypatch, after=1, force=True) == ["first", "interrupted"]
    assert artifact_hashes(study.directory.path) == before  # the finished stage is as it was
    assert not study.directory.damage("train")
    assert dict(study.plan())["train"].reason == "a forced try was interrupted"
    found = [
        (finding.state, finding.finding) for finding in verify(study.directory.path).wrong if finding.part == "train"
    ]
    assert found == [("out of date", "a forced try was interrupted")]
    assert interrupted(study, monkeypatch, after=9, force=False) == ["second"]
    assert not study.directory.partial("train").exists()
    assert dict(study.plan())["train"].state == "up to date"
    assert artifact_hashes(study.directory.path) == before


def test_a_forced_try_that_is_forced_again_begins_again(study: Study, monkeypatch: pytest.MonkeyPatch):
    interrupted(study, monkeypatch, after=1, force=True)
    assert interrupted(study, monkeypatch, after=9, force=True) == ["first", "second"]


def test_a_try_that_was_not_forced_does_not_make_a_stage_that_is_up_to_date_again(study: Study, tmp_path: Path):
    """Such a folder is left by a run with other settings; what it holds may be of use when they come back."""
    study.directory.partial("train").mkdir()
    assert study.run_stage("train").action == "skipped"
    assert study.directory.partial("train").exists()


@pytest.mark.slow
def test_ctrl_c_in_a_forced_stage_says_what_is_kept(study: Study, tmp_path: Path):
    study_folder = study.directory.path
    config = write_config(tmp_path, {**CONFIG, "train": {"models": {**SMALL["train"]["models"]}}})
    shutil.rmtree(study_folder / "train")
    process = started("run", "--config", config, "--run-dir", study_folder)
    _, log = process.communicate()
    assert process.returncode == 0, log
    process = started("run", "--config", config, "--run-dir", study_folder, "--force", fresh=True)
    send_when(process, study.directory.partial("train").exists, signal.SIGINT)
    _, log = process.communicate()
    assert process.returncode == 130
    assert (
        "interrupted; every finished stage is as it was; the same command, without --force, continues from here" in log
    )
    assert (study_folder / "train" / "manifest.json").exists()
    assert not study.directory.damage("train")
