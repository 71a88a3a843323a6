"""Finds models by their file: a kind is the name of a module in this folder, and adding one is adding a file."""

import importlib
import json
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, cast

from gru4rec_cli.base.closure import import_closure
from gru4rec_cli.base.names import MODEL_FILE

if TYPE_CHECKING:  # loads numba
    from gru4rec_cli.models.base import ModelSettings, Recommender

_FOLDER = Path(__file__).resolve().parent
_NOT_MODELS = {"base", "registry", "neighbourhood", "indexes"}


def kinds() -> list[str]:
    """Every model kind there is, in alphabetical order; nothing is imported for it."""
    return sorted(module.name for module in iter_modules([str(_FOLDER)]) if module.name not in _NOT_MODELS)


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"gru4rec_cli.models.{kind}")


def settings_class(kind: str) -> "type[ModelSettings]":
    """The settings of a kind."""
    return cast("type[ModelSettings]", _module(kind).Settings)


def model_class(kind: str) -> "type[Recommender]":
    """The model of a kind; for a neural one this loads torch."""
    return cast("type[Recommender]", _module(kind).Model)


def source_files(kind: str) -> list[Path]:
    """Return the files whose code decides what a fitted model of this kind is: those that its module imports.

    All files of a kind that is a package count, for it may look up modules by name. The package's own `__init__.py`
    does not: it holds the version alone.
    """
    package, single = _FOLDER.parent, _FOLDER / f"{kind}.py"
    files = [single] if single.exists() else (_FOLDER / kind).rglob("*.py")
    sources = import_closure(files, package) - {package / "__init__.py"}
    return [*sorted(sources), *getattr(_module(kind), "extra_sources", list)()]


def check_ready(kind: str) -> None:
    """Raise `StageError` where a kind needs something that is not there."""
    getattr(_module(kind), "check_ready", lambda: None)()


def check_settings(kind: str, settings: "ModelSettings", where: str) -> None:
    """Raise `UsageError` where a model cannot be fitted with its settings on this machine; `where` is its key."""
    getattr(_module(kind), "check_settings", lambda settings, where: None)(settings, where)


def save_model(folder: Path, kind: str, settings: "ModelSettings", seed: int, model: "Recommender") -> None:
    """Write a fitted model so that `load_model` needs nothing but the folder."""
    model.save(folder)
    described = {"kind": kind, "settings": settings.model_dump(mode="json"), "seed": seed}
    (folder / MODEL_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def load_model(folder: Path) -> "Recommender":
    """The fitted model that `save_model` wrote."""
    described = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    kind = described["kind"]
    settings = settings_class(kind).model_validate_json(json.dumps(described["settings"]))
    return model_class(kind).load(folder, settings)
