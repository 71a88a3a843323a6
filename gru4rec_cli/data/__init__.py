"""Click logs: read, cleaned, divided, described.

For notebooks: `clean`, `split`, `describe` and `to_sessions` take pandas, Polars and Arrow tables; see docs/data.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gru4rec_cli.data.frames import Parts, clean, describe, split, to_sessions

__all__ = ["Parts", "clean", "describe", "split", "to_sessions"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gru4rec_cli.data import frames  # only now: nothing heavy is loaded for --help

    return getattr(frames, name)
