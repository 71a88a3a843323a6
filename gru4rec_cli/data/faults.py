"""Faults to plant in a clean log, or in a clean split: what went wrong in published data, on purpose.

A fault takes events (SESSION and ITEM Int64, TIME in microseconds) and gives them back with it; `check` is the check of
`audit` that must find it. A split fault takes and gives training and test.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.times import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND

PlantInLog = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]
PlantInSplit = Callable[[pl.DataFrame, pl.DataFrame, np.random.Generator], tuple[pl.DataFrame, pl.DataFrame]]


class LogFault(NamedTuple):
    """A fault of a log, with the id of the check that finds it."""

    check: str
    plant: PlantInLog


class SplitFault(NamedTuple):
    """A fault of a split, with the id of the check that finds it."""

    check: str
    plant: PlantInSplit


LOG_FAULTS: dict[str, LogFault] = {}
SPLIT_FAULTS: dict[str, SplitFault] = {}


def _log_fault(check: str) -> Callable[[PlantInLog], PlantInLog]:
    def register(plant: PlantInLog) -> PlantInLog:
        LOG_FAULTS[plant.__name__] = LogFault(check, plant)
        return plant

    return register


def _split_fault(check: str) -> Callable[[PlantInSplit], PlantInSplit]:
    def register(plant: PlantInSplit) -> PlantInSplit:
        SPLIT_FAULTS[plant.__name__] = SplitFault(check, plant)
        return plant

    return register


def plant(events: pl.DataFrame, names: Sequence[str], seed: int) -> pl.DataFrame:
    """Return a log with those of the named faults that are of a log, planted in this order."""
    generator = np.random.default_rng(seed)
    for name in names:
        if name in LOG_FAULTS:
            events = LOG_FAULTS[name].plant(events, generator)
    return events


def plant_in_split(events: pl.DataFrame, names: Sequence[str], seed: int) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return training and test with those of the named faults that are of a split; None where there are none."""
    chosen = [name for name in names if name in SPLIT_FAULTS]
    if not chosen:
        return None
    generator = np.random.default_rng(seed)
    train, test = divided(events)
    for name in chosen:
        train, test = SPLIT_FAULTS[name].plant(train, test, generator)
    return train, test


