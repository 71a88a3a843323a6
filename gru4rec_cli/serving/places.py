"""Models to serve, by the place that holds them: a bundle, a fitted model's folder, or a run directory."""

from pathlib import Path

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import hash_folder, hash_json
from gru4rec_cli.base.names import MODEL_FILE
from gru4rec_cli.models import registry
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.serving.bundle import BUNDLE_FILE, VERSION_LENGTH, check_bundle, load_bundle
from gru4rec_cli.serving.engine import Served
from gru4rec_cli.serving.loading import load_run


def load_served(place: Path, model: str | None) -> Served:
    """Return the model in a place, with a version that follows from its files, ready for the first request.

    Raises:
        UsageError: there is no such place, or no such model there, or a model is named where there is only one.
        StageError: the model is damaged.
    """
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}", "name a bundle that `export` wrote, or a run directory")
    if (place / BUNDLE_FILE).exists() or (place / MODEL_FILE).exists():
        if model is not None:
            raise UsageError(f"--model: {place} holds a single model", "leave --model out")
        folder = place
    else:
        run = load_run(place)
        if model is None:
            raise UsageError("--model: which model of the run?", f"its models are {', '.join(run.names)}")
        folder = run.folder(model)
    if (folder / BUNDLE_FILE).exists():
        version = check_bundle(folder)
    else:
        version = hash_json(hash_folder(folder))[:VERSION_LENGTH]
    fitted = registry.load_model(folder)
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
    if bundle is not None:
        if run is not None or model is not None:
            raise UsageError("--bundle names a model by itself", "leave --run-dir and --model out, or --bundle")
        return load_bundle(bundle)
    if run is None:
        raise UsageError("no model is given", "give --run-dir RUN --model NAME, or --bundle FOLDER")
    found = load_run(run)
    if model is None:
        raise UsageError("--run-dir: which of its models?", f"give --model with one of {', '.join(found.names)}")
    return found.model(model)
