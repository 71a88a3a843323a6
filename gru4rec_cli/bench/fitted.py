"""Models fitted on the bench's clicks, for the sections that use one."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.bench.clicks import SEED, make_clicks
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext, Recommender

NEURAL = ("gru4rec", "official")


def new_model(kind: str, settings: Mapping[str, Any], **more: Any) -> Recommender:
    """Return a model of a kind: GRU4Rec with these settings, all others with their defaults; all with `more`."""
    given = (dict(settings) if kind in NEURAL else {}) | more
    return registry.model_class(kind)(registry.settings_class(kind).model_validate(given))


def fitted_model(kind: str, settings: Mapping[str, Any], train: Sessions, progress: Progress = SILENT) -> Recommender:
    """Return a model as by `new_model`, fitted for one epoch: how long it takes to rank does not depend on epochs."""
    epochs = {"epochs": 1} if "epochs" in registry.settings_class(kind).model_fields else {}
    model = new_model(kind, settings, **epochs)
    model.fit(train, FitContext(progress=progress, seed=SEED))
    return model


@cache
def _small_world() -> Sessions:
    return make_clicks(1_000, 50).train


def warm_up(kind: str) -> None:
    """Fit and use a small model of a kind, so that everything that first use compiles or loads is ready."""
    from gru4rec_cli.evaluation.ranking import rank_targets

    small: dict[str, Any] = {"epochs": 1, "layers": (4,), "batch_size": 4, "n_sample": 8}
    model = fitted_model(kind, small, _small_world())
    few = _small_world().select(np.arange(40))
    rank_targets(model.score(few), few, longest=20)
    model.recommend([0], 5)
