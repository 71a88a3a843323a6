"""Recorded runs of the author's implementation on toy data, as plain numbers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from gru4rec_cli.base.arrays import AnyArray, Int64Array
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.sessions import Sessions, Vocabulary, sessions_from_frame
from gru4rec_cli.models.gru4rec import Settings

Weights = dict[str, AnyArray]

_NEEDED = [f"{part}/{column}" for part in ("train", "test") for column in ("SessionId", "ItemId", "Time")]
_NEEDED += ["item_ids", "step/input", "step/target", "step/n_valid", "step/loss", "test_scores", "test_keys"]


@dataclass(frozen=True)
class Trace:
    """Results of an implementation on a recorded run; parts that it does not give are None.

    `batches` are (input, target) item indices of every step; `scores` (events, V) follow the test events in order.
    """

    losses: list[float]
    batches: list[tuple[list[int], list[int]]] | None = None
    weights: Weights | None = None
    scores: AnyArray | None = None
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None  # tie mode → metric → cutoff → value


@dataclass(frozen=True)
class Recording:
    """One recorded run. `hyperparameters` are in the author's spelling, `settings` in ours; item indices throughout
    are those of `item_ids`. Noise that decided dropout may be recorded as `step/noise.embed` (steps, B, width) and
    `step/noise.hidden.L` (steps, B, D_L), uniform in [0, 1): a unit is dropped where it is below the rate."""

    name: str
    hyperparameters: dict[str, Any]
    settings: Settings
    metrics: dict[str, dict[str, dict[str, float]]]
    arrays: dict[str, AnyArray] = field(repr=False)
    train: Sessions = field(repr=False)
    test: Sessions = field(repr=False)

    @property
    def n_steps(self) -> int:
        return len(self.arrays["step/loss"])

    def weights(self, when: str) -> Weights:
        """Return all weights, `init` or `final`, in the shapes of our implementation."""
        found = {name.removeprefix(f"{when}/"): a for name, a in self.arrays.items() if name.startswith(f"{when}/")}
        return {name: array.ravel() if name == "output_bias" else array for name, array in found.items()}

    def negatives(self, step: int) -> Int64Array:
        """Item indices of the extra negatives of a step, (n_sample,)."""
        if self.settings.n_sample == 0 or "step/negatives" not in self.arrays:
            return np.zeros(0, dtype=np.int64)
        drawn: Int64Array = self.arrays["step/negatives"][step].astype(np.int64)
        return drawn

    def noise(self, step: int, name: str) -> AnyArray | None:
        """Return the recorded noise of a step, (B, width), or None."""
        array = self.arrays.get(f"step/noise.{name}")
        return None if array is None else array[step]

    def batches(self) -> list[tuple[list[int], list[int]]]:
        """(input, target) item indices of every step."""
        inputs, targets, widths = (self.arrays[f"step/{name}"] for name in ("input", "target", "n_valid"))
        return [(inputs[s, :w].tolist(), targets[s, :w].tolist()) for s, w in enumerate(widths.tolist())]

    def scores(self) -> AnyArray:
        """Return the recorded scores, rows in the order of our test events."""
        owners = self.test.session_ids[self.test.event_sessions()].tolist()
        positions = (self.test.event_positions() - 1).tolist()
        event = {key: row for row, key in enumerate(zip(owners, positions, strict=True))}
        rows = [event[session, position] for session, position, _ in self.arrays["test_keys"].tolist()]
        ordered = np.empty_like(self.arrays["test_scores"])
        ordered[rows] = self.arrays["test_scores"]
        return ordered


def read_recording(path: Path) -> Recording:
    """Read the recorded run `NAME.npz` + `NAME.json`; `path` names either, or both without a suffix.

    Raises `DataError` where a file is missing or is not part of a recorded run.
    """
    base = path.with_suffix("") if path.suffix in (".npz", ".json") else path
    arrays, described = _read_files(base)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing or "hyperparameters" not in described:
        lacking = ", ".join(missing) or "hyperparameters"
        raise DataError(f"{base}: not a recorded run, it lacks {lacking}", "see docs/conformance.md for the format")
    given = described["hyperparameters"]
    try:
        settings = settings_of(given)
    except (ValidationError, KeyError) as error:
        raise DataError(f"{base}.json: hyperparameters that this implementation does not know: {error}") from error
    vocabulary = Vocabulary.of(arrays["item_ids"])
    train, test = (_sessions(arrays, part, vocabulary) for part in ("train", "test"))
    return Recording(base.name, given, settings, described.get("metrics", {}), arrays, train, test)


def _read_files(base: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    for suffix in (".npz", ".json"):
        if not base.with_suffix(suffix).is_file():
            raise DataError(f"there is no file {base.with_suffix(suffix)}", "a case is NAME.npz and NAME.json")
    try:
        with np.load(base.with_suffix(".npz"), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        described = json.loads(base.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{base}: the recorded run cannot be read: {error}") from error
    return arrays, described


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return our settings for hyperparameters in the author's spelling."""
    same = ["layers", "loss", "batch_size", "learning_rate", "momentum", "n_sample", "sample_alpha"]
    same += ["dropout_p_embed", "dropout_p_hidden"]
    specific = ("logq",) if given["loss"] == "cross-entropy" else ("bpreg", "elu_param")
    embedding = "shared" if given["constrained_embedding"] else given["embedding"] or "none"
    ours = {key: given[key] for key in (*same, *specific)} | {"epochs": given["n_epochs"], "embedding": embedding}
    return Settings.model_validate_json(json.dumps(ours))


def _sessions(arrays: dict[str, AnyArray], part: str, vocabulary: Vocabulary) -> Sessions:
    """Events sorted by session and time, sessions then visited by the time of their first event."""
    columns = {SESSION: "SessionId", ITEM: "ItemId", TIME: "Time"}
    frame = pl.DataFrame({ours: arrays[f"{part}/{theirs}"] for ours, theirs in columns.items()})
    start = pl.col(TIME).min().over(SESSION)
    ordered = frame.sort(SESSION, TIME, maintain_order=True).sort(start, SESSION, TIME, maintain_order=True)
    return sessions_from_frame(ordered, vocabulary)
