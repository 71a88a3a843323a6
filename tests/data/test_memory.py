"""A log that does not fit into memory is refused before it is read, with the engine that can do it."""

import resource
import subprocess
import zlib
from pathlib import Path

import polars as pl
import pytest

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.data import memory
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.reading import read_log
from tests.small import command, write_config

USAGE = 2
GIGABYTE = 10**9
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
    done = limited(tmp_path, 12_000_000)
    assert done.returncode == USAGE
    assert "clicks.csv: reading and cleaning needs at least 0." in done.stderr
    assert "ulimit -d leaves this process 0." in done.stderr
    assert "set data.engine: pyspark" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_that_fits_is_read_within_the_limit(tmp_path: Path):
    done = limited(tmp_path, 4000)
    assert done.returncode == 0, done.stderr


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


def small_room(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    """Leave this process memory for so many events."""
    limit = memory.BYTES_PER_EVENT * events
    monkeypatch.setattr(memory, "headroom", lambda: iter([(limit, "a test")]))


def zipped(path: Path, begin: bytes, block: bytes, blocks: int, end: bytes = b"") -> Path:
    """A gzip file of a block repeated, compressed as well as it can be."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packed.compress(begin))
        for _ in range(blocks):
            file.write(packed.compress(block))
        file.write(packed.compress(end) + packed.flush())
    return path


def read(path: Path, format: str = "generic") -> pl.DataFrame:
    return read_log(path, DataSettings(source=str(path), format=format)).events


@pytest.mark.parametrize(("room", "fits"), [(200_000, True), (199_999, False)])
@pytest.mark.parametrize("quoted", [False, True])
def test_the_events_of_a_text_are_counted_not_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, fits: bool, quoted: bool
):  # fault 27: long lines first, and short ones after them; a line break in quotes is no event
    note = '"two\nlines"' if quoted else "x"
    lines = [f'1,2,3,"{"x" * 2_000_000}"', *(f"1,2,3,{note}" for _ in range(199_999))]
    path = tmp_path / "clicks.csv"
    path.write_text("SessionId,ItemId,Time,note\n" + "\n".join(lines))
    small_room(monkeypatch, room)
    if fits:
        assert read(path).height == room
    else:
        with pytest.raises(UsageError, match="a test leaves this process") as caught:
            read(path)
        assert str(path) in caught.value.message
        assert "data.engine: pyspark" in caught.value.hint


def test_a_small_gzip_with_very_many_rows_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):  # fault 27
    path = zipped(tmp_path / "clicks.csv.gz", b"SessionId,ItemId,Time\n", b"1,2,3\n" * 100_000, 100)
    assert path.stat().st_size < 100_000
    small_room(monkeypatch, 9_000_000)
    with pytest.raises(UsageError, match=r"needs at least 0\.[34] GB \([0-9,]+ events or more\)"):
        read(path)


def test_several_files_share_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("yoochoose-clicks.dat", "yoochoose-test.dat"):
        (tmp_path / name).write_text("1,2014-04-07T10:51:09.277Z,214536502,0\n" * 60)
    small_room(monkeypatch, 120)
    assert read(tmp_path, "yoochoose").height == 120
    small_room(monkeypatch, 119)
    with pytest.raises(UsageError, match=r"yoochoose-test\.dat: reading"):
        read(tmp_path, "yoochoose")


def test_a_small_parquet_file_with_very_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ones = pl.repeat(1, 10_000_000, dtype=pl.Int8, eager=True)  # fault 27
    pl.DataFrame({"SessionId": ones, "ItemId": ones, "Time": ones}).write_parquet(tmp_path / "clicks.parquet")
    assert (tmp_path / "clicks.parquet").stat().st_size < 1_000_000
    small_room(monkeypatch, 9_999_999)
    with pytest.raises(UsageError, match=r"10,000,000 events"):
        read(tmp_path / "clicks.parquet")


def test_events_of_json_lines_are_counted_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    event = b'{"aid":1,"ts":1661724000278,"type":"clicks"}'  # fault 27
    session = b'{"session":1,"events":[' + b",".join([event] * 1000) + b"]}\n"
    path = zipped(tmp_path / "train.jsonl.gz", b"", session * 10, 100)
    small_room(monkeypatch, 500_000)
    with pytest.raises(UsageError, match=r"train\.jsonl\.gz: reading and cleaning needs"):
        read(path, "otto")
    small_room(monkeypatch, 1_000_000)
    assert read(path, "otto").height == 1_000_000


@pytest.mark.parametrize("name", ["clicks.csv.gz", "train.jsonl.gz"])
def test_a_line_too_long_for_any_record_is_refused_with_its_number(tmp_path: Path, name: str):  # fault 27
    begin = b"SessionId,ItemId,Time\n1,2,3\n1," if "csv" in name else b'{"session":1,"events":[]}\n\n{"x":"'
    path = zipped(tmp_path / name, begin, b"x" * 1_000_000, 101, b",3\n1,2,3\n")
    with pytest.raises(DataError, match=r"line 3 has more than 100,000,000 bytes"):
        read(path, "generic" if "csv" in name else "otto")
