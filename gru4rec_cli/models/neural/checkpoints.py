"""The state of a training after an epoch, kept so that a killed training goes on as if nothing had happened."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec_cli.base.files import hash_file, write_json

Curve = list[dict[str, float]]  # one row of named values an epoch

_LATEST = "latest.json"


@dataclass(frozen=True)
class Checkpoint:
    """Everything a training needs to go on: tensors by name, and the curve so far."""

    tensors: dict[str, Tensor]
    curve: Curve


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash leaves either the one before or this one."""
    path = folder / f"epoch-{len(checkpoint.curve)}.safetensors"
    save_file(checkpoint.tensors, path)
    write_json(folder / _LATEST, {"file": path.name, "sha256": hash_file(path), "curve": checkpoint.curve})
    for old in folder.glob("epoch-*.safetensors"):
        if old != path:
            old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint, or None if there is none or it is damaged: then training begins again."""
    if not (folder / _LATEST).exists():
        return None
    try:
        described = json.loads((folder / _LATEST).read_text(encoding="utf-8"))
        path, curve = folder / described["file"], described["curve"]
        if not path.exists() or hash_file(path) != described["sha256"]:
            return None
        return Checkpoint(load_file(path), curve)
    except (ValueError, KeyError, TypeError):  # damaged
        return None
