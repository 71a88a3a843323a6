"""Conversion of models between the author's saved files and our folders. His code reads and writes his files."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.base.errors import DataError, StageError, UsageError
from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import ITEM, ITEMS_FILE, MODEL_FILE
from gru4rec_cli.models import gru4rec, registry
from gru4rec_cli.models.base import load_arrays
from gru4rec_cli.models.official.parameters import DEFAULTS, settings_of
from gru4rec_cli.models.official.process import WorkerProcess
from gru4rec_cli.models.official.settings import Settings

_WEIGHTS = "weights.safetensors"
_KINDS = ("gru4rec", "official")
_SEED = 42  # of all initial weights in the author's code


def import_checkpoint(path: Path, folder: Path) -> dict[str, Any]:
    """Make a model folder of kind `gru4rec` from a model that the author's code saved. Returns what is in it.

    The file is a pickle: reading it runs the code in it, in a process of its own but with the rights of this one.
    Beside the model, `items.parquet` holds the item ids in index order.

    Raises:
        DataError: there is no such file, or it holds something else.
        ExternalError: the file cannot be read.
        UsageError: the folder exists and is not empty.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}", "give a model that the author's code saved")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder", "give a new --to")
    worker = WorkerProcess()
    ((header, weights),) = worker.ask("open", {}, path=str(path.resolve()), names=list(DEFAULTS))
    worker.close()
    if header["kind"] != "model":
        raise DataError(f"{path} holds {header['type']}, not a trained GRU4Rec", "give a model that his code saved")
    settings = settings_of(header["parameters"])
    model = gru4rec.Model(settings)
    model.parameters = _tensors(weights)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    registry.save_model(partial, "gru4rec", settings, _SEED, model, np.array(header["ids"]))
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)
    return {"folder": str(folder), "items": len(header["ids"]), "settings": settings.model_dump(mode="json")}


def _tensors(weights: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(value) for name, value in weights.items()}


def export_checkpoint(folder: Path, path: Path, items: Path | None = None) -> dict[str, Any]:
    """Write a fitted model of kind `gru4rec` or `official` as the author's code saves one. Returns what was written.

    `items` is the item table of its vocabulary: by default `items.parquet` in the folder. Item ids become text, as his
    `run.py` reads them.

    Raises:
        DataError: the folder holds no fitted model, or there is no item table.
        StageError: the item table has another number of items than the model.
        UsageError: the model is of another kind.
    """
    if not (folder / MODEL_FILE).is_file():
        raise DataError(f"{folder} is not the folder of a fitted model", "such as runs/NAME/train/gru4rec")
    described = read_json(folder / MODEL_FILE)
    if described["kind"] not in _KINDS:
        raise UsageError(f"{folder} holds a model of kind {described['kind']}", f"kinds: {', '.join(_KINDS)}")
    fields = {name: value for name, value in described["settings"].items() if name in Settings.model_fields}
    settings = Settings.model_validate({**fields, "layers": tuple(fields["layers"])})
    weights = load_arrays(folder / _WEIGHTS)
    ids = _item_ids(folder, items)
    if len(ids) != len(weights["output_bias"]):
        raise StageError(
            f"the item table has {len(ids)} items and the model {len(weights['output_bias'])}",
            "give the item table that the model was fitted on: --items FILE",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial").absolute()
    worker = WorkerProcess()
    for job, arrays in (("load", weights), ("save", {})):
        for _ in worker.ask(job, arrays, parameters=settings.author_parameters(), path=str(partial), ids=ids):
            pass
    worker.close()
    partial.replace(path)
    return {"file": str(path), "items": len(ids), "parameters": settings.author_parameters()}


def _item_ids(folder: Path, items: Path | None) -> list[str]:
    """Item ids in index order, as text."""
    path = items or folder / ITEMS_FILE
    if path.is_file():
        return [str(item) for item in pl.read_parquet(path, columns=[ITEM])[ITEM].to_list()]
    raise DataError(f"there is no item table at {path}", "give the one that the model was fitted on: --items FILE")
