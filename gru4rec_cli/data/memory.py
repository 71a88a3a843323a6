"""A check that a log fits into memory, before or while it is read: a process that is killed cannot explain itself."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gru4rec_cli.base.errors import UsageError

BYTES_PER_EVENT = 38  # at the peak, with integer ids: docs/data.md; text takes more
_MAPPED = 3  # the allocator of Polars maps so many times what it uses, and a ulimit counts what is mapped
_CGROUPS = Path("/sys/fs/cgroup")


class Room:
    """The memory that this process may still use, and the events that are to share it."""

    def __init__(self) -> None:
        self._available, self._limit = min(headroom())
        self._events = 0

    @property
    def left(self) -> int:
        """Number of events for which there is room still."""
        return max(self._available // BYTES_PER_EVENT - self._events, 0)

    def take(self, path: Path, events: int) -> None:
        """Count further events, those of a file. Raises `UsageError` where they do not fit beside those before."""
        self._events += events
        needed = BYTES_PER_EVENT * self._events
        if needed > self._available:
            raise UsageError(
                f"{path}: reading and cleaning needs at least {needed / 1e9:.1f} GB ({self._events:,} events or more), "
                f"and {self._limit} leaves this process {max(self._available, 0) / 1e9:.1f} GB",
                "set data.engine: pyspark, which stores on disk what does not fit, or allow more memory",
            )


def require_room(needed: int, what: str, hint: str) -> None:
    """Raise `UsageError` where so many bytes, which `what` needs at least, are more than this process may use."""
    available, limit = min(headroom())
    if needed > available:
        raise UsageError(
            f"{what} needs at least {needed / 1e9:,.1f} GB, and {limit} leaves this process "
            f"{max(available, 0) / 1e9:.1f} GB",
            f"{hint}, or allow more memory",
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
