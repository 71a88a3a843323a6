"""A fitted model as a folder that needs nothing but itself: weights, item ids, settings, a model card, hashes."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gru4rec_cli import __version__
from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import MANIFEST, hash_file, hash_json, read_json, write_json, write_text
from gru4rec_cli.base.names import FIT_FILE, METRICS_FILE, METRICS_TABLE, STATISTICS_FILE, FitName
from gru4rec_cli.models import registry
from gru4rec_cli.serving.card import card_text
from gru4rec_cli.serving.loading import load_run

if TYPE_CHECKING:  # loads polars
    from gru4rec_cli.models.fitted import FittedModel

BUNDLE_FILE = "bundle.json"
CARD_FILE = "card.json"
FORMAT = 1  # of bundles; a later one is refused
VERSION_LENGTH = 16  # characters of the hash that names a version
_SHOWN = ("recall", "mrr", "ndcg", "coverage")
_AGAIN = "export the model again"


def export_bundle(run: Path, model: str, to: Path, *, onnx: bool = False, force: bool = False) -> dict[str, Any]:
    """Write a fitted model of a run as a bundle, and return what was written.

    `to` appears whole or not at all. With `force`, a bundle that is there is replaced. With `onnx`, one step of the
    network is written as an ONNX graph, too.

    Raises:
        UsageError: the run has no such model, the place is taken, or the model has no ONNX form.
        StageError: the model is damaged.
        CheckError: the ONNX graph gives other scores.
    """
    folder = load_run(run).folder(model)
    fitted = registry.load_model(folder)
    _require_free(to, run, force=force)
    fresh = to.with_name(f".{to.name}.new-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name not in (MANIFEST, FIT_FILE):
                shutil.copyfile(path, fresh / path.name)
        facts = _card(run, folder, fitted)
        if onnx:
            from gru4rec_cli.serving.onnx_step import write_step

            facts["onnx"] = write_step(fitted, fresh)
        write_json(fresh / CARD_FILE, facts)
        write_text(fresh / "README.md", card_text(facts))
        files = {path.name: hash_file(path) for path in sorted(fresh.iterdir())}
        made_by = f"gru4rec-study {__version__}"
        described: dict[str, Any] = {"format": FORMAT, "made_by": made_by, "kind": fitted.kind, "files": files}
        described["version"] = _version(described)
        write_json(fresh / BUNDLE_FILE, described)
        _publish(fresh, to)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return {"bundle": str(to), **{key: described[key] for key in ("kind", "version")}, "files": sorted(files)}


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
    described = read_json(path / BUNDLE_FILE)
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
        if Path(name).name != name or not file.is_file():
            raise StageError(f"the bundle {path} is damaged: {name} is missing", _AGAIN)
        if hash_file(file) != expected:
            raise StageError(f"the bundle {path} is damaged: {name} has changed since it was written", _AGAIN)
    version: str = described["version"]
    return version


def _version(described: dict[str, Any]) -> str:
    """Return the hash of everything else that describes a bundle, the hashes of its files among it."""
    return hash_json({key: value for key, value in described.items() if key != "version"})[:VERSION_LENGTH]


def _require_free(to: Path, run: Path, *, force: bool) -> None:
    if to.resolve() == run.resolve() or to.resolve() in run.resolve().parents or run.resolve() in to.resolve().parents:
        raise UsageError(f"--to {to}: this is the run directory, or above or inside it", "give a place beside it")
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
        old.rename(to)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _card(run: Path, folder: Path, fitted: "FittedModel") -> dict[str, Any]:
    """Return the facts of the model card."""
    statistics = _json(run / "split" / STATISTICS_FILE)
    evaluated = _json(run / "evaluate" / METRICS_FILE)
    fit = _json(folder / FIT_FILE)
    manifest = _json(folder / MANIFEST)
    return {
        "name": folder.name,
        "kind": fitted.kind,
        "description": fitted.model.description,
        "made_by": f"gru4rec-study {__version__}",
        "settings": fitted.settings.model_dump(mode="json"),
        "seed": fitted.seed,
        "items": len(fitted.ids),
        "fit": {key: fit[key] for key in ("facts", "refit") if key in fit},
        "cost": manifest.get("cost"),
        "data": {
            "parts": statistics.get("parts", {}),
            "input": statistics.get("input", {}),
            "split": statistics.get("settings", {}),
        },
        "protocol": evaluated.get("protocol"),
        "metrics": _metrics(run, folder.name),
        "hashes": manifest.get("outputs", {}),
    }


def _metrics(run: Path, fit: str) -> list[dict[str, Any]]:
    """Return the metrics of a fit over all events by the tie rule of the run, with their intervals."""
    table, protocol = run / "evaluate" / METRICS_TABLE, _json(run / "evaluate" / METRICS_FILE).get("protocol", {})
    if not table.is_file():
        return []
    name = FitName.parse(fit)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            of_fit = row["model"] == name.model and (name.seed is None or row["seed"] == str(name.seed))
            ties = row["ties"] in ("", protocol.get("ties"))
            if of_fit and ties and row["metric"] in _SHOWN and row["slice"] == "all" and row["value"]:
                numbers = {key: float(row[key]) for key in ("value", "low", "high") if row[key]}
                metric = {"metric": row["metric"], "k": int(row["k"]), **numbers}
                found.setdefault((row["metric"], int(row["k"])), metric)
    return list(found.values())


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}
