"""Run directories: whole stages or none, and proof of what is in them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import hash_folder, read_json, write_json, write_manifest
from gru4rec_cli.study.run_directory import RunDirectory

MADE_FROM: dict[str, Any] = {"config": {}, "inputs": {}, "code": ""}


def finish(directory: RunDirectory, name: str, content: str) -> None:
    (directory.begin(name, fresh=True) / "artifact.txt").write_text(content)
    directory.finish(name, {"stage": name, **MADE_FROM})


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
        write_manifest(partial / "manifest.json", {**MADE_FROM, "outputs": hash_folder(partial), "manifests": {}})
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


def stage_with(directory: RunDirectory, name: str, content: str) -> None:
    with directory.lock("test", {"name": "x"}):
        finish(directory, name, content)


@pytest.mark.parametrize(
    "content", ["[]", "5", "null", "{}", '{"outputs": []}', '{"outputs": {}}', "", "{", "[" * 9999, "\x00", "9" * 9999]
)
def test_a_manifest_that_is_none_is_damage(tmp_path: Path, content: str):
    """Fault 23."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "split", "one")
    (directory.stage("split") / "manifest.json").write_text(content)
    assert "manifest.json is damaged" in directory.damage("split")
    with pytest.raises(StageError, match="is damaged"):
        directory.manifest("split")


@pytest.mark.parametrize("content", ["[]", "5", "{}", '{"outputs": []}', "{", ""])
def test_nothing_good_is_replaced_by_what_cannot_be_read(tmp_path: Path, content: str):
    """Fault 23: `{}` in a partial folder replaced a finished stage."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "train", "good")
    partial = directory.partial("train")
    partial.mkdir()
    (partial / "artifact.txt").write_text("half")
    (partial / "manifest.json").write_text(content)
    with directory.lock("test", {"name": "x"}):
        assert (directory.stage("train") / "artifact.txt").read_text() == "good"
        assert directory.damage("train") == ""
        assert not (directory.begin("train", fresh=False) / "manifest.json").exists()


def test_a_partial_stage_whose_files_are_not_those_of_its_manifest_replaces_nothing(tmp_path: Path):
    """Fault 23."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "train", "good")
    partial = directory.partial("train")
    partial.mkdir()
    (partial / "artifact.txt").write_text("new")
    write_manifest(partial / "manifest.json", {**MADE_FROM, "outputs": hash_folder(partial), "manifests": {}})
    (partial / "artifact.txt").write_text("nee")
    with directory.lock("test", {"name": "x"}):
        assert (directory.stage("train") / "artifact.txt").read_text() == "good"


def test_the_old_stage_comes_back_where_the_new_one_cannot_be_read(tmp_path: Path):
    """Fault 23: killed between the two renames, and then the new one was damaged."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "train", "good")
    directory.stage("train").rename(directory.path / ".train.old")
    directory.partial("train").mkdir()
    (directory.partial("train") / "manifest.json").write_text("{}")
    with directory.lock("test", {"name": "x"}):
        assert (directory.stage("train") / "artifact.txt").read_text() == "good"


def test_every_file_of_a_stage_is_in_a_hash(tmp_path: Path):
    """Fault 23: the manifest of a model was not, and nobody saw that it was gone."""
    directory = RunDirectory(tmp_path / "run")
    with directory.lock("test", {"name": "x"}):
        fit = directory.begin("train", fresh=True) / "gru4rec"
        fit.mkdir()
        (fit / "manifest.json").write_text('{"cost": 1}')
        (fit / "weights").write_text("w")
        directory.finish("train", {"stage": "train", **MADE_FROM})
    manifest = directory.manifest("train")
    assert manifest is not None
    assert list(manifest["outputs"]) == ["gru4rec/weights"]  # costs differ from run to run
    (directory.stage("train") / "gru4rec" / "manifest.json").write_text('{"cost": 2}')
    assert "gru4rec/manifest.json is damaged" in directory.damage("train")
    (directory.stage("train") / "gru4rec" / "manifest.json").unlink()
    assert "gru4rec/manifest.json is missing" in directory.damage("train")


def test_what_is_in_the_folder_of_costs_counts_for_damage_alone(tmp_path: Path):
    directory = RunDirectory(tmp_path / "run")
    with directory.lock("test", {"name": "x"}):
        partial = directory.begin("report", fresh=True)
        (partial / "costs" / "es").mkdir(parents=True)
        for file in ("report.md", "costs/costs.md", "costs/es/a.svg", "costs/.hidden"):
            (partial / file).write_text(file)
        directory.finish("report", {"stage": "report", **MADE_FROM})
    manifest = directory.manifest("report")
    assert manifest is not None
    assert list(manifest["outputs"]) == ["report.md"]
    assert list(manifest["manifests"]) == ["costs/costs.md", "costs/es/a.svg"]
    assert directory.damage("report") == ""
    (directory.stage("report") / "costs" / "costs.md").write_text("other")
    assert "costs/costs.md is damaged" in directory.damage("report")


def test_a_foreign_file_in_a_stage_is_seen(tmp_path: Path):
    """Fault 23: another part of a table would be read as if the stage had written it."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "split", "one")
    (directory.stage("split") / "part-2.parquet").touch()
    assert "part-2.parquet is foreign" in directory.damage("split")


@pytest.mark.parametrize("name", [".config.yaml.tmp", ".lock-holder.json", "..lock-holder.json.tmp", "config.yaml"])
def test_links_in_a_run_directory_are_not_followed(tmp_path: Path, name: str):
    """Fault 31: the file that a link named was overwritten."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "split", "one")
    (tmp_path / "outside").write_text("name: x\n")
    (directory.path / name).unlink(missing_ok=True)
    (directory.path / name).symlink_to(tmp_path / "outside")
    with directory.lock("test", {"name": "x"}):
        pass
    assert (tmp_path / "outside").read_text() == "name: x\n"
    assert not (directory.path / name).is_symlink()


@pytest.mark.parametrize("name", [".train.partial", ".train.old"])
def test_folders_behind_links_in_a_run_directory_stay_as_they_are(tmp_path: Path, name: str):
    """Fault 31."""
    directory = RunDirectory(tmp_path / "run")
    stage_with(directory, "train", "one")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "thesis.tex").touch()
    (directory.path / name).symlink_to(tmp_path / "outside")
    with directory.lock("test", {"name": "x"}):
        finish(directory, "train", "two")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["thesis.tex"]
    assert (directory.stage("train") / "artifact.txt").read_text() == "two"


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path):
    """Fault 31: locking would empty the file that it names."""
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").write_text("x")
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="is a link"), RunDirectory(tmp_path / "run").lock("t", {}):
        pass
    assert (tmp_path / "outside").read_text() == "x"


def test_a_directory_that_is_removed_meanwhile_is_told(tmp_path: Path):
    """Fault 29."""
    directory = RunDirectory(tmp_path / "run")

    def work() -> None:
        with directory.lock("t", {"name": "x"}):
            shutil.rmtree(directory.path)
            directory.begin("split", fresh=True)

    with pytest.raises(StageError, match="was removed while the command ran"):
        work()
