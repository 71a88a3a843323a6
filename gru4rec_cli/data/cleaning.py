"""The rules of cleaning: each removes events from a log, and counts them."""

from collections.abc import Callable
from typing import Any, Literal

import narwhals as nw
import polars as pl
from pydantic import Field, model_validator

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.data.engine import PAIR, ROW, Choice, PolarsEngine, Table, lazy, native
from gru4rec_cli.data.removals import DUPLICATE, EVENTS, LONG, PAIRED, RARE, REPEAT, SHORT, Removal, Rule, Tally
from gru4rec_cli.data.times import iso

_PREVIOUS = "previous item"
_TIME_BEFORE, _TIME_AFTER = "time before", "time after"


class CleaningSettings(Settings):
    """The rules of cleaning, in the order in which they are applied."""

    drop_duplicates: bool = Field(True, description="drop events with session, item and time of an earlier event")
    drop_repeats: bool = Field(True, description="drop an event if the previous event of its session has the same item")
    min_session_length: int = Field(
        2,
        ge=1,
        description="drop sessions with fewer events; repeated with min_item_support until both hold; 1: also keep "
        "sessions of one event, in which there is nothing to predict",
    )
    min_item_support: int = Field(
        5, ge=1, description="drop items with fewer events; repeated with min_session_length until both hold"
    )
    filtering: Literal["repeated", "once"] = Field(
        "repeated",
        description="repeated: apply minimum length and support in turn until both hold; once: length, support, "
        "length; items that then have too little support stay",
    )
    max_session_length: int | None = Field(None, ge=2, description="longest session, in events; null: no limit")
    overlong: Literal["drop", "cut"] = Field(
        "drop", description="what to do with longer sessions: drop them, or cut them after their first events"
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
    engine = PolarsEngine()
    tally = apply_rules(Tally("cleaning", engine.events([events]).pop(), engine), settings)
    return engine.visiting_order(tally.events), tally.removals


def apply_rules(tally: Tally, settings: CleaningSettings) -> Tally:
    """Apply all rules of cleaning to a tally's events.

    If events have a PAIR, what a rule drops takes the event of the same row number in the other file with it.
    """
    apply = _applied_to_pairs(tally) if PAIR in tally.events.collect_schema() else tally.apply
    _remove_repetitions(apply, settings)
    long, support = long_enough(settings.min_session_length), supported(settings.min_item_support)
    removed = True
    while removed:
        too_short, rare = apply(SHORT, long), apply(RARE, support)
        removed = too_short or rare
        if settings.filtering == "once":
            apply(SHORT, long)
            break
    limit_lengths(tally, settings)
    return tally


def remove_repetitions(tally: Tally, settings: CleaningSettings) -> None:
    """Apply the rules about duplicates and repeats, where they are on."""
    _remove_repetitions(tally.apply, settings)


def _remove_repetitions(apply: Callable[[str, Rule], bool], settings: CleaningSettings) -> None:
    if settings.drop_duplicates:
        apply(DUPLICATE, without_duplicates)
    if settings.drop_repeats:
        apply(REPEAT, without_repeats)


def _applied_to_pairs(tally: Tally) -> Callable[[str, Rule], bool]:
    """Return a function that applies a rule, then drops the events that stood in a pair before and now stand alone."""

    def numbers_of_one() -> Table:
        numbers = tally.events.filter(~nw.col(PAIR).is_null()).group_by(PAIR).agg(nw.len().alias(EVENTS))
        return numbers.filter(nw.col(EVENTS) == 1).select(PAIR)

    alone_before = tally.engine.compute(numbers_of_one())

    def apply(reason: str, rule: Rule) -> bool:
        removed = tally.apply(reason, rule)
        if removed:
            tally.apply(
                PAIRED, lambda tally: without(tally, numbers_of_one().join(alone_before, on=PAIR, how="anti"), PAIR)
            )
        return removed

    return apply


def limit_lengths(tally: Tally, settings: CleaningSettings) -> None:
    """Apply the rule about overlong sessions, where it is on."""
    if settings.max_session_length is not None:
        tally.apply(LONG, no_longer_than(settings.max_session_length, settings.overlong))


def without_duplicates(tally: Tally) -> Choice | None:
    """Keep the first of the events with equal session, item and time; only equal times are looked at closely."""
    timed = tally.engine.shifted(tally.events, TIME, 1, _TIME_BEFORE)
    timed = tally.engine.shifted(timed, TIME, -1, _TIME_AFTER)
    ties = (nw.col(_TIME_BEFORE) == nw.col(TIME)) | (nw.col(_TIME_AFTER) == nw.col(TIME))
    tied = tally.engine.compute(timed.filter(ties).select(SESSION, ITEM, TIME, ROW))
    firsts = tied.group_by(SESSION, ITEM, TIME).agg(nw.col(ROW).min())
    return without(tally, tied.join(firsts, on=ROW, how="anti"), ROW)


def without_repeats(tally: Tally) -> Choice:
    """Keep the first of each run of events on one item within a session."""
    events = tally.engine.shifted(tally.events, ITEM, 1, _PREVIOUS)
    is_new = nw.col(_PREVIOUS).is_null() | (nw.col(_PREVIOUS) != nw.col(ITEM))
    return tally.engine.choice(events, is_new)


def long_enough(minimum: int) -> Rule:
    """Keep sessions of at least `minimum` events."""
    return lambda tally: without(tally, tally.lengths.filter(nw.col(EVENTS) < minimum), SESSION)


def supported(minimum: int) -> Rule:
    """Keep items with at least `minimum` events."""
    return lambda tally: without(tally, tally.supports.filter(nw.col(EVENTS) < minimum), ITEM)


def no_longer_than(maximum: int, overlong: Literal["drop", "cut"]) -> Rule:
    """Drop sessions of more than `maximum` events, or cut them after their first `maximum` ones."""

    def rule(tally: Tally) -> Choice | None:
        longer = tally.engine.compute(tally.lengths.filter(nw.col(EVENTS) > maximum))
        if overlong == "drop":
            return without(tally, longer, SESSION)
        place = nw.col(ROW).cum_count().over(SESSION, order_by=[TIME, ROW])
        return without(tally, tally.engine.within(tally.events, longer, SESSION).filter(place > maximum), ROW)

    return rule


def without(tally: Tally, values: Table, column: str) -> Choice | None:
    """Drop events whose value in a column (session, item, row) is in the table `values`; None where that is empty."""
    computed = tally.engine.compute(values.select(column))
    return tally.engine.without(tally.events, computed, column) if native(computed.head(1)).height else None


def summarise(events: pl.DataFrame) -> dict[str, Any]:
    """Return size, span and session lengths of an event table, ready for JSON; null where it holds no events."""
    logged = lazy(events)
    lengths = logged.group_by(SESSION).agg(nw.len().alias(EVENTS))
    return summary_of(logged, lengths, events[ITEM].n_unique())


def summary_of(events: Table, lengths: Table, items: int) -> dict[str, Any]:
    """Return what `summarise` returns, from events, the length of each session and the number of items."""
    first, last = native(events.select(nw.col(TIME).min().alias("first"), nw.col(TIME).max().alias("last"))).row(0)
    counts = native(lengths.group_by(EVENTS).agg(nw.len().alias("sessions"))).sort(EVENTS)
    sizes, ends = counts[EVENTS], counts["sessions"].cast(pl.Int64).cum_sum()
    sessions = int(ends[-1]) if len(ends) else 0
    total = int((sizes.cast(pl.Int64) * counts["sessions"].cast(pl.Int64)).sum())
    middle = (
        [sizes[int(ends.search_sorted(place))] for place in ((sessions + 1) // 2, sessions // 2 + 1)]
        if sessions
        else []
    )
    return {
        "events": total,
        "sessions": sessions,
        "items": items,
        "prefixes": total - sessions,
        "first_time": None if first is None else iso(first),
        "last_time": None if last is None else iso(last),
        "mean_session_length": total / sessions if sessions else None,
        "median_session_length": sum(middle) / 2 if sessions else None,
        "max_session_length": int(sizes[-1]) if sessions else None,
    }
