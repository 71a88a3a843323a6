"""The machine and the versions that a result was made with."""

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from gru4rec_cli import __version__
from gru4rec_cli.base.threads import thread_count

_RECORDED_VERSIONS = ("numpy", "polars", "pandas", "torch", "safetensors", "matplotlib")


def versions() -> dict[str, str]:
    """This program's version, Python's, and those of the packages that compute."""
    packages = {package: metadata.version(package) for package in _RECORDED_VERSIONS}
    return {"gru4rec-study": __version__, "python": platform.python_version(), **packages}


def device() -> dict[str, Any]:
    """The machine, and the threads that may be used of it."""
    found = {"machine": platform.machine(), "system": platform.platform(), "processor": _processor()}
    return {**found, "threads": thread_count()}


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
