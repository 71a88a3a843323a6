"""Describe a raw click log: size, session lengths, times, repeats, drift, whether the order of clicks matters."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.cleaning import summarise
from gru4rec_cli.data.engine import in_order
from gru4rec_cli.data.order_signal import order_signal
from gru4rec_cli.data.times import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
RARE = 5  # events; the default of split.min_item_support

_PLAUSIBLE = range(1995, 2100)  # years
_RESOLUTIONS = {
    "days": MICROSECONDS_PER_DAY,
    "seconds": MICROSECONDS_PER_SECOND,
    "milliseconds": 1000,
    "microseconds": 1,
}
_BEFORE = "_before"


def describe(events: pl.DataFrame, *, in_file_order: bool = True) -> dict[str, Any]:
    """Describe a log (SESSION, ITEM, TIME, maybe RANK), ready for JSON.

    But for `out_of_order`, the order of the rows does not count, except among events of one session and time.

    Args:
        events: at least one event.
        in_file_order: the rows are in the order of the file; otherwise `out_of_order` is null.
    """
    ordered, events = in_order(events).select(SESSION, ITEM, TIME), events.select(SESSION, ITEM, TIME)
    first, last = int(events[TIME].min()), int(events[TIME].max())  # type: ignore[arg-type]
    return {
        **summarise(events),
        "days": (last - first) / MICROSECONDS_PER_DAY,
        "times": _times(events, first),
        "session_lengths": _lengths(events),
        "item_support": _support(events),
        "repeats": _repeats(ordered),
        "equal_times": _equal_times(ordered),
        "out_of_order": _out_of_order(events) if in_file_order else None,
        "drift": drift(events),
        "order_signal": order_signal(ordered),
    }


def _times(events: pl.DataFrame, first: int) -> dict[str, Any]:
    """The coarsest unit in which all times are whole, the year of the median, and if that is plausible."""
    whole = {name: bool((events[TIME] % size == 0).all()) for name, size in _RESOLUTIONS.items()}
    median = int(events[TIME].median())  # type: ignore[arg-type]
    year = datetime.fromtimestamp(median // MICROSECONDS_PER_SECOND, UTC).year
    guess = "plausible"
    if year not in _PLAUSIBLE:
        guess = "row numbers or another origin"
        for factor, name in ((1000, "seconds"), (1_000_000, "seconds, read as microseconds")):
            scaled = median * factor // MICROSECONDS_PER_SECOND
            if scaled < 4_102_444_800 and datetime.fromtimestamp(scaled, UTC).year in _PLAUSIBLE and first > 0:
                guess = f"the unit is wrong: read as {name}, the median falls into a year from 1995 on"
                break
    return {"resolution": next(name for name, holds in whole.items() if holds), "median_year": year, "guess": guess}


def _lengths(events: pl.DataFrame) -> dict[str, Any]:
    lengths = events.group_by(SESSION).len()["len"]
    counts = lengths.value_counts(sort=False).sort("len")
    return {
        "quantiles": _quantiles(lengths),
        "share_of_one_event": (lengths == 1).mean(),
        "sessions_by_length": [list(row) for row in counts.iter_rows()],
    }


def _support(events: pl.DataFrame) -> dict[str, Any]:
    support = events.group_by(ITEM).len()["len"].sort(descending=True)
    top = max(1, len(support) // 100)
    return {
        "quantiles": _quantiles(support),
        "share_of_items_below_5": (support < RARE).mean(),
        "share_of_events_on_top_percent": support.head(top).sum() / events.height,
        "events_by_rank": [int(support[rank]) for rank in _ranks(len(support))],
        "ranks": [rank + 1 for rank in _ranks(len(support))],
    }


def _ranks(items: int) -> list[int]:
    """About 60 ranks from 0 to the last, evenly on a logarithmic scale."""
    return sorted({min(items - 1, round(items ** (step / 60)) - 1) for step in range(61)})


def _quantiles(values: pl.Series) -> dict[str, float | None]:
    return {f"{q:g}": values.quantile(q, interpolation="nearest") for q in QUANTILES}


def _repeats(ordered: pl.DataFrame) -> dict[str, Any]:
    """Events on the item of the event before, on any earlier item of the session, and exact duplicates."""
    same = pl.col(SESSION) == pl.col(SESSION).shift(1)
    immediate = (same & (pl.col(ITEM) == pl.col(ITEM).shift(1))).sum()
    immediately, follow = ordered.select(immediate, same.sum().alias("follow")).row(0)
    distinct = ordered.select(SESSION, ITEM).n_unique()
    return {
        "immediate": immediately,
        "share_immediate": immediately / follow if follow else None,
        "earlier_in_session": ordered.height - distinct,
        "share_earlier_in_session": (ordered.height - distinct) / ordered.height,
        "exact_duplicates": ordered.height - ordered.n_unique(),
    }


def _equal_times(ordered: pl.DataFrame) -> dict[str, Any]:
    equal = (pl.col(SESSION) == pl.col(SESSION).shift(1)) & (pl.col(TIME) == pl.col(TIME).shift(1))
    sessions = ordered.filter(equal)[SESSION]
    return {"events": len(sessions), "sessions": sessions.n_unique()}


def _out_of_order(events: pl.DataFrame) -> dict[str, int]:
    """Rows earlier than a row before them: of their session, and of the file."""
    latest = pl.col(TIME).cum_max()
    within, overall = events.select(
        (pl.col(TIME) < latest.over(SESSION)).sum().alias("within"), (pl.col(TIME) < latest).sum().alias("overall")
    ).row(0)
    return {"in_their_session": within, "in_the_file": overall}


def drift(events: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each day (UTC) with events.

    A row holds the number of events, the share of them on items first seen that day, and the cosine between the day's
    counts by item and those of the last day with events before it, and of the first day (1: the same shares).
    """
    day = (pl.col(TIME) // MICROSECONDS_PER_DAY).alias("day")
    counts = events.group_by(day, ITEM).agg(pl.len().cast(pl.Int64).alias("count"))  # squares would overflow UInt32
    days = counts.select(pl.col("day").unique().sort()).with_columns(pl.col("day").shift(1).alias(_BEFORE))
    first_seen = (pl.col("day") == pl.col("day").min().over(ITEM)).alias("new")
    counts = counts.with_columns(first_seen).join(days, on="day")
    sums = counts.group_by("day").agg(
        pl.col("count").sum().alias("events"),
        (pl.col("count").filter(pl.col("new")).sum() / pl.col("count").sum()).alias("share_on_new_items"),
        (pl.col("count") ** 2).sum().cast(pl.Float64).sqrt().alias("norm"),
    )
    first = days["day"][0]
    previous = _alike(counts, sums, pl.col(_BEFORE), "to_previous_day")
    start = _alike(counts, sums, pl.lit(first, dtype=pl.Int64), "to_first_day")
    table = sums.join(previous, on="day", how="left").join(start, on="day", how="left").sort("day")
    return [
        {"day": datetime.fromtimestamp(86_400 * row.pop("day"), UTC).date().isoformat(), **row}
        for row in table.drop("norm").to_dicts()
    ]


def _alike(counts: pl.DataFrame, sums: pl.DataFrame, other: pl.Expr, name: str) -> pl.DataFrame:
    """The cosine of each day's counts and those of another day; null where there is none, or it is the same day."""
    theirs = counts.select(pl.col("day").alias("other"), ITEM, pl.col("count").alias("theirs"))
    pairs = counts.with_columns(other.alias("other")).filter(pl.col("other") != pl.col("day"))
    products = pairs.join(theirs, on=["other", ITEM], how="left").group_by("day", "other")
    dots = products.agg((pl.col("count") * pl.col("theirs").fill_null(0)).sum().alias("dot"))
    norms = sums.select("day", "norm")
    with_norms = dots.join(norms, on="day").join(norms.rename({"day": "other", "norm": "their norm"}), on="other")
    return with_norms.select("day", (pl.col("dot") / pl.col("norm") / pl.col("their norm")).alias(name))
