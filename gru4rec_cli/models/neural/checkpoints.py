"""The state of a training after an epoch, kept so that a killed training goes on as if nothing had happened."""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.files import hash_file, write_json

_log = logging.getLogger(__name__)

Curve = list[dict[str, float]]  # one row of named values an epoch

_LATEST = "latest.json"


@dataclass(frozen=True)
class Checkpoint:
    """Everything a training needs to go on: tensors by name, curve and cost so far, the latter of all sittings."""

    tensors: dict[str, Tensor]
    curve: Curve
    cost: Mapping[str, float] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash leaves either the one before or this one."""
    path = folder / f"epoch-{len(checkpoint.curve)}.safetensors"
    save_file(checkpoint.tensors, path)
    described = {"curve": checkpoint.curve, "cost": dict(checkpoint.cost)}
    write_json(folder / _LATEST, {"file": path.name, "sha256": hash_file(path), **described})
    for old in folder.glob("epoch-*.safetensors"):
        if old != path:
            old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint, or None if there is none or it is damaged: then training begins again.

    Raises:
        StageError: it is there, but the system cannot read it.
    """
    if not (folder / _LATEST).exists():
        return None
    try:
        described = json.loads((folder / _LATEST).read_text(encoding="utf-8"))
        path, curve, cost = folder / described["file"], described["curve"], described["cost"]
        if hash_file(path) != described["sha256"] or not _is_cost(cost):
            raise ValueError(f"{path.name} is not as it was written")
        return Checkpoint(load_file(path), curve, cost)
    except (ValueError, KeyError, TypeError, RecursionError, FileNotFoundError, SafetensorError):
        _log.info("the checkpoint in %s is damaged; training begins again", folder)
        return None
    except OSError as error:
        raise StageError(
            f"the checkpoint in {folder} cannot be read: {error.strerror}",
            "make it readable, or remove that folder: training then begins again",
        ) from error


def _is_cost(cost: object) -> bool:
    return isinstance(cost, dict) and all(isinstance(v, int | float) and math.isfinite(v) for v in cost.values())
