"""A log that does not fit into memory is refused before it is read, with the engine that can do it."""

import gzip
import resource
import subprocess
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.data import memory
from gru4rec_cli.data.layout import Layout
from tests.small import command, write_config

USAGE = 2
GIGABYTE = 10**9
LAYOUT = Layout("SessionId", "ItemId", "Time", "seconds")
LINES = "SessionId,ItemId,Time\n" + "".join(f"{n // 4},{n % 4},{n}\n" for n in range(4000))


def limited(folder: Path, lines: int) -> "subprocess.CompletedProcess[str]":
    """`split` of so many lines in a process that may have one gigabyte of data."""
    path = folder / "clicks.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(LINES)
        file.writelines("9,1,3\n" * 1000 for _ in range((lines - 4000) // 1000))
    config = {"name": "x", "data": {"source": str(path)}, "baseline": {"models": {"popularity": {}}}}
    return subprocess.run(
        command("split", "--config", write_config(folder, config), "--run-dir", folder / "run"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (GIGABYTE, GIGABYTE)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_log_larger_than_the_limit_is_refused_in_words(tmp_path: Path):
    done = limited(tmp_path, 30_000_000)
    assert done.returncode == USAGE
    assert "clicks.csv: reading and cleaning needs at least 1." in done.stderr
    assert "ulimit -d leaves this process 0." in done.stderr
    assert "set data.engine: pyspark" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_that_fits_is_read_within_the_limit(tmp_path: Path):
    done = limited(tmp_path, 4000)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.csv.gz"])
def test_events_are_counted_from_the_first_megabyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    text = LINES * 50
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    for limit, refused in ((30 * 200_000, True), (45 * 200_000, False)):
        monkeypatch.setattr(memory, "headroom", lambda limit=limit: iter([(limit, "a test")]))
        if refused:
            with pytest.raises(UsageError, match="a test leaves this process"):
                memory.require_memory([path], LAYOUT)
        else:
            memory.require_memory([path], LAYOUT)


def test_limits_of_control_groups_are_those_of_all_groups_above(tmp_path: Path):
    own = tmp_path / "own"
    for group, file, limit in (
        ("a/b", "memory.max", "max"), ("a", "memory.max", "7"), ("memory/c", "memory.limit_in_bytes", "5"),
    ):  # fmt: skip
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / file).write_text(limit + "\n")
    own.write_text("4:memory:/c\n3:cpu:/x\n0::/a/b\n")
    assert sorted(memory.cgroup_limits(tmp_path, own)) == [5, 7]
    assert not [*memory.cgroup_limits(tmp_path, tmp_path / "missing")]
