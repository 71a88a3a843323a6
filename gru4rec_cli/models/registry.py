"""Finds models by name: a kind is a module of this folder, or of an installed package, with `Model` and `Settings`."""

import ast
import importlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gru4rec_cli.base.closure import import_closure
from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import MODEL_FILE
from gru4rec_cli.base.settings import ModelSettings

if TYPE_CHECKING:  # loads numba
    from gru4rec_cli.base.arrays import AnyArray
    from gru4rec_cli.models.base import Recommender
    from gru4rec_cli.models.fitted import FittedModel

GROUP = "gru4rec_study.models"  # entry points of packages that offer kinds: kind = "package.module"

_FOLDER = Path(__file__).resolve().parent
_NAMES = {"Model", "Settings"}
_REFIT = "fit the model again: run its stage with --force"


class _Offer(NamedTuple):
    """Where a kind comes from."""

    module: str
    package: str | None = None  # name and version of the installed package; None: this one
    clashes_with: str | None = None  # another package that offers a kind of this name


def kinds() -> list[str]:
    """Return every model kind there is, in alphabetical order; nothing is imported for it."""
    return sorted(_offers())


def settings_class(kind: str) -> type[ModelSettings]:
    """Return the settings of a kind.

    Raises:
        UsageError: the installed package that offers it is broken, or another one offers a kind of this name.
    """
    return cast(type[ModelSettings], _module(kind).Settings)


def settings_of(kind: str, given: dict[str, Any]) -> ModelSettings:
    """Return the settings of a kind from those that are given as plain values, every default filled in.

    Raises:
        ValidationError: they are wrong, or do not go together.
    """
    return settings_class(kind).model_validate_json(json.dumps(given))


def model_class(kind: str) -> "type[Recommender]":
    """Return the model of a kind; for a neural one this loads torch."""
    return cast("type[Recommender]", _module(kind).Model)


def package(kind: str) -> str | None:
    """Return name and version of the installed package that offers a kind, or None for a kind of this one."""
    return _offers()[kind].package


def source_files(kind: str) -> list[Path]:
    """Return the files whose code decides what a fitted model of this kind is: its own and all that they import.

    All files of a kind that is a package count, since it may look modules up by name.
    """
    offer, root = _offers()[kind], _FOLDER.parent
    if offer.package is None:
        single = _FOLDER / f"{kind}.py"
        own = {single} if single.exists() else set((_FOLDER / kind).rglob("*.py"))
    else:
        own = _installed_files(offer.module)
    # The package's own `__init__.py` holds the version alone.
    sources = own | import_closure(own, root) - {root / "__init__.py"}
    return [*sorted(sources), *getattr(_module(kind), "extra_sources", list)()]


def _installed_files(module: str) -> set[Path]:
    """Return the files of an installed module and those of its own package that it imports."""
    spec, top = importlib.util.find_spec(module), importlib.util.find_spec(module.partition(".")[0])
    assert spec is not None
    assert spec.origin is not None
    own = set(Path(spec.origin).parent.rglob("*.py")) if spec.submodule_search_locations else {Path(spec.origin)}
    folders = top.submodule_search_locations if top else None
    return own.union(*(import_closure(own, Path(folder)) for folder in folders or ()))


def save_model(
    folder: Path, kind: str, settings: ModelSettings, seed: int, model: "Recommender", ids: "AnyArray"
) -> None:
    """Write a fitted model so that `load_model` needs nothing but the folder. `ids` are its items', by index, (V,)."""
    from gru4rec_cli.models.fitted import write_ids

    model.save(folder)
    write_ids(folder, ids)
    described: dict[str, Any] = {"kind": kind, "settings": settings.model_dump(mode="json"), "seed": seed}
    if offered_by := package(kind):
        described["package"] = offered_by
    (folder / MODEL_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def load_model(folder: Path | str) -> "FittedModel":
    """Return the fitted model that `save_model` wrote, with the ids of its items.

    Raises:
        StageError: the folder holds no model or a damaged one, or no installed package offers its kind.
    """
    from gru4rec_cli.models.fitted import FittedModel, read_ids

    folder = Path(folder)
    described = description(folder)
    kind = described["kind"]
    if kind not in _offers():
        source = described.get("package", "the package that offers it")
        raise StageError(f"{folder} holds a model of the kind {kind!r}, which is not installed", f"install {source}")
    ids = read_ids(folder)
    with damage_told(folder):
        settings = settings_class(kind).model_validate_json(json.dumps(described["settings"]))
        model = model_class(kind).load(folder, settings)
    return FittedModel(kind, settings, described["seed"], model, ids)


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn the errors that come of reading settings and arrays of a damaged model into a `StageError`."""
    from polars.exceptions import PanicException, PolarsError
    from safetensors import SafetensorError

    try:
        yield
    except (
        *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError),
        *(PanicException, PolarsError, SafetensorError),
    ) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise StageError(f"the model in {folder} is damaged or of another version: {reason}", _REFIT) from error


def description(folder: Path) -> dict[str, Any]:
    """Return kind, settings and seed of a fitted model. Raises `StageError` where the folder does not say them."""
    path = folder / MODEL_FILE
    if not path.is_file():
        raise StageError(
            f"{folder} holds no fitted model: there is no {MODEL_FILE}", "name a folder such as runs/NAME/train/MODEL"
        )
    described = read_json(path)
    expected = {"kind": str, "settings": dict, "seed": int}
    if not isinstance(described, dict) or any(not isinstance(described.get(k), t) for k, t in expected.items()):
        raise StageError(f"{path} is damaged: it does not say {', '.join(expected)}", _REFIT)
    return described


@cache
def _offers() -> dict[str, _Offer]:
    own = [path for path in (*_FOLDER.glob("*.py"), *_FOLDER.glob("*/__init__.py")) if _defines_a_model(path)]
    names = [path.stem if path.parent == _FOLDER else path.parent.name for path in own]
    offers = {name: _Offer(f"gru4rec_cli.models.{name}") for name in names}
    for entry in entry_points(group=GROUP):
        offered_by = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an installed package"
        other = offers.get(entry.name)
        clash = (other.package or "gru4rec-study") if other else None
        offers[entry.name] = _Offer(entry.module, offered_by, clash)
    return offers


def _defines_a_model(path: Path) -> bool:
    """Return whether a file has a `Model` and `Settings`: classes, or names in its `__all__`."""
    names = set()
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names |= set(ast.literal_eval(node.value))
    return names >= _NAMES


def _module(kind: str) -> ModuleType:
    offer = _offers()[kind]
    if offer.package is None:
        return importlib.import_module(offer.module)
    if offer.clashes_with:
        raise UsageError(
            f"{offer.package} offers a model kind {kind!r}, and so does {offer.clashes_with}",
            f"rename it among the entry points {GROUP} of that package, or uninstall it",
        )
    try:
        module = importlib.import_module(offer.module)
    except Exception as error:
        raise _broken(kind, f"{type(error).__name__}: {error}") from error
    if missing := _NAMES - {*vars(module), *getattr(module, "__all__", ())}:
        raise _broken(kind, f"{offer.module} has no {' and no '.join(sorted(missing))}")
    if not issubclass(module.Settings, ModelSettings):
        raise _broken(kind, f"Settings of {offer.module} are no {ModelSettings.__module__}.ModelSettings")
    return module


def _broken(kind: str, why: str) -> UsageError:
    offer = _offers()[kind]
    message = f"the model kind {kind!r} of {offer.package} cannot be loaded: {why}"
    return UsageError(message, "correct that package, or uninstall it")
