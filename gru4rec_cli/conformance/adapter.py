"""Somebody else's implementation behind a small adapter file, on a recorded run."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.conformance.recording import Recording, Trace

_HINT = "see docs/conformance.md for what an adapter returns"


def load_adapter(path: Path) -> Any:
    """Return the `replay` function of an adapter file. The file is Python code and is run. Raises `UsageError`."""
    if not path.is_file():
        raise UsageError(f"there is no adapter file {path}", _HINT)
    spec = importlib.util.spec_from_file_location("conformance_adapter", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file", _HINT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "replay", None)):
        raise UsageError(f"{path} defines no function replay(recording)", _HINT)
    return module.replay


def run_adapter(replay: Any, recording: Recording) -> Trace:
    """Run an adapter on a recorded run. Raises `DataError` where it returns something else than a trace."""
    returned = replay(recording)
    if not isinstance(returned, Mapping) or "losses" not in returned:
        raise DataError(f"the adapter returned no losses for {recording.name}", _HINT)
    unknown = set(returned) - {"losses", "batches", "weights", "scores", "metrics"}
    if unknown:
        raise DataError(f"the adapter returned unknown parts: {', '.join(sorted(map(str, unknown)))}", _HINT)
    weights, scores = returned.get("weights"), returned.get("scores")
    return Trace(
        [float(loss) for loss in returned["losses"]],
        None
        if returned.get("batches") is None
        else [(list(map(int, i)), list(map(int, t))) for i, t in returned["batches"]],
        None if weights is None else {name: np.asarray(value) for name, value in weights.items()},
        None if scores is None else np.asarray(scores),
        returned.get("metrics"),
    )
