"""Run directories: whole stages or none, and proof of what is in them."""

from pathlib import Path

import pytest

from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import hash_folder, read_json, write_json
from gru4rec_cli.study.run_directory import RunDirectory


def finish(directory: RunDirectory, name: str, content: str) -> None:
    (directory.begin(name, fresh=True) / "artifact.txt").write_text(content)
    directory.finish(name, {"stage": name})


def test_a_finished_stage_stands_under_its_name_with_hashes_in_its_manifest(tmp_path: Path):
    directory = RunDirectory(tmp_path / "run")
    with directory.lock("test", {"name": "x"}):
        finish(directory, "split", "one")
    manifest = directory.manifest("split")
    assert manifest is not None
    # echo -n one | sha256sum
    assert manifest["outputs"] == {"artifact.txt": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}
    assert directory.damage("split") == ""
    assert not directory.partial("split").exists()


def test_a_flipped_byte_a_missing_file_and_a_damaged_manifest_are_seen(tmp_path: Path):
    directory = RunDirectory(tmp_path / "run")
    with directory.lock("test", {"name": "x"}):
        finish(directory, "split", "one")
    artifact = directory.stage("split") / "artifact.txt"
    artifact.write_text("onf")
    assert "artifact.txt is damaged" in directory.damage("split")
    artifact.unlink()
    assert "artifact.txt is missing" in directory.damage("split")
    (directory.stage("split") / "manifest.json").write_text('{"stage": ')
    with pytest.raises(StageError, match=r"manifest\.json is damaged"):
        directory.manifest("split")


def test_a_second_holder_fails_at_once_and_is_told_who_holds_it(tmp_path: Path):
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    with (
        first.lock("gru4rec-study train", {"name": "x"}),
        pytest.raises(UsageError, match=r"in use by process \d+ \(gru4rec-study train\)"),
        second.lock("gru4rec-study run", {"name": "x"}),
    ):
        pass
    with second.lock("gru4rec-study run", {"name": "x"}):
        pass


def test_a_folder_of_other_files_is_not_taken_for_a_run_directory(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x")
    with (
        pytest.raises(UsageError, match="holds files but is not a run directory"),
        RunDirectory(tmp_path).lock("t", {}),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_directory_is_told(tmp_path: Path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(UsageError, match="is a file"), RunDirectory(tmp_path / "run").lock("t", {}):
        pass


@pytest.mark.parametrize(
    "state", ["before the old stage moved", "between the two renames", "before the old was removed"]
)
def test_what_a_crash_left_between_manifest_and_rename_is_finished(tmp_path: Path, state: str):
    directory = RunDirectory(tmp_path / "run")
    with directory.lock("test", {"name": "x"}):
        finish(directory, "split", "old")
        (directory.begin("split", fresh=True) / "artifact.txt").write_text("new")
        partial = directory.partial("split")
        write_json(partial / "manifest.json", {"outputs": hash_folder(partial)})
        if state != "before the old stage moved":
            directory.stage("split").rename(directory.path / ".split.old")
        if state == "before the old was removed":
            partial.rename(directory.stage("split"))
    with directory.lock("test", {"name": "x"}):
        assert (directory.stage("split") / "artifact.txt").read_text() == "new"
        assert directory.damage("split") == ""
    assert sorted(path.name for path in directory.path.iterdir()) == [".lock", "config.yaml", "split"]


def test_an_unfinished_partial_folder_is_not_a_stage(tmp_path: Path):
    directory = RunDirectory(tmp_path / "run")
    with directory.lock("test", {"name": "x"}):
        (directory.begin("train", fresh=False) / "half").write_text("x")
    with directory.lock("test", {"name": "x"}):
        assert directory.manifest("train") is None
        assert (directory.begin("train", fresh=False) / "half").exists()
        assert not (directory.begin("train", fresh=True) / "half").exists()


def test_json_is_replaced_whole(tmp_path: Path):
    write_json(tmp_path / "a.json", {"é": 1})
    assert read_json(tmp_path / "a.json") == {"é": 1}
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert read_json(tmp_path / "a.json") == {"é": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
