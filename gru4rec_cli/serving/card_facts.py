"""The facts of a model card: what a run says of one of its fits, as far as it still holds for the fit as it is now."""

import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gru4rec_cli import __version__
from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.files import MANIFEST, hash_json, read_json, read_manifest
from gru4rec_cli.base.names import FIT_FILE, METRICS_FILE, METRICS_TABLE, STATISTICS_FILE, FitName
from gru4rec_cli.models import registry
from gru4rec_cli.study.run_directory import Manifest, RunDirectory

if TYPE_CHECKING:  # loads polars
    from gru4rec_cli.models.fitted import FittedModel

_SHOWN = ("recall", "mrr", "ndcg", "coverage")
_NO_RULE = "any"  # of a metric that ties do not change


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file. It is read anew each time, so a change shows even if the file kept its times."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fitted_files(folder: Path) -> list[str]:
    """Return the files of a fit that make up the model, after a check that they are as they were fitted.

    Raises:
        StageError: one is missing or has changed.
    """
    if not (folder / MANIFEST).is_file():  # a model that no stage wrote
        return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    outputs: dict[str, str] = read_manifest(folder / MANIFEST)["outputs"]
    for name, expected in outputs.items():
        _require(folder / name, expected)
    return sorted(set(outputs) - {FIT_FILE})


def card_facts(run: Path, folder: Path, fitted: "FittedModel") -> dict[str, Any]:
    """Return the facts of the model card of the fit in `folder`.

    Raises:
        StageError: a file of the run that they come from is damaged.
    """
    directory, section = RunDirectory(run), folder.parent.name
    fit = read_json(folder / FIT_FILE) if (folder / FIT_FILE).is_file() else {}
    manifest = read_manifest(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    statistics = _statistics(directory, section)
    reason = _why_not_evaluated(directory, section)
    protocol, metrics = (None, []) if reason else _evaluated(directory, folder.name)
    if not reason and not metrics:
        reason = "This model was not evaluated in its run."
    return {
        "name": folder.name,
        "kind": fitted.kind,
        "package": registry.package(fitted.kind),
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
        "protocol": protocol,
        "metrics": metrics,
        "no_metrics": reason or None,
        "hashes": manifest.get("outputs", {}),
    }


def _statistics(directory: RunDirectory, section: str) -> dict[str, Any]:
    """Return the statistics of the data that a section was fitted on; nothing if the run was split anew since."""
    split, fitted = directory.manifest("split"), directory.manifest(section)
    if split is None or fitted is None or not _made_from(fitted, "split", split):
        return {}
    found: dict[str, Any] = _artifact(directory, "split", split, STATISTICS_FILE)
    return found


def _why_not_evaluated(directory: RunDirectory, section: str) -> str:
    """Return why the metrics of a run are not those of the models of a section, or an empty text."""
    evaluated = directory.manifest("evaluate")
    if evaluated is None:
        return "The run of this model was not evaluated."
    for stage in ("split", section):
        other = directory.manifest(stage)
        if other is None or not _made_from(evaluated, stage, other):
            return (
                f"The run was evaluated before its stage {stage} ran last, so its metrics are not those of this model. "
                "To have them here, run `evaluate`, and export the model again."
            )
    return ""


def _made_from(manifest: Manifest, stage: str, other: Manifest) -> bool:
    return bool(manifest["inputs"].get(stage) == hash_json(other["outputs"]))


def _evaluated(directory: RunDirectory, fit: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the protocol, and the metrics of a fit over all events by its tie rule, with their intervals."""
    manifest = directory.manifest("evaluate")
    assert manifest is not None
    protocol: dict[str, Any] = _artifact(directory, "evaluate", manifest, METRICS_FILE)["protocol"]
    table = directory.stage("evaluate") / METRICS_TABLE
    _require(table, manifest["outputs"].get(METRICS_TABLE))
    name = FitName.parse(fit)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            of_fit = row["model"] == name.model and (name.seed is None or row["seed"] == str(name.seed))
            ties = row["ties"] in (_NO_RULE, protocol["ties"])
            if of_fit and ties and row["metric"] in _SHOWN and row["slice"] == "all" and row["value"]:
                numbers = {key: float(row[key]) for key in ("value", "low", "high") if row[key]}
                metric = {"metric": row["metric"], "k": int(row["k"]), **numbers}
                found.setdefault((row["metric"], int(row["k"])), metric)
    return protocol, list(found.values())


def _artifact(directory: RunDirectory, stage: str, manifest: Manifest, name: str) -> Any:
    path = directory.stage(stage) / name
    _require(path, manifest["outputs"].get(name))
    return read_json(path)


def _require(path: Path, expected: str | None) -> None:
    """Raise `StageError` where a file is not as its manifest says."""
    if not path.is_file():
        raise StageError(f"{path} is missing", "run its stage again with --force")
    if digest_of(path) != expected:
        raise StageError(
            f"{path} is damaged: its bytes are not those that the stage wrote", "run its stage again with --force"
        )
