"""What a kind of model needs once in a process, done before the clock of its fit: libraries loaded, loops compiled."""

import logging
import warnings
from typing import Protocol, Self, runtime_checkable

import numpy as np

from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.models.base import FitContext, Recommender

_SESSIONS, _CLICKS, _ITEMS = 40, 4, 30

_log = logging.getLogger(__name__)


@runtime_checkable
class Warming(Protocol):
    """A model whose code can be run on a few sessions beforehand."""

    def small(self, train: Sessions) -> Self:
        """Return a model that is quickly fitted on a few sessions, by the code by which this one is on `train`."""


def warm_up(model: Recommender, train: Sessions, context: FitContext) -> None:
    """Fit a few sessions as `model` will be fitted on `train`, and forget the result.

    What fails here fails again where it is said, in the fit itself.
    """
    if not isinstance(model, Warming):
        return
    few = few_sessions()
    try:
        with warnings.catch_warnings(action="ignore"):
            model.small(train).fit(few, FitContext(few if context.valid else None, seed=context.seed))
    except Exception:
        _log.debug("warming up failed", exc_info=True)


def few_sessions() -> Sessions:
    """Return some sessions in which items repeat."""
    clicks = np.arange(_SESSIONS * _CLICKS)
    items = (clicks * 7 % _ITEMS).astype(np.int32)
    return Sessions(
        items,
        np.arange(0, len(clicks) + 1, _CLICKS),
        clicks * 1_000_000,
        np.arange(_SESSIONS),
        Vocabulary(np.arange(_ITEMS), np.bincount(items, minlength=_ITEMS)),
    )
