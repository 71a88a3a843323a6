"""Finds models by their file: a kind is the name of a module in this folder, and adding one is adding a file."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import cast

from gru4rec_cli.base.names import MODEL_FILE
from gru4rec_cli.models.base import ModelSettings, Recommender

_FOLDER = Path(__file__).resolve().parent
_NOT_MODELS = {"base", "registry", "indexes"}
_SHARED_SOURCES = [
    "base.py",
    "../evaluation/scores.py",
    "../base/compiling.py",
    "../base/threads.py",
    "../base/team.py",
    "../base/intrinsics.py",
    "../data/sessions.py",
    "../evaluation/metrics.py",
    "../evaluation/ranking.py",
    "../evaluation/rank_counts.py",
    "../evaluation/tensor_counts.py",
]


def kinds() -> list[str]:
    """Every model kind there is, in alphabetical order; nothing is imported for it."""
    return sorted(module.name for module in iter_modules([str(_FOLDER)]) if module.name not in _NOT_MODELS)


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"gru4rec_cli.models.{kind}")


def settings_class(kind: str) -> type[ModelSettings]:
    """The settings of a kind."""
    return cast(type[ModelSettings], _module(kind).Settings)


def model_class(kind: str) -> type[Recommender]:
    """The model of a kind; for a neural one this loads torch."""
    return cast(type[Recommender], _module(kind).Model)


def source_files(kind: str) -> Iterator[Path]:
    """The files whose code decides what a fitted model of this kind is."""
    yield from ((_FOLDER / file).resolve() for file in _SHARED_SOURCES)
    single = _FOLDER / f"{kind}.py"
    counted = [single, *sorted((_FOLDER / "indexes").glob("*.py"))]
    yield from counted if single.exists() else sorted((_FOLDER / kind).rglob("*.py"))
    yield from getattr(_module(kind), "extra_sources", list)()


def check_ready(kind: str) -> None:
    """Raise `StageError` where a kind needs something that is not there."""
    getattr(_module(kind), "check_ready", lambda: None)()


def check_settings(kind: str, settings: ModelSettings, where: str) -> None:
    """Raise `UsageError` where a model cannot be fitted with its settings on this machine; `where` is its key."""
    getattr(_module(kind), "check_settings", lambda settings, where: None)(settings, where)


def save_model(folder: Path, kind: str, settings: ModelSettings, seed: int, model: Recommender) -> None:
    """Write a fitted model so that `load_model` needs nothing but the folder."""
    model.save(folder)
    described = {"kind": kind, "settings": settings.model_dump(mode="json"), "seed": seed}
    (folder / MODEL_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def load_model(folder: Path) -> Recommender:
    """The fitted model that `save_model` wrote."""
    described = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    kind = described["kind"]
    settings = settings_class(kind).model_validate_json(json.dumps(described["settings"]))
    return model_class(kind).load(folder, settings)
