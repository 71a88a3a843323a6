"""Every bad input through the real command: one clear message, the documented exit code, nothing half-written."""

import gzip
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small import SMALL, artifact_hashes, command, run_small, study, write_config

pytestmark = pytest.mark.slow

HEADER = "SessionId,ItemId,Time\n"


def rows_of(sessions: list[list[int]], first: int = 1_600_000_000) -> str:
    """Clicks as CSV rows, a session a minute, a click a second."""
    return "".join(
        f"{number},{item},{first + 60 * number + at}\n"
        for number, session in enumerate(sessions)
        for at, item in enumerate(session)
    )


GOOD = [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 3, 2], [2, 1, 3], [1, 2, 3], [3, 2, 1], [2, 3, 1], [1, 2, 3], [3, 1, 2]]

BAD_FILES: dict[str, tuple[str | bytes, str, list[str]]] = {
    "an empty file": ("", "is empty", []),
    "a header alone": (HEADER, "only a header|no events|no rows", []),
    "a missing column": ("SessionId,ItemID,Time\n1,2,3\n", "ItemId", []),
    "no number in time": (HEADER + "1,2,1600000000\n1,3,NaN\n", "line 3", []),
    "text in time": (HEADER + "1,2,1600000000\n1,3,yesterday\n", "yesterday", []),
    "nothing in time": (HEADER + "1,2,1600000000\n1,3,\n", "line 3", []),
    "a negative time": (HEADER + "1,2,1600000000\n1,3,-5\n", "-5", []),
    "a missing item": (HEADER + "1,2,1600000000\n1,,1600000001\n", "line 3", []),
    "a row of too many fields": (HEADER + "1,2,1600000000\n1,3,1600000001,9\n", "line 3", []),
    "undecodable bytes": (HEADER.encode() + b"1,\xff\xfe,1600000000\n", "UTF-8", []),
    "a single session": (HEADER + rows_of([[1, 2, 3, 1, 2, 3]]), "session", ["split.min_item_support=1"]),
    "a single item": (HEADER + rows_of([[1, 1, 1]] * 8), "item", ["split.drop_repeats=false"]),
    "sessions of one click": (HEADER + rows_of([[1], [2], [3]] * 9), "shorter|short|length", []),
    "items that are all rare": (HEADER + rows_of(GOOD), "min_item_support", ["split.min_item_support=1000"]),
    "a cut before all sessions": (HEADER + rows_of(GOOD), "train", ["split.by=time", "split.test=1000"]),
    "a cut after all sessions": (HEADER + rows_of(GOOD), "test", ["split.by=time", "split.test=1900000000"]),
    "milliseconds taken for seconds": (HEADER + "1,2,1600000000000\n1,3,1600000001000\n", "milliseconds", []),
}


def file_study(folder: Path, name: str = "clicks.csv") -> Path:
    config = {key: value for key, value in SMALL.items() if key not in ("synth", "train")}
    return write_config(folder, {**config, "data": {"source": str(folder / name)}})


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_data_is_told_in_one_message(tmp_path: Path, case: str):
    content, told, overrides = BAD_FILES[case]
    path = tmp_path / "clicks.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    sets = [part for override in overrides for part in ("--set", override)]
    done = study("run", "--config", file_study(tmp_path), "--run-dir", tmp_path / "run", "--quiet", *sets)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert any(word in done.stderr for word in told.split("|")), done.stderr
    assert not (tmp_path / "run" / "split").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nowhere.csv", None, "nowhere.csv"),
        ("clicks.csv.gz", b"not gzip", "gzip"),
        ("clicks.parquet", b"not parquet", "Parquet"),
        ("clicks.xlsx", b"x", "xlsx"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, content: bytes | None, told: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = study("run", "--config", file_study(tmp_path, name), "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 3, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_file_passes_whatever_its_kind(tmp_path: Path):
    text = HEADER + rows_of(GOOD * 3)
    (tmp_path / "clicks.csv").write_text(text)
    (tmp_path / "clicks.tsv.gz").write_bytes(gzip.compress(text.replace(",", "\t").encode()))
    hashes = []
    for name in ("clicks.csv", "clicks.tsv.gz"):
        config = file_study(tmp_path, name)
        done = study("run", "--config", config, "--run-dir", tmp_path / f"run-{name}", "--quiet")
        assert done.returncode == 0, done.stderr
        hashes.append(artifact_hashes(tmp_path / f"run-{name}")["split"])
    assert hashes[0] == hashes[1]


def test_a_wrong_configuration_runs_nothing(tmp_path: Path):
    done = study("run", "--config", write_config(tmp_path), "--run-dir", tmp_path / "run", "--set", "sed=1")
    assert done.returncode == 2
    assert "sed: unknown key, did you mean 'seed'?" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["run"], "--config"), (["train", "--config"], "--config"), (["trian"], "trian"), (["run", "--frce"], "--frce")],
)
def test_wrong_usage_ends_with_2(arguments: list[str], told: str):
    done = study(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_stage_that_the_configuration_does_not_ask_for_is_told(tmp_path: Path):
    (tmp_path / "clicks.csv").write_text(HEADER + rows_of(GOOD))
    config = file_study(tmp_path)
    for stage, told in (("synth", "data.source is not synth"), ("train", "train.models is empty")):
        done = study(stage, "--config", config, "--run-dir", tmp_path / "run")
        assert done.returncode == 2
        assert told in done.stderr


@pytest.mark.parametrize("where", ["/proc/nowhere/run", "/dev/null/run"])
def test_an_unwritable_run_directory_is_told(tmp_path: Path, where: str):
    done = study("run", "--config", write_config(tmp_path), "--run-dir", where)
    assert done.returncode == 2
    assert f"the run directory {where} cannot be written" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_told(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = study("run", "--config", write_config(tmp_path), "--run-dir", tmp_path / "locked" / "run")
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


def limited(size: int) -> Callable[[], None]:
    """Let no file grow beyond `size` bytes: writing then fails as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.fixture(scope="module")
def loops_compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run a study once, so that what a limited run cannot write are its artifacts and no compiled loops."""
    run_small(tmp_path_factory.mktemp("compiled"))


@pytest.mark.usefixtures("loops_compiled")
@pytest.mark.parametrize("size", [100, 4_000, 16_000, 60_000])
def test_a_write_that_fails_leaves_only_whole_stages(tmp_path: Path, size: int):
    config, run = write_config(tmp_path), tmp_path / "run"
    full = subprocess.run(
        command("run", "--config", config, "--run-dir", run, "--quiet"),
        capture_output=True,
        text=True,
        preexec_fn=limited(size),
        check=False,
    )
    assert full.returncode == 2, full.stderr
    assert "cannot write to the run directory: File too large" in full.stderr
    assert "Traceback" not in full.stderr
    stages = [path for path in run.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert all((stage / "manifest.json").exists() for stage in stages)
    done = study("run", "--config", config, "--run-dir", run, "--quiet")
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_told_and_finished_stages_stay_whole(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        done = study("run", "--config", write_config(tmp_path), "--run-dir", disk / "run", "--quiet")
        stages = [path for path in (disk / "run").iterdir() if path.is_dir() and not path.name.startswith(".")]
        whole = [(stage / "manifest.json").exists() for stage in stages]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 2, done.stderr
    assert "cannot write to the run directory: No space left on device" in done.stderr
    assert all(whole)
