"""Fitted models in use: found in a run or a bundle, and asked for recommendations."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gru4rec_cli.serving.loading import Run, find_model, load_run

__all__ = ["Run", "find_model", "load_run"]

_MODULES = dict.fromkeys(__all__, "gru4rec_cli.serving.loading")


def __getattr__(name: str) -> Any:
    """Return a name of `__all__`; its module is loaded when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
