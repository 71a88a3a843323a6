"""Times: text and numbers in, microseconds since 1970-01-01 UTC out."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import polars as pl

TimeUnit = Literal["seconds", "milliseconds", "iso8601"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND
LATEST = (datetime(2200, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND  # later times betray a wrong unit
_COMMON = ("%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.f UTC", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")
MICROS_PER = {"seconds": 1e6, "milliseconds": 1e3}


def to_microseconds(time: pl.Expr, dtype: pl.DataType, unit: TimeUnit) -> pl.Expr:
    """Convert times to Int64 microseconds; null where the value is not a time between 1970 and 2200.

    `dtype` is the type of the column `time` and must be one that `accepts` names for the unit.
    """
    if unit == "iso8601":
        micros = _instant(time, dtype).dt.timestamp("us")
    else:
        micros = (time.cast(pl.Float64, strict=False) * MICROS_PER[unit]).round().cast(pl.Int64, strict=False)
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
    if dtype == pl.String:
        return True
    return (
        dtype.is_temporal() and dtype.base_type() in (pl.Date, pl.Datetime) if unit == "iso8601" else dtype.is_numeric()
    )


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
    wanted = "data.time_unit: milliseconds" if unit == "seconds" else "milliseconds or seconds in the file"
    return f"{shown} {unit} is after the year 2200", f"is the unit right? times this large need {wanted}"


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


def _instant(time: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype != pl.String:
        return time.cast(pl.Datetime("us")) if dtype == pl.Date else time
    text = time.str.strip_suffix(" UTC").str.replace(" ", "T", literal=True)
    text = pl.when(text.str.len_bytes() == len("2014-04-07")).then(text + "T00:00:00").otherwise(text)
    text = pl.when(text.str.contains(r"T.*(Z|[+-]\d\d(:?\d\d)?)$")).then(text).otherwise(text + "Z")
    return text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False)


def _explain_iso(value: str, shown: str) -> tuple[str, str]:
    micros = parse_iso(value)
    if micros is None:
        return f"{shown} is not an ISO 8601 time", _unit_hint(value)
    if micros < 0:
        return f"{shown} is before 1970", "times count from 1970-01-01 UTC"
    if micros > LATEST:
        return f"{shown} is after the year 2200", "correct or remove the event"
    return f"{shown} is not a full ISO 8601 time", "write times as 2014-04-07T10:51:09.277Z"


def _unit_hint(value: str) -> str:
    if parse_iso(value) is not None and not value.replace(".", "", 1).isdigit():
        return "this is an ISO 8601 time: set data.time_unit: iso8601"
    try:
        float(value)
    except ValueError:
        return "correct the value, or name the column of times in data.columns.time"
    return "this is a number: set data.time_unit: seconds, or milliseconds"
