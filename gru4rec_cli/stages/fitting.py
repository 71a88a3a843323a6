"""What `baseline` and `train` share: fit every model of a section, each once."""

import shutil
from pathlib import Path
from typing import Any

from gru4rec_cli.columns import FIT_FILE, ITEMS_FILE, TRAIN_FILE, VALID_FILE
from gru4rec_cli.config import ModelEntry
from gru4rec_cli.data.sessions import Sessions, read_sessions, read_vocabulary
from gru4rec_cli.files import MANIFEST, hash_file, hash_folder, hash_json, read_json, write_json
from gru4rec_cli.measuring import measured
from gru4rec_cli.models import registry
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.stages.work import StageResults, StageWork


def fit_models(work: StageWork, section: str) -> None:
    """Fit the models that are not there yet, in an interrupted try's folder or in the stage as it last was.

    A model is taken over when its settings, seed, training data and code are the same. Each model's folder appears
    whole, its manifest with it; its cost stands in that manifest, which is the only part that differs between runs.
    """
    split = work.inputs["split"]
    vocabulary = read_vocabulary(split / ITEMS_FILE)
    train = read_sessions(split / TRAIN_FILE, vocabulary)
    valid = read_sessions(split / VALID_FILE, vocabulary) if (split / VALID_FILE).exists() else None
    entries = work.config.fitted(section)
    for name, entry in entries.items():
        key = _fit_key(entry, work.config.seed, split)
        if _finished(work.folder / name, key):
            continue
        shutil.rmtree(work.folder / name, ignore_errors=True)
        if work.previous and _finished(work.previous / name, key):
            _publish(_fresh_copy(work.previous / name, work.folder / f".{name}.copy"), work.folder / name)
            continue
        _fit(work, name, entry, key, train, valid)
    for leftover in work.folder.iterdir():
        if leftover.is_dir() and leftover.name not in entries:
            shutil.rmtree(leftover)


def _fit(work: StageWork, name: str, entry: ModelEntry, key: str, train: Sessions, valid: Sessions | None) -> None:
    checkpoints = work.folder / f".{name}.{key[:16]}.checkpoints"
    checkpoints.mkdir(exist_ok=True)
    model = registry.model_class(entry.kind)(entry.settings, work.config.seed)
    with work.progress.task(f"fitting {name}"), measured() as cost:
        report = model.fit(train, valid, progress=work.progress, checkpoints=checkpoints)
    fresh = work.folder / f".{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    registry.save_model(fresh, entry.kind, entry.settings, work.config.seed, model)
    write_json(fresh / FIT_FILE, {"curve": report.curve, "facts": report.facts})
    write_json(fresh / MANIFEST, {"key": key, "outputs": hash_folder(fresh), "cost": cost.as_dict()})
    _publish(fresh, work.folder / name)


def _fit_key(entry: ModelEntry, seed: int, split: Path) -> str:
    """What decides a fitted model: its settings, its seed, the data it may see, the code."""
    data = [hash_file(split / file) for file in (TRAIN_FILE, VALID_FILE, ITEMS_FILE) if (split / file).exists()]
    code = [hash_file(path) for path in registry.source_files(entry.kind)]
    return hash_json([entry.as_config(), seed, data, code])


def _finished(folder: Path, key: str) -> bool:
    manifest: dict[str, Any] = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    return manifest.get("key") == key and hash_folder(folder) == manifest["outputs"]


def _fresh_copy(folder: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)  # what a killed run may have left
    return Path(shutil.copytree(folder, copy))


def _publish(prepared: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    prepared.rename(folder)


def fit_costs(folder: Path) -> dict[str, dict[str, float]]:
    """What fitting each model of a finished stage took."""
    manifests = sorted(folder.glob(f"*/{MANIFEST}"))
    return {path.parent.name: read_json(path)["cost"] for path in manifests}


def fit_results(folder: Path) -> StageResults:
    """What was fitted, at what cost."""
    models = {name: {**read_json(folder / name / FIT_FILE), "cost": cost} for name, cost in fit_costs(folder).items()}
    table = Table(
        title="Fitted models",
        columns=("Model", "Epochs", "Last loss", "Time (s)", "Peak memory (MiB)"),
        rows=tuple(
            (
                name,
                str(len(fit["curve"]) or "–"),
                f"{fit['curve'][-1]['loss']:.4f}" if fit["curve"] else "–",
                f"{fit['cost']['seconds']:.1f}",
                f"{fit['cost']['peak_memory_bytes'] / 2**20:.0f}",
            )
            for name, fit in models.items()
        ),
        numeric=frozenset({1, 2, 3, 4}),
    )
    return StageResults({"models": models}, [table])
