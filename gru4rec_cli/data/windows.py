"""Parts of a log: windows of equal length, and the last of the training sessions.

Each window is cleaned and divided as if it were the whole log. Ludewig & Jannach, "Evaluation of session-based
recommendation algorithms", UMUAI 2018 (arXiv 1803.09587), average results over such windows.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import narwhals as nw
from pydantic import Field, field_validator, model_validator

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import SESSION, TIME
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.data.cleaning import without
from gru4rec_cli.data.engine import native
from gru4rec_cli.data.removals import Tally
from gru4rec_cli.data.times import iso

MOST = 100  # windows of one log
STEP = "window"
OUTSIDE = "session outside the window"
_SHARE = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}|/[0-9]{1,18})?")  # Fraction would take hours over 1e-999999999


class WindowSettings(Settings):
    """One of the windows into which a log is cut."""

    number: int = Field(ge=1, description="number of the window; 1 is the earliest")
    of: int = Field(ge=2, le=MOST, description="number of windows of equal length into which the log is cut")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "WindowSettings":
        if self.number > self.of:
            raise ValueError(f"number: there is no window {self.number} of {self.of}")
        return self

    def __str__(self) -> str:
        return f"window {self.number} of {self.of}"


class RecentSettings(Settings):
    """The last of the training sessions: give a share of them, days, or a share of their prefixes."""

    share: float | str | None = Field(
        None, description='share of the training sessions, those that start last, such as 0.25 or "1/64"'
    )
    days: float | None = Field(
        None,
        gt=0,
        le=84_000,
        description="number of days before the last training event in which training sessions must start",
    )
    prefixes: float | str | None = Field(
        None,
        description='share of the training prefixes (one for each event but the first of its session), such as "1/64": '
        "those of the sessions that start last; the first of these sessions is cut after as many events as are needed",
    )
    items: Literal["kept", "all"] = Field(
        "kept",
        description="items that models know: kept: those of the sessions that are left; all: those of the whole "
        "training part, also those without an event in the sessions that are left",
    )

    @field_validator("share", "prefixes")
    @classmethod
    def _is_share(cls, share: float | str | None) -> float | str | None:
        try:
            readable = not isinstance(share, str) or _SHARE.fullmatch(share)
            fits = share is None or bool(readable and 0 < Fraction(str(share)) <= 1)
        except (ValueError, ZeroDivisionError):
            fits = False
        if not fits:
            raise ValueError(f'{share!r} is not a share in (0, 1], such as 0.25 or "1/64"')
        return share

    @model_validator(mode="after")
    def _one_of_two(self) -> "RecentSettings":
        if [self.share, self.days, self.prefixes].count(None) != 2:
            raise ValueError("share: give one of share, days and prefixes")
        return self


@dataclass(frozen=True)
class Window:
    """The times t with `start` ≤ t < `end`, in microseconds."""

    start: int
    end: int

    def as_facts(self) -> dict[str, Any]:
        """Return the window, ready for JSON."""
        micros = {"start_microseconds": self.start, "end_microseconds": self.end}
        return {"start": iso(self.start), "end": iso(self.end), **micros}


def find_window(first: int, last: int, settings: WindowSettings) -> Window:
    """Return a window of a log whose events are from `first` to `last`, both included, in microseconds.

    The border after window k is `first` + floor(k (`last` - `first` + 1) / of), so that every time is in one window.
    """
    start, end = (first + k * (last - first + 1) // settings.of for k in (settings.number - 1, settings.number))
    return Window(start, end)


def take_window(log: Tally, settings: WindowSettings) -> Window:
    """Keep only the sessions of a log that start in a window, whole even where they continue beyond its end.

    Raises:
        DataError: no session starts in the window.
    """
    if not log.before.events:
        raise DataError("the log is empty", "is data.source the right file?")
    bounds = log.events.select(nw.col(TIME).min().alias("first"), nw.col(TIME).max().alias("last"))
    first, last = native(bounds).row(0)
    window = find_window(int(first), int(last), settings)
    starts = log.events.group_by(SESSION).agg(nw.col(TIME).min())
    outside = starts.filter((nw.col(TIME) < window.start) | (nw.col(TIME) >= window.end))
    log.apply(OUTSIDE, lambda tally: without(tally, outside, SESSION))
    if not log.after.events:
        raise DataError(f"no session starts at {iso(window.start)} or later and before {iso(window.end)}")
    return window


@contextmanager
def named(settings: WindowSettings | None) -> Iterator[None]:
    """Add the window to the message of errors about its data."""
    try:
        yield
    except DataError as error:
        if settings is None:
            raise
        hint = "; or ".join(part for part in (error.hint, "cut the log into fewer windows") if part)
        raise DataError(f"{settings}: {error.message}", hint) from error
