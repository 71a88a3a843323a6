"""What a session is: the data set's own, or what lies between two pauses of a user."""

from typing import Literal

import polars as pl
from pydantic import Field

from gru4rec_cli.columns import SESSION, TIME
from gru4rec_cli.settings import Settings

MICROSECONDS_PER_SECOND = 1_000_000


class SessionSettings(Settings):
    """What makes a session, and which of its events count."""

    by: Literal["session", "user"] | None = Field(
        None,
        description="sessions are those of the data, or those that pauses of a user make; null: as the format says",
    )
    gap_minutes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="a longer time than this without an event ends a session, in minutes; null: as the format says, "
        "which for sessions of the data is never",
    )
    min_dwell_seconds: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="drop an event if the next of its session follows sooner than this, in seconds; the last event of "
        "a session stays, for nobody knows how long it was looked at; null: keep all",
    )


def cut_at_gaps(events: pl.DataFrame, gap_minutes: float) -> pl.DataFrame:
    """Events with new session ids: an old session, or a user, is cut wherever more than the gap passes.

    The new ids count from 0 by old id, then time; rows come out in this order, those of equal time as they stood.
    """
    gap = round(gap_minutes * 60 * MICROSECONDS_PER_SECOND)
    ordered = events.sort(SESSION, TIME, maintain_order=True)
    same = pl.col(SESSION) == pl.col(SESSION).shift(1)
    begins = (~same | (pl.col(TIME) - pl.col(TIME).shift(1) > gap)).fill_null(value=True)
    return ordered.with_columns((begins.cast(pl.Int64).cum_sum() - 1).alias(SESSION))


def without_brief(events: pl.DataFrame, min_dwell_seconds: float) -> pl.DataFrame:
    """Events that the next of their session does not follow sooner; by session, then time."""
    shortest = round(min_dwell_seconds * MICROSECONDS_PER_SECOND)
    ordered = events.sort(SESSION, TIME, maintain_order=True)
    follows = pl.col(SESSION) == pl.col(SESSION).shift(-1)
    brief = (follows & (pl.col(TIME).shift(-1) - pl.col(TIME) < shortest)).fill_null(value=False)
    return ordered.filter(~brief)
