"""A check that a log fits into memory, before it is read: a process that the system kills cannot explain itself."""

import gzip
import os
import resource
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.data.layout import Layout

BYTES_PER_EVENT = 38  # at the peak, with integer ids: docs/data.md; text takes more
_SAMPLE = 1 << 20
_MAPPED = 3  # the allocator of Polars maps so many times what it uses, and a ulimit counts what is mapped
_CGROUPS = Path("/sys/fs/cgroup")


def require_memory(paths: list[Path], layout: Layout) -> None:
    """Raise `UsageError` where the events of these files do not fit into the memory that this process may use."""
    needed = BYTES_PER_EVENT * sum(_events(path, layout) for path in paths)
    available, limit = min(headroom())
    if needed > available:
        raise UsageError(
            f"{paths[0].parent if len(paths) > 1 else paths[0]}: reading and cleaning needs at least "
            f"{needed / 1e9:.1f} GB, and {limit} leaves this process {max(available, 0) / 1e9:.1f} GB",
            "set data.engine: pyspark, which stores on disk what does not fit, or allow more memory",
        )


def headroom() -> Iterator[tuple[int, str]]:
    """Yield the bytes that this process may still allocate under every limit, with the limit's name."""
    status = _numbers(Path("/proc/self/status"))
    resident = 1024 * status.get("VmRSS", 0)
    for kind, name, used in ((resource.RLIMIT_AS, "-v", "VmSize"), (resource.RLIMIT_DATA, "-d", "VmData")):
        soft = resource.getrlimit(kind)[0]
        if soft != resource.RLIM_INFINITY:
            yield (soft - 1024 * status.get(used, 0)) // _MAPPED, f"ulimit {name}"
    for limit in cgroup_limits():
        yield limit - resident, "the memory limit of its cgroup"
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - resident, "the memory of this machine"


def cgroup_limits(root: Path = _CGROUPS, groups: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Yield the readable memory limits, in bytes, of this process's control groups (version 1 or 2)."""
    with suppress(OSError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            top, file = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
            inside = Path(path.lstrip("/"))
            for group in (inside, *inside.parents):
                with suppress(OSError, ValueError):
                    yield int((top / group / file).read_text(encoding="utf-8"))


def _numbers(path: Path) -> dict[str, int]:
    """Lines such as `VmRSS: 123 kB`."""
    with suppress(OSError):
        lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
        return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}
    return {}


def _events(path: Path, layout: Layout) -> int:
    """The approximate number of events of a file; 0 where it is unknown."""
    try:
        if path.suffix.lower() == ".parquet":
            return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
        with path.open("rb") as raw:
            stream = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
            sample = stream.read(_SAMPLE)
            read = raw.tell()
    except (OSError, EOFError, zlib.error, PolarsError):
        return 0
    mark = f'"{layout.item}"'.encode() if layout.nested else b"\n"
    return sample.count(mark) * path.stat().st_size // max(read, 1)
