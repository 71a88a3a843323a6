"""Sessions made from pauses of a user, where those of the data set are not used, and the rule about short looks."""

from typing import Literal

import narwhals as nw
from pydantic import Field

from gru4rec_cli.base.names import SESSION, TIME
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.data.engine import Engine, Table
from gru4rec_cli.data.times import MICROSECONDS_PER_SECOND

_NEIGHBOUR, _BEGINS, _NUMBER = "neighbour's time", "begins", "number"


class SessionSettings(Settings):
    """Definition of a session, and of the events that count."""

    by: Literal["session", "user"] | None = Field(
        None,
        description="session: as in the data; user: made from the pauses of each user, which with format: generic "
        "needs data.columns.user and gap_minutes; null: default of the format",
    )
    gap_minutes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="a session ends after a longer time than this without an event, in minutes; null: default of the "
        "format, which for sessions of the data is never",
    )
    gap_over: Literal["kept", "all"] = Field(
        "kept",
        description="events between which a pause is measured: kept: those of the types in data.events; all: those of "
        "every type, of which the others are left out once sessions are made",
    )
    min_dwell_seconds: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="drop an event if the next event of its session follows sooner than this, in seconds; the last "
        "event of a session stays, because its viewing time is not known; null: keep all",
    )


def cut_at_gaps(engine: Engine, events: Table, gap_minutes: float, old: str | None = None) -> Table:
    """Give events new session ids: an old session, or a user, is cut wherever more than the gap passes.

    The new ids count from 0 by old id, then time. A column of the name `old`, if there is one, keeps the old id.
    """
    gap = round(gap_minutes * 60 * MICROSECONDS_PER_SECOND)
    timed = engine.shifted(events, TIME, 1, _NEIGHBOUR)
    begins = nw.col(_NEIGHBOUR).is_null() | (nw.col(TIME) - nw.col(_NEIGHBOUR) > gap)
    numbered = engine.running(timed.with_columns(begins.cast(nw.Int64).alias(_BEGINS)), _BEGINS, _NUMBER)
    if old is not None:
        numbered = numbered.with_columns(nw.col(SESSION).alias(old))
    return numbered.with_columns((nw.col(_NUMBER) - 1).alias(SESSION)).drop(_NEIGHBOUR, _BEGINS, _NUMBER)


def without_brief(engine: Engine, events: Table, min_dwell_seconds: float) -> Table:
    """Drop the events whose next event in the session follows sooner than this."""
    shortest = round(min_dwell_seconds * MICROSECONDS_PER_SECOND)
    timed = engine.shifted(events, TIME, -1, _NEIGHBOUR)
    return timed.filter(nw.col(_NEIGHBOUR).is_null() | (nw.col(_NEIGHBOUR) - nw.col(TIME) >= shortest)).drop(_NEIGHBOUR)
