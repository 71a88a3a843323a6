"""The run directory: stages that appear whole or not at all, and manifests that prove what is in them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gru4rec_cli.base.errors import StageError, StudyError, UsageError
from gru4rec_cli.base.files import (
    MANIFEST,
    hash_costs,
    hash_file,
    hash_folder,
    is_hidden,
    read_json,
    read_manifest,
    remove,
    write_json,
    write_manifest,
    write_text,
)
from gru4rec_cli.base.yaml_loader import YamlError, dump_yaml, read_yaml

CONFIG = "config.yaml"
_LOCK = ".lock"
_HOLDER = ".lock-holder.json"
_FORCED = ".forced"  # in a partial folder

Manifest = dict[str, Any]

_UMASK = os.umask(0)
os.umask(_UMASK)


class RunDirectory:
    """One run: a folder a stage, each finished by its manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stage(self, name: str) -> Path:
        """Return the folder of a finished stage."""
        return self.path / name

    def partial(self, name: str) -> Path:
        """Return the folder in which a stage works before it is whole."""
        return self.path / f".{name}.partial"

    def check_owner(self, name: str, *, windows: bool) -> None:
        """Check that the directory is free, or holds the run of this name, with or without windows.

        Raises:
            UsageError: it holds another run.
            StageError: its configuration cannot be read.
        """
        path = self.path / CONFIG
        if not path.exists():
            return
        try:
            owner = read_yaml(path)
            other, has_windows = owner["name"], owner.get("split", {}).get("windows") is not None
        except (OSError, YamlError, TypeError, KeyError, AttributeError) as error:
            raise StageError(f"{path} is damaged", "give another --run-dir, or remove that file") from error
        if other != name:
            raise UsageError(
                f"{self.path} belongs to the run {other!r}, but this configuration is named {name!r}",
                "give another --run-dir",
            )
        if has_windows != windows:
            held, asked = ("windows", "none") if has_windows else ("a run of the whole log", "windows")
            raise UsageError(
                f"{self.path} holds {held}, but this configuration asks for {asked}", "give another --run-dir"
            )

    @contextmanager
    def lock(self, command: str, config: dict[str, Any]) -> Iterator[None]:
        """Lock the directory, after creating it, and write the configuration into it.

        Raises:
            UsageError: another process holds it, or it cannot be used.
        """
        self._create()
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"{self.path} is in use by {self._holder()}",
                "wait for it to end, or give another --run-dir",
            ) from None
        try:
            write_json(self.path / _HOLDER, {"pid": os.getpid(), "command": command})
            write_text(self.path / CONFIG, dump_yaml(config))
            self._recover()
            yield
        except Exception as error:
            if not isinstance(error, StudyError) and not (self.path / _LOCK).exists():
                raise StageError(f"{self.path} was removed while the command ran", "run it again") from error
            raise
        finally:
            (self.path / _HOLDER).unlink(missing_ok=True)
            lock.release()

    def _create(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file, not a run directory", "give another --run-dir")
        if self.path.is_dir() and not (self.path / _LOCK).exists() and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path} holds files but is not a run directory", "give an empty or new folder as --run-dir"
            )
        if (self.path / _LOCK).is_symlink():
            raise UsageError(f"{self.path / _LOCK} is a link, which is not followed", "remove it")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / _LOCK).touch()
        except OSError as error:
            raise UsageError(
                f"the run directory {self.path} cannot be written: {error.strerror}", "give another --run-dir"
            ) from error

    def _holder(self) -> str:
        try:
            holder = read_json(self.path / _HOLDER)
            return f"process {holder['pid']} ({holder['command']})"
        except (StageError, KeyError, TypeError):
            return "another process"

    def _recover(self) -> None:
        """Finish what a killed process left between its manifest and its rename; what is not whole replaces nothing."""
        for partial in self.path.glob(".*.partial"):
            name = partial.name[1 : -len(".partial")]
            if (partial / MANIFEST).exists() and _damage(partial):
                remove(partial / MANIFEST)
            elif (partial / MANIFEST).exists():
                self._publish(name)
        for old in self.path.glob(".*.old"):
            stage = self.stage(old.name[1 : -len(".old")])
            if stage.exists():
                remove(old)
            else:
                old.rename(stage)

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of a finished stage, or None where it has not run.

        Raises:
            StageError: it is damaged.
        """
        path = self.stage(name) / MANIFEST
        return read_manifest(path) if path.exists() else None

    def warnings(self, names: Iterable[str]) -> dict[str, list[dict[str, str]]]:
        """Return the warnings of whole stages that have some: id, message and hint of each, by stage."""
        manifests = {name: (None if self.damage(name) else self.manifest(name)) or {} for name in names}
        return {name: manifest["warnings"] for name, manifest in manifests.items() if manifest.get("warnings")}

    def damage(self, name: str) -> str:
        """Return the first thing in a finished stage that is not as its manifest says, or an empty text."""
        return _damage(self.stage(name)) if (self.stage(name) / MANIFEST).exists() else ""

    def begin(self, name: str, *, fresh: bool, forced: bool = False) -> Path:
        """Return the folder to work in: as an interrupted try left it, or empty where `fresh`. A `forced` try stays one
        until it is finished."""
        partial = self.partial(name)
        if fresh or not partial.is_dir() or partial.is_symlink():
            remove(partial)
        partial.mkdir(exist_ok=True)
        if forced:
            (partial / _FORCED).touch()
        return partial

    def forced(self, name: str) -> bool:
        """Return whether a forced try was interrupted, and is to be finished although there is a finished stage."""
        return (self.partial(name) / _FORCED).exists()

    def finish(self, name: str, manifest: Manifest) -> None:
        """Make the partial folder the stage: the manifest last, with the hash of every artifact, then the rename."""
        partial = self.partial(name)
        hashes = {"outputs": hash_folder(partial), "manifests": hash_costs(partial)}
        write_manifest(partial / MANIFEST, {**manifest, **hashes})
        self._publish(name)

    def _publish(self, name: str) -> None:
        for path in [*self.partial(name).rglob("*")]:
            if path.is_file() and path.name.startswith("."):
                path.unlink()  # of a write that was cut short
            elif path.is_file():
                path.chmod(0o666 & ~_UMASK)  # safetensors writes files that only their owner may read
        stage, partial, old = self.stage(name), self.partial(name), self.path / f".{name}.old"
        if stage.exists():
            remove(old)
            stage.rename(old)
        partial.rename(stage)
        remove(old)


def is_working_file(name: str) -> bool:
    """Return whether a file or folder of this name in a run directory holds work under way, not results."""
    return name in (_LOCK, _HOLDER) or (name.startswith(".") and name.endswith((".partial", ".old", ".tmp")))


def _damage(folder: Path) -> str:
    return next(damages(folder), "")


def damages(folder: Path) -> Iterator[str]:
    """Yield what is not as the manifest of a stage's folder says: missing, damaged and foreign files."""
    try:
        manifest = read_manifest(folder / MANIFEST)
    except StageError as error:
        yield error.message
        return
    expected: dict[str, str] = {**manifest["outputs"], **manifest["manifests"]}
    for file, digest in expected.items():
        path = folder / file
        try:
            if hash_file(path) != digest:
                yield f"{path} is damaged: its bytes are not those that the stage wrote"
        except FileNotFoundError:
            yield f"{path} is missing"
        except OSError as error:
            yield f"{path} cannot be read: {error.strerror}"
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if path.is_file() and not is_hidden(below) and below.as_posix() not in {*expected, MANIFEST}:
            yield f"{path} is foreign: the stage did not write it"
