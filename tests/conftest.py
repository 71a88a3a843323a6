"""What all tests share: an environment that does not depend on who runs them, where, or beside what."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does; before torch is loaded

# Tests hold bit for bit: they train on the CPU also where there is a GPU. Those of the GPU say how to show it to them.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest
import torch
from hypothesis import HealthCheck, settings

# These change what a command prints or computes; GITHUB_ACTIONS makes Typer colour its help.
for _name in (
    "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
    "GRU4REC_STUDY_THREADS", "MPLBACKEND", "OMP_NUM_THREADS", "PYTHONWARNINGS",
):  # fmt: skip
    os.environ.pop(_name, None)

# A busy machine is slow; that is no failure.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# Tiny products are slower on several threads.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process is left with one of them at the end."""
    length: dict[Path, tuple[float, bool]] = {}
    for item in items:
        limit, slow = item.get_closest_marker("timeout"), item.get_closest_marker("slow")
        found = (limit.args[0] if limit else 0, slow is not None)
        length[item.path] = max(found, length.get(item.path, found))
    items.sort(key=lambda item: length[item.path], reverse=True)
