"""Conversion of models between the author's saved files and our folders. His code reads and writes his files."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gru4rec_cli.base.arrays import AnyArray
from gru4rec_cli.base.errors import DataError, StageError, UsageError
from gru4rec_cli.base.files import remove
from gru4rec_cli.base.names import ITEMS_FILE
from gru4rec_cli.models import gru4rec, registry
from gru4rec_cli.models.base import load_arrays
from gru4rec_cli.models.fitted import read_id_table
from gru4rec_cli.models.gru4rec.network import check_parameters
from gru4rec_cli.models.official.parameters import DEFAULTS, settings_of
from gru4rec_cli.models.official.process import WorkerProcess
from gru4rec_cli.models.official.settings import Settings

_WEIGHTS = "weights.safetensors"
_KINDS = ("gru4rec", "official")
_SAVED = "give a model that the author's code saved, with savemodel"
_SEED = 42  # of all initial weights in the author's code


def import_checkpoint(path: Path, folder: Path) -> dict[str, Any]:
    """Make a model folder of kind `gru4rec` from a model that the author's code saved. Returns what is in it.

    The file is a pickle: reading it runs the code in it, in a process of its own but with the rights of this one.
    Beside the model, `items.parquet` holds the item ids in index order.

    Raises:
        DataError: there is no such file, it cannot be read, or it holds something else.
        ExternalError: the author's code is not there, or fails.
        UsageError: the folder exists and is not empty.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}", _SAVED)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder", "give a new --to")
    worker = WorkerProcess()
    ((header, weights),) = worker.ask("open", {}, path=str(path.resolve()), names=list(DEFAULTS))
    worker.close()
    if header["kind"] == "unreadable":
        raise DataError(f"{path} is damaged, or no model that the author's code saved: {header['reason']}", _SAVED)
    if header["kind"] != "model":
        raise DataError(f"{path} holds {header['type']}, not a trained GRU4Rec", _SAVED)
    try:
        settings, ids = settings_of(header["parameters"]), _checked_ids(header["ids"])
        check_parameters(weights, settings)
    except (UsageError, ValueError) as error:
        raise DataError(f"{path} holds a model that cannot be taken over: {error}", _SAVED) from error
    model = gru4rec.Model(settings)
    model.parameters = _tensors(weights)
    partial = folder.with_name(f".{folder.name}.partial")
    remove(partial)
    try:
        partial.mkdir(parents=True)
        registry.save_model(partial, "gru4rec", settings, _SEED, model, ids)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        remove(partial)
    return {"folder": str(folder), "items": len(ids), "settings": settings.model_dump(mode="json")}


def _checked_ids(found: list[Any]) -> AnyArray:
    """The ids of the items as an array. Raises `ValueError` where they are not distinct integers or texts."""
    integers = all(type(item) is int and -(2**63) <= item < 2**63 for item in found)
    if not integers and not all(isinstance(item, str) for item in found):
        raise ValueError("its item ids are neither all integers of 64 bits nor all text")
    if len(set(found)) < len(found):
        raise ValueError("its item ids are not distinct")
    return np.array(found, dtype=np.int64 if integers else object)


def _tensors(weights: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(value) for name, value in weights.items()}


def export_checkpoint(folder: Path, path: Path, items: Path | None = None) -> dict[str, Any]:
    """Write a fitted model of kind `gru4rec` or `official` as the author's code saves one. Returns what was written.

    `items` is the item table of its vocabulary: by default `items.parquet` in the folder. Item ids become text, as his
    `run.py` reads them.

    Raises:
        DataError: there is no file `items`.
        ExternalError: the author's code is not there, or fails.
        StageError: the folder holds no fitted model or a damaged one, or no item table, or that of another model.
        UsageError: the model is of another kind.
    """
    described = registry.description(folder)
    if described["kind"] not in _KINDS:
        raise UsageError(f"{folder} holds a model of kind {described['kind']}", f"kinds: {', '.join(_KINDS)}")
    fields = {name: value for name, value in described["settings"].items() if name in Settings.model_fields}
    with registry.damage_told(folder):
        settings = Settings.model_validate_json(json.dumps(fields))
        weights = load_arrays(folder / _WEIGHTS)
        check_parameters(weights, settings)
    ids = _item_ids(folder, items)
    if len(ids) != len(weights["output_bias"]):
        raise StageError(
            f"the item table has {len(ids)} items and the model {len(weights['output_bias'])}",
            "give the item table that the model was fitted on: --items FILE",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial").absolute()
    try:
        worker = WorkerProcess()
        for job, arrays in (("load", weights), ("save", {})):
            for _ in worker.ask(job, arrays, parameters=settings.author_parameters(), path=str(partial), ids=ids):
                pass
        worker.close()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return {"file": str(path), "items": len(ids), "parameters": settings.author_parameters()}


def _item_ids(folder: Path, items: Path | None) -> list[str]:
    """Item ids in index order, as text."""
    hint = "give the one that the model was fitted on: --items FILE"
    if items is not None and not items.is_file():
        raise DataError(f"--items: there is no item table at {items}", hint)
    path = items or folder / ITEMS_FILE
    if not path.is_file():
        raise StageError(f"there is no item table at {path}", hint)
    return [str(item) for item in read_id_table(path)]
