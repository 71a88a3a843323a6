"""A study small enough to run in every test, and the command as a user calls it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from numba.core.caching import UserProvidedCacheLocator

import gru4rec_cli
from tests.warm import LONGEST, Call, WarmProcess, run_warm

SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"source": "synth"},
    "synth": {"sessions": 1500, "items": 50, "interests": 2, "successors": 3},
    "baseline": {"models": {"popularity": {}, "markov": {}}},
    "train": {
        "models": {"gru4rec": {"layers": [8], "epochs": 2, "batch_size": 32, "n_sample": 16, "dropout_p_hidden": 0.1}}
    },
    "evaluate": {"resamples": 50},
}
STAGES = ["synth", "split", "baseline", "train", "evaluate", "report"]


def write_config(folder: Path, config: dict[str, Any] | None = None) -> Path:
    """The configuration as a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(config or SMALL, sort_keys=False), encoding="utf-8")
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "gru4rec_cli", *map(str, arguments)]


def study(
    *arguments: str | Path, cwd: Path | None = None, fresh: bool = False, first: Call | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own, without a terminal; one that loads everything itself if `fresh`.

    `first` is called in the process before the command, which needs a fork, and so Linux.
    """
    if sys.platform == "linux" and not fresh and not environment:
        return run_warm([*map(str, arguments)], cwd or Path.cwd(), _one_thread(), first)
    assert first is None, "only a fork can call it"
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=_one_thread() | environment,
        timeout=LONGEST,
        check=False,
    )


def started(*arguments: str | Path, fresh: bool = False) -> "WarmProcess | subprocess.Popen[str]":
    """Start the command in a process of its own; one that is not `fresh` must end before another command begins."""
    if sys.platform == "linux" and not fresh:
        return WarmProcess([*map(str, arguments)], Path.cwd(), _one_thread())
    pipe = subprocess.PIPE
    return subprocess.Popen(command(*arguments), stdout=pipe, stderr=pipe, text=True, env=_one_thread())


def _one_thread() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def run_small(folder: Path, *arguments: str, fresh: bool = False) -> Path:
    """A whole run in `folder`; its run directory."""
    config = write_config(folder)
    done = study("run", "--config", config, "--run-dir", folder / "run", "--quiet", *arguments, fresh=fresh)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def artifact_hashes(run: Path) -> dict[str, dict[str, str]]:
    """Hashes of all artifacts of a run, by stage, as its manifests give them."""
    manifests = sorted(run.glob("*/manifest.json"))
    return {path.parent.name: json.loads(path.read_text())["outputs"] for path in manifests}


def copied_package(folder: Path) -> Path:
    """A copy of the package in `folder`, with what has been compiled of it, so that only changed loops are compiled."""
    package, copy = Path(gru4rec_cli.__path__[0]), folder / "gru4rec_cli"
    half_written = ("*.tmp.*", "*.pyc.*", "*.lock")  # other tests may be writing there
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("loops-*", *half_written))
    for source in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        # Numba names a folder after the one that the loops' file is in.
        before, after = (
            UserProvidedCacheLocator.get_suitable_cache_subpath(path / "loops.py")
            for path in (source, copy / source.relative_to(package))
        )
        for loops in (package / "__pycache__").glob(f"loops-*/{before}"):
            shutil.copytree(
                loops, copy / "__pycache__" / loops.parent.name / after, ignore=shutil.ignore_patterns(*half_written)
            )
    return copy
