"""The author's own GRU4Rec: fetched, unchanged, run in a process of its own.

`Model` is imported at first use, so that reading a configuration stays fast.
"""

from pathlib import Path
from typing import Any

from gru4rec_cli.models.official import fetching
from gru4rec_cli.models.official.settings import Settings

__all__ = ["Model", "Settings", "extra_sources"]


def __getattr__(name: str) -> Any:
    if name == "Model":
        from gru4rec_cli.models.official.model import Model

        return Model
    raise AttributeError(name)


def extra_sources() -> list[Path]:
    """Return the pin file: another pinned commit makes fitted models stale."""
    return [fetching.pin_file()]
