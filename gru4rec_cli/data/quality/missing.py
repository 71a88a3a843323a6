"""Checks for ids that stand for a missing value, and for a session or user with an unusual share of the log."""

from collections.abc import Iterator, Sequence

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.data.quality.finding import Finding

MISSING_VALUE, LARGE_SHARE = "missing-value-as-id", "large-share"

WORDS = (
    "null", "(null)", "<null>", "nan", "<nan>", "nat", "none", "(none)", "<none>", "nil", "na", "n/a", "n.a.", "#n/a",
    "<na>", "\\n", "undefined", "[object object]", "unknown", "(unknown)", "<unknown>", "not set", "(not set)",
    "not available", "missing", "(missing)", "empty", "(empty)", "(blank)", "anonymous", "anon", "guest",
    "-", "--", "_", "?", ".", "00000000-0000-0000-0000-000000000000",
    "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",  # MD5 and SHA-1 of the empty text,
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",  # and SHA-256
)  # fmt: skip
_NUMBERS = ("0", "-1", "-9", "-99", "-999", "0.0", "-1.0", "999999999", "2147483647", "-2147483648")

_SHARE = 0.02  # of the events: an id of a session or user that has more is looked at
_TIMES = 20  # and more than this many times the 95th percentile
_FEWEST = 100  # events
_NUMBER_TIMES = 5  # the same for an id such as 0 or -1, against the 95th percentile of sessions or users
_NUMBER_FEWEST = 20
_ITEM_TIMES = 3  # and of an item with such an id, against the second item
_LENGTH = "len"


def missing_values(
    log: pl.DataFrame, column: str, what: str, where: str, distinct: pl.Series, present: Sequence[str] = ()
) -> Iterator[Finding]:
    """Find ids of a column that probably stand for a missing value.

    Words such as NULL are found wherever they stand; numbers such as 0 or -1 only with an unusual number of events.

    Args:
        log: SESSION, ITEM.
        column: SESSION or ITEM.
        what: "item", "session" or "user": the kind of ids in it.
        where: the file, for messages.
        distinct: the distinct ids, if they are text.
        present: what `data.missing` holds already.
    """
    found = _looking_missing(log, column, distinct)
    if found.is_empty():
        return
    ids = found[column].cast(pl.String).to_list()
    events = int(found[_LENGTH].sum())
    yield Finding(
        MISSING_VALUE,
        f"{where}: {_share(events, log.height)} events have the {what} id {_listed(ids)}, which looks like a missing "
        f"value; all of them count as one {what}" + (" each" if len(ids) > 1 else ""),
        f"{with_missing(ids[:5], present)} to drop and count these rows",
        ids[:5],
    )


def _looking_missing(log: pl.DataFrame, column: str, distinct: pl.Series) -> pl.DataFrame:
    """The ids of a column that look like missing values, with their numbers of events."""
    if distinct.dtype == pl.String:
        candidates = distinct.filter(looks_missing(distinct))
    else:
        candidates = pl.Series(_NUMBERS).cast(pl.Int64, strict=False).drop_nulls()
    counts = _counts(log.filter(pl.col(column).is_in(candidates.implode())), column)
    word = is_word(counts[column])
    large = (counts[_LENGTH] >= _NUMBER_FEWEST) & (counts[_LENGTH] > _SHARE * log.height)
    if (~word & large).any():  # only then is it worth counting all ids
        everything = _counts(log, column)
        large &= counts[column].is_in(
            everything.filter(_stands_out(everything, column, _NUMBER_TIMES, _NUMBER_FEWEST))[column].implode()
        )
    return counts.filter(word | large).sort(_LENGTH, column, descending=[True, False])


def large_shares(log: pl.DataFrame, group: str, where: str, present: Sequence[str] = ()) -> Iterator[Finding]:
    """Find the session or user whose share of the events is far above all others', if its id is no missing value.

    `present` is what `data.missing` holds already.
    """
    counts = _counts(log, SESSION)
    found = counts.filter(_stands_out(counts, SESSION) & ~looks_missing(counts[SESSION]))
    if found.is_empty():
        return
    found = found.sort(_LENGTH, SESSION, descending=[True, False])
    name, events = found.row(0)
    others = f", and {found.height - 1:,} more stand out as it does" if found.height > 1 else ""
    advice = with_missing([str(each) for each in found[SESSION].head(5)], present)
    yield Finding(
        LARGE_SHARE,
        f"{where}: the {group} {name!r} has {_share(events, log.height)} events{others}; all other {group}s have at "
        f"most {int(counts[_LENGTH].sort(descending=True)[found.height]):,}",
        f"is it a robot, or an id that stands for a missing value? {advice[0].upper()}{advice[1:]} to drop these "
        "events",
    )


def with_missing(texts: Sequence[str], present: Sequence[str]) -> str:
    """Return the advice to have further texts in `data.missing`, beside those that are `present`."""
    added, whole = (", ".join(map(_quoted, ids)) for ids in (texts, dict.fromkeys([*present, *texts])))
    if present:
        return f"add {added} to data.missing, so that it reads data.missing: [{whole}],"
    return f"set data.missing: [{whole}]"


def looks_missing(ids: pl.Series) -> pl.Series:
    """Return true for each id that often stands for a missing value."""
    return is_word(ids) | ids.cast(pl.String).is_in(list(_NUMBERS))


def is_word(ids: pl.Series) -> pl.Series:
    """Return true for each id that is a word for a missing value; numbers such as 0 are none."""
    if ids.dtype != pl.String:
        return pl.repeat(value=False, n=len(ids), eager=True)
    return ids.str.strip_chars().str.to_lowercase().is_in(list(WORDS))


def _counts(log: pl.DataFrame, column: str) -> pl.DataFrame:
    return log.group_by(column).len(_LENGTH)


def _stands_out(counts: pl.DataFrame, column: str, times: int = _TIMES, fewest: int = _FEWEST) -> pl.Series:
    """True for ids with an unusual number of events."""
    lengths = counts[_LENGTH].cast(pl.Int64)
    events = int(lengths.sum())
    if column == ITEM:
        times, usual = _ITEM_TIMES, int(lengths.sort(descending=True)[1]) if len(lengths) > 1 else events
    else:
        usual = int(lengths.quantile(0.95, interpolation="lower") or 0)
    return (lengths >= fewest) & (lengths > _SHARE * events) & (lengths > times * usual)


def _share(events: int, of: int) -> str:
    percent = f"{100 * events / of:.1f} %" if events >= 0.001 * of else "less than 0.1 %"
    return f"{events:,} of {of:,} ({percent})"


def _listed(ids: list[str]) -> str:
    shown = [repr(text) for text in ids[:5]] + ([f"{len(ids) - 5} others"] if len(ids) > 5 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _quoted(text: str) -> str:
    """The text as YAML, in quotes: NULL and -1 without them would not be text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
