"""Checks of times: a wrong unit, two units in one column, times in the future, and dates far from all others."""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl

from gru4rec_cli.base.names import TIME
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.times import EPOCH, MICROSECOND, MICROSECONDS_PER_DAY, iso

UNIT, TWO_UNITS, FUTURE, FAR, EXCHANGED = (
    "time-unit", "times-in-two-units", "times-in-the-future", "times-far-apart", "train-and-test-exchanged",
)  # fmt: skip

FIRST_PLAUSIBLE = (datetime(1995, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND  # there are no logs of clicks before
_YEAR = 365 * MICROSECONDS_PER_DAY
_FACTORS = {1_000: 1, 1_000_000: 2, 1_000_000_000: 3}  # a time that is so much too early; steps between units
_UNITS = ("nanoseconds", "microseconds", "milliseconds", "seconds")
_FEWEST = 100  # events, for dates to be called far from the others
_OUTSIDE = 0.001  # of the events, at either end
_LONGER = 10  # times: the span of all events against the span of nearly all


def time_findings(log: pl.DataFrame, unit: str, where: str, now: datetime | None = None) -> Iterator[Finding]:
    """Find what is probably wrong with the times of a log.

    Args:
        log: TIME, in microseconds.
        unit: as which the times were read, a value of `data.time_unit`.
        where: the file, for messages.
        now: the present, for tests.
    """
    times = log[TIME]
    moment = ((now or datetime.now(UTC)) - EPOCH) // MICROSECOND
    early = times.filter(times < FIRST_PLAUSIBLE)
    late = times.filter(times >= FIRST_PLAUSIBLE)
    if not len(late):
        yield from _wrong_unit(times, unit, where, moment)
        return
    if len(early) and _largest(late, smallest=True) - _largest(early) > 5 * _YEAR:
        yield from _two_units(early, late, unit, where, moment)
    else:
        yield from _far_apart(times, where)
    yield from _future(times, where, moment)


def exchanged(train: pl.DataFrame, test: pl.DataFrame) -> Iterator[Finding]:
    """Find training events that follow the test, as if the two files were exchanged."""
    first, last = _largest(test[TIME], smallest=True), _largest(test[TIME])
    middle = float(train[TIME].median() or 0)  # type: ignore[arg-type]
    if middle > last:
        after = int((train[TIME] > last).sum())
        yield Finding(
            EXCHANGED,
            f"data.train and data.test: {after:,} of {train.height:,} training events are later than the last test "
            f"event; the test goes from {iso(first)} to {iso(last)}, half of the training is after {iso(int(middle))}",
            "are the two files exchanged? data.train names the earlier one",
        )


def _wrong_unit(times: pl.Series, unit: str, where: str, moment: int) -> Iterator[Finding]:
    factor = _plausible_factor(times, moment)
    if factor is None:
        return
    shown = (
        f"{where}: read as {unit}, the times go from {iso(_largest(times, smallest=True))} to {iso(_largest(times))}"
    )
    if unit == "iso8601":
        yield Finding(
            UNIT,
            f"{shown}; times {factor:,} times as large would be in our years",
            "the program that wrote them took seconds for a finer unit; in pandas: pd.to_datetime(column, unit='s')",
        )
        return
    right = _coarser(unit, factor)
    if right is not None:
        yield Finding(UNIT, f"{shown}; they are probably {right}", f"set data.time_unit: {right}")


def _two_units(early: pl.Series, late: pl.Series, unit: str, where: str, moment: int) -> Iterator[Finding]:
    count, total = len(early), len(early) + len(late)
    shown = f"{where}: {count:,} of {total:,} times are before 1995, such as {iso(int(early[0]))}, the others from "
    shown += f"{iso(_largest(late, smallest=True))} on"
    factor = _plausible_factor(early, moment)
    right = None if factor is None else _coarser(unit, factor)
    if right is not None:
        yield Finding(
            TWO_UNITS,
            f"{shown}; these are probably {right}, the others {unit}",
            f"write all times in {right} or {unit}",
        )
        return
    why = "; a time of 0 often stands for a missing one" if _largest(early) < 2 * MICROSECONDS_PER_DAY else ""
    yield Finding(TWO_UNITS, shown + why, "correct these times, or remove the rows")


def _far_apart(times: pl.Series, where: str) -> Iterator[Finding]:
    """A few wrong dates make a log long: cuts by days, windows and the description by day then mean little."""
    if len(times) < _FEWEST:
        return
    outside = max(_OUTSIDE, 1.5 / len(times))  # at least the first and the last event
    low, high = (int(times.quantile(share, interpolation="nearest") or 0) for share in (outside, 1 - outside))
    first, last = _largest(times, smallest=True), _largest(times)
    if last - first <= _LONGER * (high - low) or last - first < _YEAR / 2:
        return
    count = int(((times < low) | (times > high)).sum())
    yield Finding(
        FAR,
        f"{where}: the log goes from {iso(first)} to {iso(last)}, but all of its {len(times):,} events except "
        f"{count:,} are between {iso(low)} and {iso(high)}",
        "are these dates right? Correct or remove the rows: split.by: days counts from the last event of the log",
    )


def _future(times: pl.Series, where: str, moment: int) -> Iterator[Finding]:
    beyond = times.filter(times > moment + 2 * MICROSECONDS_PER_DAY)
    if len(beyond):
        yield Finding(
            FUTURE,
            f"{where}: {len(beyond):,} of {len(times):,} times are in the future, up to {iso(_largest(beyond))}",
            "correct or remove these rows; is data.time_unit right?",
        )


def _plausible_factor(times: pl.Series, moment: int) -> int | None:
    """The factor between units that brings all times into the years from 1995 until now, or None."""
    first, last = _largest(times, smallest=True), _largest(times)
    return next((f for f in _FACTORS if first * f >= FIRST_PLAUSIBLE and last * f <= moment + _YEAR), None)


def _coarser(unit: str, factor: int) -> str | None:
    """The unit that is `factor` times as long, where there is one."""
    place = _UNITS.index(unit) + _FACTORS[factor] if unit in _UNITS else len(_UNITS)
    return _UNITS[place] if place < len(_UNITS) else None


def _largest(times: pl.Series, *, smallest: bool = False) -> int:
    return int((times.min() if smallest else times.max()) or 0)  # type: ignore[arg-type]
