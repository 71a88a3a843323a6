"""Times: text and numbers in, microseconds since 1970-01-01 UTC out."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import polars as pl

TimeUnit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds", "iso8601"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND
LATEST = (datetime(2200, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND  # later times betray a wrong unit
_REMOVE = "correct or remove the event"
_LABELS = (pl.Categorical, pl.Enum)
WITHOUT_SECONDS = r"(T\d\d:\d\d)(Z|[+-]\d\d(?::?\d\d)?)?$"
_COMMON = ("%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.f UTC", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")
MICROS_PER = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}
NANOSECONDS_PER_MICROSECOND = 1000


def to_microseconds(time: pl.Expr, dtype: pl.DataType, unit: TimeUnit) -> pl.Expr:
    """Convert times to Int64 microseconds; null where the value is not a time between 1970 and 2200.

    `dtype` is the type of the column `time` and must be one that `accepts` names for the unit. Whole nanoseconds are
    rounded down, as digits of ISO 8601 times beyond microseconds are.
    """
    if dtype.base_type() in _LABELS:
        time, dtype = time.cast(pl.String), pl.String()
    if unit == "iso8601":
        micros = _instant(time).dt.timestamp("us") if dtype == pl.String else _stored(time, dtype)
    else:
        micros = (time.cast(pl.Float64, strict=False) * MICROS_PER[unit]).round().cast(pl.Int64, strict=False)
    if (
        unit == "nanoseconds" and not dtype.is_float()
    ):  # today's are beyond 2^53: a float would lose some of their digits
        micros = pl.coalesce(time.cast(pl.Int64, strict=False) // NANOSECONDS_PER_MICROSECOND, micros)
    return pl.when(micros.is_between(0, LATEST)).then(micros)


def common_iso(text: object) -> str | None:
    """Return the format of a text if it is one of the most common for ISO 8601 times (UTC), else None."""
    found = pl.DataFrame({"text": [text if isinstance(text, str) else None]}, schema={"text": pl.String})
    return next((form for form in _COMMON if not found.select(_parsed(pl.col("text"), form).is_null()).item()), None)


def common_to_microseconds(time: pl.Expr, form: str) -> pl.Expr:
    """Convert texts in a format that `common_iso` returned, faster than `to_microseconds`; null for other texts."""
    micros = _parsed(time, form).dt.timestamp("us")
    return pl.when(micros.is_between(0, LATEST)).then(micros)


def accepts(dtype: pl.DataType, unit: TimeUnit) -> bool:
    """Return true if a column of this type can hold times in this unit."""
    if dtype == pl.String or dtype.base_type() in _LABELS:
        return True
    return (
        dtype.is_temporal() and dtype.base_type() in (pl.Date, pl.Datetime) if unit == "iso8601" else dtype.is_numeric()
    )


def advice_for(dtype: pl.DataType) -> str:
    """Return what to do about a column of times whose type does not fit the unit."""
    if dtype.is_numeric():
        return f"set data.time_unit: {', '.join(MICROS_PER)}"
    if dtype.base_type() in (pl.Date, pl.Datetime):
        return "set data.time_unit: iso8601"
    return "write times as numbers, datetimes or text"


def plain(value: int | None, dtype: pl.DataType) -> datetime | str | None:
    """Return a date or datetime from the integer that stores it; as a text where Python has no datetime for it."""
    if value is None:
        return None
    unit = (
        "days"
        if dtype == pl.Date
        else {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[getattr(dtype, "time_unit", "us")]
    )
    try:
        if unit == "nanoseconds":
            value, unit = value // NANOSECONDS_PER_MICROSECOND, "microseconds"
        return EPOCH + timedelta(**{unit: value})
    except OverflowError:
        return f"{value} {unit} since 1970"


def explain(value: object, unit: TimeUnit) -> tuple[str, str]:
    """Return the reason why `to_microseconds` made a value null, and what to do about it."""
    if value is None or str(value).strip() == "":
        return "the time is empty", "give every event a time, or set data.columns.time: null to use the row number"
    shown = repr(value) if isinstance(value, str) else str(value)
    if unit == "iso8601":
        return _explain_iso(str(value), shown)
    try:
        number = float(str(value))
    except ValueError:
        return f"{shown} is not a number of {unit}", _unit_hint(str(value))
    if number != number or number in (float("inf"), float("-inf")):
        return f"{shown} is not a time", "give every event a finite time"
    if number < 0:
        return f"{shown} is a negative time", "times count from 1970-01-01 UTC"
    if number * MICROS_PER[unit] <= LATEST:
        return f"{shown} is not a number of {unit}", "write numbers without spaces or separators"
    fits = [finer for finer, factor in MICROS_PER.items() if number * factor <= LATEST]
    hint = f"is the unit right? Times this large need data.time_unit: {fits[0]}" if fits else _REMOVE
    return f"{shown} {unit} is after the year 2200", hint


def parse_iso(text: str) -> int | None:
    """Return the microseconds of an ISO 8601 time (UTC where it names no zone), or None where it is not one."""
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def iso(micros: int) -> str:
    """Return the ISO 8601 text of microseconds since 1970, in UTC."""
    return (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None).isoformat() + "Z"


def _parsed(text: pl.Expr, form: str) -> pl.Expr:
    return text.str.to_datetime(form, time_unit="us", strict=False)


def _stored(time: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The microseconds of dates or datetimes; null where they are far beyond 2200, so that no product overflows."""
    value, unit = time.to_physical().cast(pl.Int64), getattr(dtype, "time_unit", "us")
    if unit == "ns":
        return value // NANOSECONDS_PER_MICROSECOND
    factor = MICROSECONDS_PER_DAY if dtype == pl.Date else {"ms": 1000, "us": 1}[unit]
    return pl.when(value.is_between(0, LATEST // factor)).then(value * factor)


def _instant(time: pl.Expr) -> pl.Expr:
    text = time.str.strip_suffix(" UTC").str.replace(" ", "T", literal=True)
    text = pl.when(text.str.len_bytes() == len("2014-04-07")).then(text + "T00:00:00").otherwise(text)
    text = text.str.replace(WITHOUT_SECONDS, "${1}:00${2}")
    text = pl.when(text.str.contains(r"T.*(Z|[+-]\d\d(:?\d\d)?)$")).then(text).otherwise(text + "Z")
    return text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False)


def _explain_iso(value: str, shown: str) -> tuple[str, str]:
    if value.endswith(" since 1970"):
        return f"{value} is not a time between 1970 and 2200", _REMOVE
    micros = parse_iso(value)
    if micros is None:
        return f"{shown} is not an ISO 8601 time", _unit_hint(value)
    if micros < 0:
        return f"{shown} is before 1970", "times count from 1970-01-01 UTC"
    if micros > LATEST:
        return f"{shown} is after the year 2200", _REMOVE
    return f"{shown} is not a full ISO 8601 time", "write times as 2014-04-07T10:51:09.277Z"


def _unit_hint(value: str) -> str:
    if parse_iso(value) is not None and not value.replace(".", "", 1).isdigit():
        return "this is an ISO 8601 time: set data.time_unit: iso8601"
    try:
        float(value)
    except ValueError:
        return "correct the value, or name the column of times in data.columns.time"
    return "this is a number: set data.time_unit: seconds, milliseconds, microseconds or nanoseconds"
