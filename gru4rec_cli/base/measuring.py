"""Wall time and peak memory of a piece of work."""

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gru4rec_cli.base import compile_clock


@dataclass(eq=False)
class Cost:
    """Filled in when the work is done."""

    seconds: float = 0.0  # without those of compiling
    compile_seconds: float = 0.0  # of compiling loops and loading compiled ones
    peak_memory_bytes: int = 0  # of the whole process, since the work began where the system can tell, and of helpers

    earlier_peak_bytes: int = 0  # while other measurements went on inside, or in an earlier sitting
    started: float = 0.0  # on the clock of `time.perf_counter`
    compiled_before: float = 0.0  # seconds

    def so_far(self) -> dict[str, float]:
        """Return the cost until now."""
        compiling = compile_clock.seconds() - self.compiled_before
        seconds = max(0.0, time.perf_counter() - self.started - compiling)
        peak = self.peak_memory_bytes + max(self.earlier_peak_bytes, peak_memory())
        now = Cost(self.seconds + seconds, self.compile_seconds + compiling, peak)
        return now.as_dict()

    def as_dict(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 3),
            "compile_seconds": round(self.compile_seconds, 3),
            "peak_memory_bytes": self.peak_memory_bytes,
        }


_under_way: list[Cost] = []


def count_helper(peak_memory_bytes: int) -> None:
    """A process that worked for this one had this peak; it was there at the same time, so it adds to the costs."""
    for cost in _under_way:
        cost.peak_memory_bytes = max(cost.peak_memory_bytes, peak_memory_bytes)


def cost_so_far() -> dict[str, float]:
    """Return the cost until now of what is measured innermost; nothing outside of a measurement."""
    return _under_way[-1].so_far() if _under_way else {}


def count_earlier(cost: Mapping[str, float]) -> None:
    """Count, with what is measured innermost, what `cost_so_far` gave in an earlier sitting of the same work."""
    if _under_way:
        _under_way[-1].seconds += cost.get("seconds", 0.0)
        _under_way[-1].compile_seconds += cost.get("compile_seconds", 0.0)
        peak = int(cost.get("peak_memory_bytes", 0))
        _under_way[-1].earlier_peak_bytes = max(_under_way[-1].earlier_peak_bytes, peak)


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what happens inside; compiling is counted by itself, since it happens once for a machine."""
    cost = Cost()
    for outer in _under_way:  # the peak so far is about to be forgotten
        outer.earlier_peak_bytes = max(outer.earlier_peak_bytes, peak_memory())
    with suppress(OSError):  # Linux only: forget the peak so far
        Path("/proc/self/clear_refs").write_text("5")
    cost.started, cost.compiled_before = time.perf_counter(), compile_clock.seconds()
    _under_way.append(cost)
    try:
        yield cost
    finally:
        _under_way.remove(cost)
        compiling = compile_clock.seconds() - cost.compiled_before
        cost.compile_seconds += compiling
        cost.seconds += max(0.0, time.perf_counter() - cost.started - compiling)
        cost.peak_memory_bytes += max(cost.earlier_peak_bytes, peak_memory())
        for outer in _under_way:
            outer.earlier_peak_bytes = max(outer.earlier_peak_bytes, peak_memory())


def peak_memory() -> int:
    """Most memory this process has held so far, in bytes."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
