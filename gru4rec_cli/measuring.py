"""Wall time and peak memory of a piece of work."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cost:
    """Filled in when the work is done."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0  # of the whole process, since the work began where the system can tell

    def as_dict(self) -> dict[str, float]:
        return {"seconds": round(self.seconds, 3), "peak_memory_bytes": self.peak_memory_bytes}


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what happens inside."""
    cost = Cost()
    with suppress(OSError):  # Linux only: forget the peak so far
        Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        cost.peak_memory_bytes = _peak_memory()


def _peak_memory() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
