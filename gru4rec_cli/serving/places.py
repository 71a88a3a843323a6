"""Models to serve, by the place that holds them: a bundle, a fitted model's folder, or a run directory."""

from pathlib import Path

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import hash_folder, hash_json
from gru4rec_cli.base.names import MODEL_FILE
from gru4rec_cli.models import registry
from gru4rec_cli.serving.engine import Served

_VERSION_LENGTH = 16  # of the hash that names a version


def load_served(place: Path, model: str | None) -> Served:
    """Return the model in a place, with a version that follows from its files.

    Raises:
        UsageError: there is no such place, or no such model there, or a model is named where there is only one.
        StageError: the model is damaged.
    """
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}", "name a bundle that `export` wrote, or a run directory")
    folder = _folder(place, model)
    fitted = registry.load_model(folder)
    fitted.model.recommend([0], 1)  # what the first request would wait for
    return Served(fitted, hash_json(hash_folder(folder))[:_VERSION_LENGTH])


def _folder(place: Path, model: str | None) -> Path:
    if (place / MODEL_FILE).is_file():
        if model is not None:
            raise UsageError(f"{place} holds a single model", "leave --model out")
        return place
    if model is None:
        raise UsageError(f"{place} is no bundle", "name a model of the run with --model, or a bundle")
    found = [place / stage / model for stage in ("baseline", "train") if (place / stage / model).is_dir()]
    if not found:
        raise UsageError(f"{place} holds no model {model}", "")
    return found[0]
