"""Whether a stage's artifacts are what a configuration asks for: the same settings, inputs and code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from gru4rec_cli.base.closure import import_closure
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.files import hash_file, hash_json
from gru4rec_cli.study.run_directory import RunDirectory

_PACKAGE = Path(__file__).resolve().parents[1]
_EVERY_STAGE = ("base", "data", "study")
_SOURCES = (".py", ".toml", ".jinja", ".css", ".js")  # programs, and what pages are made of

NEVER_RAN = "it has not run yet"

State = Literal["up to date", "to run", "damaged"]


@dataclass(frozen=True)
class Status:
    """The state of a stage, and the reason for it."""

    state: State
    reason: str


def judge(directory: RunDirectory, name: str, made_from: Mapping[str, Any]) -> Status:
    """Return whether a stage is there, whole, and made from this `config`, these `inputs` and this `code`."""
    damage = directory.damage(name)
    if damage:
        return Status("damaged", damage)
    manifest = directory.manifest(name)
    if manifest is None:
        return Status("to run", NEVER_RAN)
    changed = differences(manifest["config"], made_from["config"])
    if changed:
        return Status("to run", f"the configuration changed: {'; '.join(changed)}")
    old, new = manifest["inputs"], made_from["inputs"]
    changed = [label for label in {**new, **old} if new.get(label) != old.get(label)]
    if changed:
        return Status("to run", f"its input changed: {', '.join(changed)}")
    if manifest["code"] != made_from["code"]:
        return Status("to run", "the code of gru4rec-study changed")
    return Status("up to date", "same configuration, inputs and code")


def code_hash(packages: Iterable[str], files: Iterable[Path] = ()) -> str:
    """Return a hash of the source files that decide what a stage writes: those of base, data and study, those of
    `packages`, and other `files`. It is coarse, so that no result outlives its code; fits and ranks have finer keys.
    """
    sources = {
        path
        for package in (*_EVERY_STAGE, *packages)
        for path in (_PACKAGE / package).rglob("*")
        if path.suffix in _SOURCES and "__pycache__" not in path.parts
    }
    return hash_json(sorted((_label(path), hash_file(path)) for path in sources | set(files)))


def code_hashes(module: ModuleType) -> list[str]:
    """Return the hashes of the source files that decide what a module of this package computes: its imports."""
    files = import_closure([Path(module.__file__ or "")], _PACKAGE) - {_PACKAGE / "__init__.py"}  # the version alone
    return [hash_file(path) for path in sorted(files)]


def _label(source: Path) -> str:
    return source.relative_to(_PACKAGE).as_posix() if source.is_relative_to(_PACKAGE) else source.name


def raw_hashes(files: Mapping[str, str | None], recorded: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of raw files by label.

    A file that is gone counts as unchanged where its hash was `recorded`: what was made of it is still what it was.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    hashes: dict[str, str] = {}
    for label, given in files.items():
        if given is None:
            continue
        path = Path(given)
        if not path.is_file() and label in recorded:
            hashes[label] = recorded[label]
            continue
        if not path.is_file():
            raise DataError(f"{label}: there is no file {path}", "check the path; it is relative to the current folder")
        try:
            hashes[label] = hash_file(path)
        except OSError as error:
            raise DataError(f"{label}: {path} cannot be read: {error.strerror}", "check its permissions") from error
    return hashes


def differences(old: object, new: object, path: str = "") -> list[str]:
    """Return what changed between two plain values, as `key: old → new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if old == new else [f"{path}: {_short(old)} → {_short(new)}"]


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
