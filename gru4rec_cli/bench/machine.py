"""The machine that figures come from, and how busy it was."""

import os
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from gru4rec_cli.base import machine

_UNKNOWN = 2**63  # memory where the system does not say


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(threads: int) -> dict[str, Any]:
    """Return processor, cores, threads and versions."""
    import torch

    versions = {**machine.versions(), **{name: metadata.version(name) for name in ("numba", "scipy")}}
    blas = "MKL" if torch.backends.mkl.is_available() else "not MKL"  # type: ignore[no-untyped-call]
    return {**machine.device(), "cores": cores(), "threads": threads, "blas": blas, "versions": versions}


def load() -> float | None:
    """Return the mean number of processes that ran or waited for a core in the last minute; None where unknown."""
    with suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def available_memory() -> int:
    """Return the bytes of memory that can be used without swapping."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return _UNKNOWN
