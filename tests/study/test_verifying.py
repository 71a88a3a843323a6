"""`verify` and `run --dry-run`: what is wrong with a run is told, and nothing is written."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.files import read_manifest, write_manifest
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.ledger import LEDGER
from gru4rec_cli.study.verifying import State, Verification, verify
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, study, write_config

TINY: dict[str, Any] = {
    **SMALL,
    "synth": {"sessions": 400, "items": 16, "interests": 2, "successors": 2, "max_length": 8},
    "train": {"models": {"another": {"kind": "popularity"}}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    list(study_of(load_config(write_config(folder, TINY)), folder / "run").run())
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def states(verification: Verification) -> dict[str, str]:
    return {found.part: found.state for found in verification.findings}


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def test_a_finished_run_is_whole_and_verifying_writes_nothing(run: Path):
    before = snapshot(run)
    verification = verify(run)
    assert set(states(verification).values()) == {"whole"}
    assert [*states(verification)] == ["config.yaml", "synth", "split", "baseline", "train", "evaluate", "report"]
    verification.require_sound()
    assert snapshot(run) == before


def files_of(run: Path) -> list[Path]:
    """The files of a run but hidden ones, and but the ledger, which goes on while stages stay as they are."""
    files = (path for path in run.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [path for path in files if path.name != LEDGER]


def damage_of(run: Path) -> dict[str, str]:
    """Return the parts that are wrong, after asserting that the command would end with exit code 4."""
    verification = verify(run)
    with pytest.raises(StageError, match=r"is not as it was made|is not complete, or out of date"):
        verification.require_sound()
    return {found.part: found.state for found in verification.wrong}


def test_every_file_counts_whichever_byte_is_changed(run: Path):
    """Fault 23."""
    files = files_of(run)
    assert len(files) > 30
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(1, 1))  # so that no hash of before is used
        part = path.relative_to(run).parts[0]
        assert part in damage_of(run), path
        path.write_bytes(content)
    assert not verify(run).wrong


def test_every_file_that_is_gone_is_missed(run: Path):
    """Fault 23: also the manifest of a model."""
    for path in files_of(run):
        if path.name == "config.yaml":
            continue
        moved = path.rename(path.with_name(".moved"))
        assert path.relative_to(run).parts[0] in damage_of(run), path
        moved.rename(path)


def test_what_no_manifest_names_is_told(run: Path):
    (run / "notes.txt").touch()
    (run / "split" / "part-9.parquet").touch()
    (run / "train" / "another" / "more").touch()
    (run / "baseline" / "stranger").mkdir()
    (run / "baseline" / "stranger" / "manifest.json").touch()
    assert damage_of(run) == {"split": "foreign", "baseline": "foreign", "train": "foreign", "notes.txt": "foreign"}


def test_a_run_that_is_not_complete_ends_with_4_and_says_how_to_complete_it(run: Path):
    """In a shell script, `verify RUN && publish RUN` must not publish half a run; what is there is intact."""
    shutil.rmtree(run / "report")
    assert damage_of(run) == {"report": "not run"}
    assert verify(run).intact
    with pytest.raises(StageError, match="is not complete") as told:
        verify(run).require_sound()
    assert told.value.hint == f"run: gru4rec-study run --config {run}/config.yaml --run-dir {run}"
    shutil.rmtree(run / "train")
    assert damage_of(run) == {"train": "not run", "evaluate": "out of date", "report": "not run"}


def test_a_stage_made_by_other_code_is_out_of_date_as_run_says(run: Path):
    """It was called whole, although `run` would make it again."""
    path = run / "evaluate" / "manifest.json"
    write_manifest(path, {**read_manifest(path), "code": "of another version"})
    found = {finding.part: finding for finding in verify(run).findings}
    assert (found["evaluate"].state, found["split"].state) == ("out of date", "whole")
    assert found["evaluate"].finding == "the code of gru4rec-study changed"
    assert verify(run).document()["intact"] is True
    done = study("run", "--config", run / "config.yaml", "--run-dir", run, "--dry-run", "--json")
    assert {row["stage"]: row["state"] for row in json.loads(done.stdout)["plan"]}["evaluate"] == "to run"


def test_a_split_of_a_raw_file_that_has_changed_is_out_of_date(tmp_path: Path):
    log = tmp_path / "clicks.csv"
    rows = [f"{session},{item},{60 * (2 * session + item)}" for session in range(40) for item in (0, 1)]
    log.write_text("\n".join(["SessionId,ItemId,Time", *rows]) + "\n")
    config = {**TINY, "data": {"source": str(log), "separator": ","}, "train": {"models": {}}}
    del config["synth"]
    list(study_of(load_config(write_config(tmp_path, config)), tmp_path / "run").run())
    verify(tmp_path / "run").require_sound()
    log.write_text(log.read_text() + "99,1,9999\n")
    assert damage_of(tmp_path / "run") == {"split": "out of date"}
    log.unlink()  # what was made of it is still what it was
    verify(tmp_path / "run").require_sound()


def test_every_word_that_verify_shows_is_documented():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for state in get_args(State):
        assert f"| {state} |" in readme, state


def test_a_configuration_that_asks_for_something_else_is_told(run: Path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 7}))
    assert damage_of(run) == dict.fromkeys(["synth", "baseline", "train", "evaluate"], "out of date")
    (run / "config.yaml").write_text("name: [")
    assert damage_of(run) == {"config.yaml": "damaged"}


def test_an_interrupted_try_beside_a_whole_stage_is_no_damage(run: Path):
    (run / ".train.partial").mkdir()
    assert ("train", "unfinished") in {(found.part, found.state) for found in verify(run).findings}
    verify(run).require_sound()


def test_a_folder_without_a_run_is_told(tmp_path: Path):
    with pytest.raises(StageError, match="holds no run"):
        verify(tmp_path)


def test_the_command_shows_a_table_or_json_and_ends_with_4(run: Path):
    done = study("verify", run, "--json")
    assert (done.returncode, json.loads(done.stdout)["sound"]) == (0, True)
    (run / "evaluate" / "metrics.json").write_text("{}")
    done = study("verify", run)
    assert done.returncode == 4
    assert "metrics.json is damaged" in done.stdout
    assert "is not as it was made: 1 of 7 findings say so" in done.stderr


def test_a_dry_run_of_a_damaged_run_ends_with_4(run: Path):
    """Fault 33."""
    (run / "split" / "manifest.json").write_text("[]")
    before = snapshot(run)
    done = study("run", "--config", run.parent / "run" / "config.yaml", "--run-dir", run, "--dry-run", "--json")
    assert done.returncode == 4, done.stderr
    plan = json.loads(done.stdout)
    assert [row["state"] for row in plan["plan"]][:2] == ["up to date", "damaged"]
    assert "manifest.json is damaged" in plan["problems"][0]["message"]
    assert "manifest.json is damaged" in done.stderr
    assert snapshot(run) == before


def test_a_dry_run_tells_that_the_device_is_not_there(tmp_path: Path):
    """Fault 33: `run` failed at it only after the first stages."""
    config = write_config(tmp_path, {**TINY, "train": {"models": {"gru4rec": {"device": "cuda"}}}})
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", "--dry-run", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2, done.stderr
    assert "train.models.gru4rec.device: cuda cannot be used" in done.stderr
    assert "Plan for" in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_that_the_authors_code_is_not_there(tmp_path: Path):
    """Fault 33."""
    config = write_config(tmp_path, {**TINY, "train": {"models": {"official": {}}}})
    options = ("--config", config, "--run-dir", tmp_path / "run", "--dry-run")
    done = study("run", *options, GRU4REC_STUDY_VENDOR=str(tmp_path / "nowhere"))
    assert done.returncode == 4, done.stderr
    assert "the author's code is not in" in done.stderr


def test_joint_before_anything_ran_names_a_configuration_that_exists(tmp_path: Path):
    config = write_config(tmp_path, {**TINY, "split": {"windows": 2}})
    done = study("joint", "--config", config, "--run-dir", tmp_path / "run")
    assert done.returncode == 4
    assert f"run first: gru4rec-study run --config {config}" in done.stderr
