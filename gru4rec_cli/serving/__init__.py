"""Fitted models in use: found in a run or a bundle, and asked for recommendations."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gru4rec_cli.serving.bundle import export_bundle, load_bundle
    from gru4rec_cli.serving.loading import Run, load_run

__all__ = ["Run", "export_bundle", "load_bundle", "load_run"]

_MODULES = {
    "Run": "gru4rec_cli.serving.loading",
    "load_run": "gru4rec_cli.serving.loading",
    "export_bundle": "gru4rec_cli.serving.bundle",
    "load_bundle": "gru4rec_cli.serving.bundle",
}


def __getattr__(name: str) -> Any:
    """Return a name of `__all__`; its module is loaded when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
