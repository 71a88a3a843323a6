"""A fitted model as a folder that needs nothing but itself: weights, item ids, settings, a model card, hashes."""

import glob
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from gru4rec_cli import __version__
from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import hash_json, read_json, write_json, write_text
from gru4rec_cli.models import registry
from gru4rec_cli.serving.card import card_text
from gru4rec_cli.serving.card_facts import card_facts, digest_of, fitted_files
from gru4rec_cli.serving.loading import load_run

if TYPE_CHECKING:  # loads polars
    from gru4rec_cli.models.fitted import FittedModel

BUNDLE_FILE = "bundle.json"
CARD_FILE = "card.json"
README_FILE = "README.md"
FORMAT = 1  # of bundles; a later one is refused
VERSION_LENGTH = 16  # characters of the hash that names a version
_AGAIN = "export the model again"


def export_bundle(run: Path, model: str, to: Path, *, onnx: bool = False, force: bool = False) -> dict[str, Any]:
    """Write a fitted model of a run as a bundle, and return what was written.

    `to` appears whole or not at all. With `force`, a bundle that is there is replaced. With `onnx`, one step of the
    network is written as an ONNX graph, too.

    Raises:
        UsageError: the run has no such model, the place is taken or cannot be written, or the model has no ONNX form.
        StageError: the model, or what its card is made from, is damaged.
        CheckError: the ONNX graph gives other scores.
    """
    folder = load_run(run).folder(model)
    files = fitted_files(folder)
    fitted = registry.load_model(folder)
    to = to.resolve() if to.name in ("", "..") else to
    try:
        _restore(to)
        _require_free(to, run, force=force)
        described = _write(run, folder, files, fitted, to, onnx=onnx)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"--to {to}: the bundle cannot be written: {reason}", "give another place") from error
    return {"bundle": str(to), **{key: described[key] for key in ("kind", "version")}, "files": [*described["files"]]}


def _write(run: Path, folder: Path, files: list[str], fitted: "FittedModel", to: Path, *, onnx: bool) -> dict[str, Any]:
    """Write a bundle beside its place, put it there, and return what describes it."""
    fresh = to.with_name(f".{to.name}.new-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for name in files:
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, fresh / name)
        facts = card_facts(run, folder, fitted)
        if onnx:
            from gru4rec_cli.serving.onnx_step import write_step

            facts["onnx"] = write_step(fitted, fresh)
        write_json(fresh / CARD_FILE, facts)
        write_text(fresh / README_FILE, card_text(facts))
        written = sorted(path for path in fresh.rglob("*") if path.is_file())
        hashes = {path.relative_to(fresh).as_posix(): digest_of(path) for path in written}
        made_by = f"gru4rec-study {__version__}"
        described: dict[str, Any] = {"format": FORMAT, "made_by": made_by, "kind": fitted.kind, "files": hashes}
        described["version"] = _version(described)
        write_json(fresh / BUNDLE_FILE, described)
        _publish(fresh, to)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return described


def load_bundle(path: Path | str) -> "FittedModel":
    """Return the model of a bundle, after a check that its files are as they were written.

    Raises:
        UsageError: there is no such folder.
        StageError: it is no bundle, is damaged, or is of a newer format; or its kind of model is not installed.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"there is no folder {path}", "name a bundle that `export` wrote")
    check_bundle(path)
    return registry.load_model(path)


def check_bundle(path: Path) -> str:
    """Return the version of a bundle, after a check of its files; other files beside them are passed over.

    Raises:
        StageError: it is no bundle, is damaged, or is of a newer format.
    """
    if not (path / BUNDLE_FILE).is_file():
        raise StageError(f"{path} is no bundle: there is no {BUNDLE_FILE}", "name a folder that `export` wrote")
    try:
        described = read_json(path / BUNDLE_FILE)
    except StageError as error:
        raise StageError(error.message, _AGAIN) from error
    form = described.get("format") if isinstance(described, dict) else None
    if isinstance(form, int) and form > FORMAT:
        made_by = described.get("made_by", "a newer gru4rec-study")
        raise StageError(
            f"{path} is a bundle of format {form}, made by {made_by}; this is gru4rec-study {__version__}, which knows "
            f"formats up to {FORMAT}",
            "update gru4rec-study",
        )
    files = described.get("files") if isinstance(described, dict) else None
    if form != FORMAT or not isinstance(files, dict) or described.get("version") != _version(described):
        raise StageError(f"{path / BUNDLE_FILE} is damaged", _AGAIN)
    for name, expected in files.items():
        file = path / name
        if not _is_below(name) or not file.is_file():
            raise StageError(f"the bundle {path} is damaged: {name} is missing", _AGAIN)
        if digest_of(file) != expected:
            raise StageError(f"the bundle {path} is damaged: {name} has changed since it was written", _AGAIN)
    version: str = described["version"]
    return version


def _is_below(name: str) -> bool:
    """Return whether a file's name leads to a place in the bundle."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _version(described: dict[str, Any]) -> str:
    """Return the hash of everything else that describes a bundle, the hashes of its files among it."""
    return hash_json({key: value for key, value in described.items() if key != "version"})[:VERSION_LENGTH]


def _require_free(to: Path, run: Path, *, force: bool) -> None:
    if to.resolve() == run.resolve() or to.resolve() in run.resolve().parents or run.resolve() in to.resolve().parents:
        raise UsageError(f"--to {to}: this is the run directory, or above or inside it", "give a place beside it")
    if to.resolve() == Path.cwd() or to.resolve() in Path.cwd().parents:
        raise UsageError(f"--to {to}: this is the current folder, or above it", "give a folder that is not there yet")
    if to.is_symlink() or to.is_file():
        raise UsageError(f"--to {to}: this is a file or a link", "give a folder that is not there yet")
    if to.is_dir() and any(to.iterdir()):
        if not (to / BUNDLE_FILE).is_file():
            raise UsageError(f"--to {to}: this folder holds other files", "give a folder that is not there yet")
        if not force:
            raise UsageError(f"--to {to}: there is a bundle already", "give another place, or --force to replace it")


def _publish(fresh: Path, to: Path) -> None:
    """Put a folder in its place; what was there is deleted after that."""
    if not to.exists():
        fresh.rename(to)
        return
    old = to.with_name(f".{to.name}.old-{os.getpid()}")
    shutil.rmtree(old, ignore_errors=True)
    to.rename(old)
    try:
        fresh.rename(to)
    except OSError:
        if not to.exists():
            old.rename(to)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _restore(to: Path) -> None:
    """Put back the bundle that an export was replacing when it was killed."""
    if not to.exists():
        for old in sorted(to.parent.glob(f".{glob.escape(to.name)}.old-*"))[:1]:
            old.rename(to)
