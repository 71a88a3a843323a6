"""Models by the place that holds them: a bundle, the folder of a fitted model, or a run directory."""

from pathlib import Path

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import hash_folder, hash_json
from gru4rec_cli.base.names import MODEL_FILE
from gru4rec_cli.models import registry
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.serving.bundle import BUNDLE_FILE, VERSION_LENGTH, check_bundle
from gru4rec_cli.serving.engine import Served
from gru4rec_cli.serving.loading import load_run


def load_served(place: Path, model: str | None) -> Served:
    """Return the model in a place, with a version that follows from its files, ready for the first request.

    Raises:
        UsageError: there is no such place, or no such model there, or a model is named where there is only one.
        StageError: the model is damaged.
    """
    fitted, version = _load(_folder(place, model))
    if isinstance(fitted.model, NeuralModel):
        fitted.model.prepare_for_requests()
    fitted.model.recommend([0], 1)
    return Served(fitted, version)


def find_model(run: Path | None, model: str | None, bundle: Path | None) -> FittedModel:
    """Return the fitted model that options name: `model` of a `run`, or the one in the folder `bundle`.

    Raises:
        UsageError: they name none, or two, or one that does not exist.
        StageError: its folder is damaged.
    """
    if bundle is not None and (run is not None or model is not None):
        raise UsageError("--bundle names a model by itself", "leave --run-dir and --model out, or --bundle")
    if bundle is None and run is None:
        raise UsageError("no model is given", "give --run-dir RUN --model NAME, or --bundle FOLDER")
    if bundle is not None:
        return _load(_existing(bundle))[0]
    assert run is not None
    return _load(_of_run(run, model))[0]


def _folder(place: Path, model: str | None) -> Path:
    """Return the folder of the model in a place."""
    _existing(place)
    if not (place / BUNDLE_FILE).exists() and not (place / MODEL_FILE).exists():
        return _of_run(place, model)
    if model is not None:
        raise UsageError(f"--model: {place} holds a single model", "leave --model out")
    return place


def _existing(place: Path) -> Path:
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}", "name a bundle that `export` wrote, or a run directory")
    return place


def _of_run(place: Path, model: str | None) -> Path:
    """Return the folder of a fit of a run."""
    run = load_run(place)
    if model is None:
        raise UsageError("--model: which model of the run?", f"give --model with one of {', '.join(run.names)}")
    return run.folder(model)


def _load(folder: Path) -> tuple[FittedModel, str]:
    """Return the model of a folder, and its version; a bundle is checked first."""
    is_bundle = (folder / BUNDLE_FILE).exists()
    version = check_bundle(folder) if is_bundle else hash_json(hash_folder(folder))[:VERSION_LENGTH]
    return registry.load_model(folder), version