def divided(events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return training and test: the last 15 % of the time are the test; sessions that reach across the cut are lost."""
    first, last = int(events[TIME].min()), int(events[TIME].max())  # type: ignore[arg-type]
    cut = first + int(0.85 * (last - first))
    begins, ends = pl.col(TIME).min().over(SESSION), pl.col(TIME).max().over(SESSION)
    return events.filter(ends < cut).sort(SESSION, TIME), events.filter(begins >= cut).sort(SESSION, TIME)


def _some(events: pl.DataFrame, share: float, generator: np.random.Generator) -> pl.Series:
    """Return true for about this share of the rows."""
    return pl.Series(generator.random(events.height) < share)


@_log_fault("D01-rows-out-of-order")
def rows_out_of_order(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Shuffle the rows of every session; the times stay with their clicks."""
    return events.with_columns(key=generator.random(events.height)).sort(SESSION, "key").drop("key")


@_log_fault("D02-order-signal")
def lost_order(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Shuffle the items of every session over its times."""
    shuffled = events.select(SESSION, ITEM, key=generator.random(events.height)).sort(SESSION, "key")
    return events.sort(SESSION, TIME).with_columns(shuffled[ITEM])


@_log_fault("D03-equal-times")
def equal_times(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Give all events of a session its first time, and shuffle its rows, as in RecSysEvaluation's Diginetica."""
    return rows_out_of_order(events, generator).with_columns(pl.col(TIME).min().over(SESSION))


@_log_fault("D04-duplicates")
def duplicate_rows(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Write a sixth of the rows twice."""
    return pl.concat([events, events.filter(_some(events, 1 / 6, generator))]).sort(SESSION, TIME)


@_log_fault("D05-join-fan-out")
def join_duplicates(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Repeat all events of a fifth of the items, as a join with their two categories does."""
    items = events[ITEM].unique(maintain_order=True)
    several = items.filter(pl.Series(generator.random(len(items)) < 0.2))
    return pl.concat([events, events.filter(pl.col(ITEM).is_in(several.implode()))]).sort(SESSION, TIME)


@_log_fault("D06-immediate-repeats")
def reloads(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Repeat nine clicks of ten a second later, as reloads of a page do."""
    again = events.filter(_some(events, 0.9, generator)).with_columns(pl.col(TIME) + MICROSECONDS_PER_SECOND)
    return pl.concat([events, again]).sort(SESSION, TIME)


@_log_fault("D07-times")
def two_units(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Write the times of a third of the sessions in a unit a thousand times as large."""
    sessions = events[SESSION].unique(maintain_order=True)
    some = sessions.filter(pl.Series(generator.random(len(sessions)) < 1 / 3))
    return events.with_columns(
        pl.when(pl.col(SESSION).is_in(some.implode())).then(pl.col(TIME) // 1000).otherwise(pl.col(TIME))
    )


@_log_fault("D08-time-zones")
def two_time_zones(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Write a third of the rows in a time zone two hours further east."""
    later = _some(events, 1 / 3, generator).cast(pl.Int64) * 7200 * MICROSECONDS_PER_SECOND
    return events.with_columns(pl.col(TIME) + later).sort(SESSION, TIME)


@_log_fault("D09-missing-days")
def lost_days(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Lose the days between the second third and the last of the log."""
    first, last = int(events[TIME].min()), int(events[TIME].max())  # type: ignore[arg-type]
    third = (last - first) // 3
    return events.filter((pl.col(TIME) < first + third) | (pl.col(TIME) > last - third))


@_log_fault("D10-sessions-over-midnight")
def visits_at_midnight(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Let every session begin in the last minute of its day (UTC)."""
    begins = pl.col(TIME).min().over(SESSION)
    minute = 60 * MICROSECONDS_PER_SECOND
    midnight = (begins // MICROSECONDS_PER_DAY + 1) * MICROSECONDS_PER_DAY
    return events.with_columns(pl.col(TIME) - begins + midnight - minute)


@_log_fault("D11-sessions-longer-than-a-day")
def users_as_sessions(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Give twenty sessions the id of one user."""
    sessions = events[SESSION].unique(maintain_order=True)
    users = pl.DataFrame({SESSION: sessions, "user": generator.permutation(len(sessions)) // 20})
    return (
        events.join(users, on=SESSION, maintain_order="left")
        .select(pl.col("user").alias(SESSION), ITEM, TIME)
        .sort(SESSION, TIME)
    )


@_log_fault("D13-very-long-sessions")
def one_crawler(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Add a session that visits items at random, a fifth as many times as there are events, in half of the time."""
    clicks = events.height // 5
    span = int(events[TIME].max()) - int(events[TIME].min())  # type: ignore[arg-type]
    return pl.concat([events, _robots(events, 1, clicks, max(span // (2 * clicks), 1), generator)])


@_log_fault("D14-robots")
def fast_robots(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Add sessions of 50 clicks, five in a second: a tenth of the log."""
    count = max(events.height // 500, 1)
    return pl.concat([events, _robots(events, count, 50, MICROSECONDS_PER_SECOND // 5, generator)])


def _robots(
    events: pl.DataFrame, sessions: int, clicks: int, pause: int, generator: np.random.Generator
) -> pl.DataFrame:
    """Return sessions of robots, with a fixed pause, at random moments of the log."""
    first, last = int(events[TIME].min()), int(events[TIME].max())  # type: ignore[arg-type]
    begins = generator.integers(first, max(last - clicks * pause, first + 1), sessions)
    times = begins[:, None] + pause * np.arange(clicks)
    ids = int(events[SESSION].max()) + 1 + np.arange(sessions)  # type: ignore[arg-type]
    items = generator.choice(events[ITEM].unique().sort().to_numpy(), sessions * clicks)
    return pl.DataFrame({SESSION: np.repeat(ids, clicks), ITEM: items, TIME: times.ravel()}, schema=events.schema)


@_log_fault("D15-ids-in-two-forms")
def ids_in_two_forms(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Make text of item ids, and write them with a leading zero in a third of the rows."""
    text = pl.col(ITEM).cast(pl.String)
    return events.with_columns(pl.when(_some(events, 1 / 3, generator)).then("0" + text).otherwise(text).alias(ITEM))


@_log_fault("D16-missing-values-as-ids")
def missing_items(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Write -1 as the item of a quarter of the rows."""
    return events.with_columns(pl.when(_some(events, 0.25, generator)).then(-1).otherwise(pl.col(ITEM)).alias(ITEM))


@_log_fault("D17-items-equal-sessions")
def wrong_column(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Write the session as the item of three quarters of the rows."""
    return events.with_columns(
        pl.when(_some(events, 0.75, generator)).then(pl.col(SESSION)).otherwise(pl.col(ITEM)).alias(ITEM)
    )


@_log_fault("D18-constant-columns")
def default_item(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Write one item in half of the rows, as a default value does."""
    default = int(events[ITEM][0])
    return events.with_columns(pl.when(_some(events, 0.5, generator)).then(default).otherwise(pl.col(ITEM)).alias(ITEM))


@_log_fault("D19-popularity-drift")
def new_items_every_week(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Replace all items every week, as news are replaced."""
    week = (pl.col(TIME) - int(events[TIME].min())) // (7 * MICROSECONDS_PER_DAY)  # type: ignore[arg-type]
    return events.with_columns(pl.col(ITEM) + week.min().over(SESSION) * (int(events[ITEM].max()) + 1))  # type: ignore[arg-type]


@_log_fault("D20-items-seen-once")
def ids_of_visits(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Give a third of the rows an item id of their own, as links with a tracking code have."""
    own = int(events[ITEM].max()) + 1 + pl.int_range(pl.len())  # type: ignore[arg-type]
    return events.with_columns(pl.when(_some(events, 1 / 3, generator)).then(own).otherwise(pl.col(ITEM)).alias(ITEM))


@_log_fault("D21-sessions-of-one-event")
def events_as_sessions(events: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Give 19 rows of 20 a session id of their own, as ids of requests are."""
    own = int(events[SESSION].max()) + 1 + pl.int_range(pl.len())  # type: ignore[arg-type]
    return events.with_columns(
        pl.when(_some(events, 0.95, generator)).then(own).otherwise(pl.col(SESSION)).alias(SESSION)
    )


Frames = tuple[pl.DataFrame, pl.DataFrame]


def _renumbered(events: pl.DataFrame, *others: pl.DataFrame) -> pl.DataFrame:
    """Return events whose session ids occur in none of the others."""
    return events.with_columns(pl.col(SESSION) + 1 + max(int(part[SESSION].max()) for part in (events, *others)))  # type: ignore[arg-type]


@_split_fault("S01-training-after-test")
def future_in_training(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Move half of the test sessions into training."""
    sessions = test[SESSION].unique(maintain_order=True)
    moved = pl.col(SESSION).is_in(sessions.filter(pl.Series(generator.random(len(sessions)) < 0.5)).implode())
    return pl.concat([train, test.filter(moved)]).sort(SESSION, TIME), test.filter(~moved)


@_split_fault("S02-not-by-time")
def random_split(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Divide all sessions at random, in the same proportion."""
    both = pl.concat([train, test])
    sessions = both[SESSION].unique(maintain_order=True)
    share = test[SESSION].n_unique() / len(sessions)
    tested = pl.col(SESSION).is_in(sessions.filter(pl.Series(generator.random(len(sessions)) < share)).implode())
    return both.filter(~tested), both.filter(tested)


@_split_fault("S03-shared-session-ids")
def sessions_cut_in_two(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Give training the first half of every test session of four clicks or more."""
    early = (pl.len().over(SESSION) >= 4) & (pl.int_range(pl.len()).over(SESSION) < pl.len().over(SESSION) // 2)
    return pl.concat([train, test.filter(early)]), test.filter(~early)


@_split_fault("S04-copied-sessions")
def test_in_training(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Copy a third of the test sessions into training, under new ids."""
    sessions = test[SESSION].unique(maintain_order=True)
    some = sessions.filter(pl.Series(generator.random(len(sessions)) < 1 / 3))
    copies = test.filter(pl.col(SESSION).is_in(some.implode()))
    return pl.concat([train, _renumbered(copies, train, test)]), test


@_split_fault("S05-copied-prefixes")
def prefixes_divided(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Give training every test session without its last click, under a new id and at the times of training."""
    begun = test.filter(pl.int_range(pl.len()).over(SESSION) < pl.len().over(SESSION) - 1)
    earlier = pl.col(TIME) - int(test[TIME].max()) + int(train[TIME].max())  # type: ignore[arg-type]
    return pl.concat([train, _renumbered(begun, train, test).with_columns(earlier)]), test


@_split_fault("S06-unknown-items")
def ids_changed(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Give half of the items other ids in the test."""
    largest = max(int(part[ITEM].max()) for part in (train, test))  # type: ignore[arg-type]
    return train, test.with_columns(
        pl.when(pl.col(ITEM) % 2 == 0).then(pl.col(ITEM) + largest + 1).otherwise(pl.col(ITEM))
    )


@_split_fault("S09-same-events")
def events_under_two_sessions(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Write a fifth of the test events into training, too, two to a session."""
    some = test.filter(_some(test, 0.2, generator))
    sessions = int(max(train[SESSION].max(), test[SESSION].max())) + 1 + pl.int_range(pl.len()) // 2  # type: ignore[arg-type,type-var]
    return pl.concat([train, some.with_columns(sessions.alias(SESSION))]), test


@_split_fault("S10-bigrams")
def always_the_next_item(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Let every session run through the items in the order of their ids."""
    items = int(max(train[ITEM].max(), test[ITEM].max())) + 1  # type: ignore[arg-type,type-var]
    step = (pl.col(ITEM).first().over(SESSION) + pl.int_range(pl.len()).over(SESSION)) % items
    return train.with_columns(step.alias(ITEM)), test.with_columns(step.alias(ITEM))


@_split_fault("S11-repeated-targets")
def two_items_a_session(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Let test sessions go back and forth between their first two items, in sessions twice as long."""
    twice = pl.concat([test, test.with_columns(pl.col(TIME) + 1)]).sort(SESSION, TIME)
    place = pl.int_range(pl.len()).over(SESSION)
    first, second = pl.col(ITEM).get(0).over(SESSION), pl.col(ITEM).get(1, null_on_oob=True).over(SESSION)
    return train, twice.with_columns(pl.when(place % 2 == 0).then(first).otherwise(second))


@_split_fault("S12-support-filter-with-test")
def filtered_with_the_test(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Drop items with fewer than eight events in training and test together."""
    counts = pl.concat([train, test]).group_by(ITEM).len()
    rare = pl.col(ITEM).is_in(counts.filter(pl.col("len") < 8)[ITEM].implode())
    return train.filter(~rare), test.filter(~rare)


@_split_fault("S13-sessions-of-one-event")
def sessions_cut_short(train: pl.DataFrame, test: pl.DataFrame, generator: np.random.Generator) -> Frames:
    """Leave one click of every second test session."""
    return train, test.filter((pl.col(SESSION) % 2 == 0) | (pl.int_range(pl.len()).over(SESSION) == 0))
