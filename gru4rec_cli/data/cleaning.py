"""Rules that an event log goes through before it is split: each removes events, and says how many."""

from collections.abc import Callable
from typing import Any, Literal

import narwhals as nw
import polars as pl
from pydantic import Field, model_validator

from gru4rec_cli.columns import ITEM, SESSION, TIME
from gru4rec_cli.data.removals import DUPLICATE, LONG, RARE, REPEAT, SHORT, Removal, Table, Tally
from gru4rec_cli.data.times import iso
from gru4rec_cli.settings import Settings

ROW = "row"  # rank of an event by (session, time, place in the file): the order within a session

_PREVIOUS = "previous item"
_START = "session start"


class CleaningSettings(Settings):
    """The rules of cleaning, in the order in which they are applied."""

    drop_duplicates: bool = Field(True, description="drop events that repeat session, item and time of an earlier one")
    drop_repeats: bool = Field(True, description="drop an event whose session's previous event has the same item")
    min_session_length: int = Field(
        2, ge=2, description="drop sessions with fewer events; together with min_item_support until both hold"
    )
    min_item_support: int = Field(
        5, ge=1, description="drop events of items with fewer events; together with min_session_length until both hold"
    )
    filtering: Literal["repeated", "once"] = Field(
        "repeated",
        description="whether minimum length and support are applied in turn until both hold, or once: length, support, "
        "length; items that then have too little support stay",
    )
    max_session_length: int | None = Field(None, ge=2, description="longest session, in events; null: no limit")
    overlong: Literal["drop", "cut"] = Field(
        "drop", description="what happens to longer sessions: drop them, or cut them after their first events"
    )

    @model_validator(mode="after")
    def _lengths_fit(self) -> "CleaningSettings":
        if self.max_session_length is not None and self.max_session_length < self.min_session_length:
            raise ValueError("max_session_length must not be below min_session_length")
        return self


def clean(events: pl.DataFrame, settings: CleaningSettings) -> tuple[pl.DataFrame, list[Removal]]:
    """Clean an event log.

    Events are ordered by (session, time), those of equal time as in the input. Then these rules apply in
    this order: exact duplicates, immediate repeats, minimum session length and minimum item support in
    turn until both hold (or once), maximum session length. Later rules may bring about again what earlier ones
    removed: an item that is too rare may have stood between two clicks on another.

    Returns:
        The remaining events in visiting order (sessions ascending by time of first event, then session
        id; events by time), and what each rule removed.
    """
    tally = apply_rules(Tally("cleaning", in_order(events)), settings)
    return native(visiting_order(tally.events)), tally.removals


def apply_rules(tally: Tally, settings: CleaningSettings) -> Tally:
    """Put a tally's events through all rules of cleaning."""
    remove_repetitions(tally, settings)
    minimum, support = settings.min_session_length, settings.min_item_support
    tally.apply(SHORT, long_enough(minimum))
    while tally.apply(RARE, supported(support)) and tally.apply(SHORT, long_enough(minimum)):
        if settings.filtering == "once":
            break
    limit_lengths(tally, settings)
    return tally


def remove_repetitions(tally: Tally, settings: CleaningSettings) -> None:
    """Apply the rules about duplicates and repeats, where they are on."""
    if settings.drop_duplicates:
        tally.apply(DUPLICATE, without_duplicates)
    if settings.drop_repeats:
        tally.apply(REPEAT, without_repeats)


def limit_lengths(tally: Tally, settings: CleaningSettings) -> None:
    """Apply the rule about overlong sessions, where it is on."""
    if settings.max_session_length is not None:
        tally.apply(LONG, no_longer_than(settings.max_session_length, settings.overlong))


def in_order(events: pl.DataFrame) -> Table:
    """The events sorted by (session, time), equal times as in the input, with this order as ROW."""
    numbered = nw.from_native(events.select(SESSION, ITEM, TIME).with_row_index(ROW).lazy())
    ordered = numbered.sort(SESSION, TIME, ROW).select(SESSION, ITEM, TIME).collect()
    return ordered.with_row_index(ROW).lazy()


def visiting_order(events: Table) -> Table:
    """Sessions ascending by (time of first event, session id), events by time; ROW gives the last two."""
    start = nw.col(TIME).min().over(SESSION).alias(_START)
    return events.with_columns(start).sort(_START, ROW).drop(_START)


def native(events: Table) -> pl.DataFrame:
    """The event table as a Polars frame: SESSION, ITEM, TIME."""
    frame: pl.DataFrame = events.select(SESSION, ITEM, TIME).collect("polars").to_native()
    return frame


def without_duplicates(events: Table) -> Table:
    """Keep the first of the events with equal session, item and time."""
    return events.filter(nw.col(ROW) == nw.col(ROW).min().over(SESSION, ITEM, TIME))


def without_repeats(events: Table) -> Table:
    """Keep the first of each run of events on one item within a session."""
    previous = nw.col(ITEM).shift(1).over(SESSION, order_by=ROW).alias(_PREVIOUS)
    is_new = nw.col(_PREVIOUS).is_null() | (nw.col(_PREVIOUS) != nw.col(ITEM))
    return events.with_columns(previous).filter(is_new).drop(_PREVIOUS)


def long_enough(minimum: int) -> Callable[[Table], Table]:
    """Keep sessions of at least `minimum` events."""
    return lambda events: events.filter(nw.len().over(SESSION) >= minimum)


def supported(minimum: int) -> Callable[[Table], Table]:
    """Keep items with at least `minimum` events."""
    return lambda events: events.filter(nw.len().over(ITEM) >= minimum)


def no_longer_than(maximum: int, overlong: Literal["drop", "cut"]) -> Callable[[Table], Table]:
    """Drop sessions of more than `maximum` events, or cut them after their first `maximum` ones."""
    if overlong == "drop":
        return lambda events: events.filter(nw.len().over(SESSION) <= maximum)
    return lambda events: events.filter(nw.col(ROW).cum_count().over(SESSION, order_by=ROW) <= maximum)


def summarise(events: pl.DataFrame) -> dict[str, Any]:
    """Size, span and session lengths of an event table, ready for JSON; null where it holds no events."""
    lengths = events.group_by(SESSION).len()["len"]
    first, last = events.select(first=pl.col(TIME).min(), last=pl.col(TIME).max()).row(0)
    return {
        "events": events.height,
        "sessions": lengths.len(),
        "items": events[ITEM].n_unique(),
        "first_time": None if first is None else iso(first),
        "last_time": None if last is None else iso(last),
        "mean_session_length": None if lengths.is_empty() else events.height / lengths.len(),
        "median_session_length": lengths.median(),
        "max_session_length": lengths.max(),
    }
