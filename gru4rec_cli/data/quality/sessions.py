"""Checks of sessions: some so long that they cost most of the work, and ids that do not name one visit of one user."""

from collections.abc import Iterator

import polars as pl

from gru4rec_cli.base.names import SESSION, TIME
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.quality.missing import looks_missing
from gru4rec_cli.data.times import MICROSECONDS_PER_DAY, iso
from gru4rec_cli.data.users import USER

LONG, SHARED, LASTING = "long-sessions", "sessions-of-several-users", "sessions-last-days"

_LONGEST_USUAL = 100  # events: no shorter session is called long
_TIMES = 20  # nor one of fewer events than this many times the 95th percentile
_COST = 0.5  # share of the pairs of events in one session that long sessions must have
_SHARED = 0.05  # share of the sessions that must have several users
_SAMPLE = 500_000  # events, about
_LENGTH, _SPAN, _PAIRS = "len", "span", "pairs"


def session_findings(log: pl.DataFrame, where: str, *, named: bool, timed: bool) -> Iterator[Finding]:
    """Find sessions so long that they decide what models cost, and sessions that last for days.

    Args:
        log: SESSION, ITEM, TIME.
        where: the file, for messages.
        named: the ids are those of the file, not made from pauses.
        timed: the times are times, not numbers of rows.
    """
    yield from _long(log, where, named=named)
    if timed:
        yield from _lasting(log, where)


def _long(log: pl.DataFrame, where: str, *, named: bool) -> Iterator[Finding]:
    """Models that count pairs of events take a time proportional to the square of a session's length."""
    sessions = log.group_by(SESSION).len(_LENGTH)
    if named:  # those of a missing value are another finding
        sessions = sessions.filter(~looks_missing(sessions[SESSION]))
    usual = int(sessions[_LENGTH].quantile(0.95, interpolation="lower") or 0)
    limit = max(_LONGEST_USUAL, _TIMES * usual)
    length = pl.col(_LENGTH).cast(pl.Int64)
    sessions = sessions.with_columns(length, (length * (length - 1)).alias(_PAIRS))
    long = sessions.filter(pl.col(_LENGTH) > limit).sort(_LENGTH, SESSION, descending=[True, False])
    if long.is_empty() or long[_PAIRS].sum() < _COST * int(sessions[_PAIRS].sum()):
        return
    share = 100 * int(long[_PAIRS].sum()) / int(sessions[_PAIRS].sum())
    name, length, _ = long.row(0)
    begins = int(log.filter(pl.col(SESSION) == name)[TIME].min())  # type: ignore[arg-type]
    which = f"the session {name!r}" if named else f"the session that begins at {iso(begins)}"
    proposed = max(50, 2 * usual)
    others = f", and {long.height - 1:,} others have more than {limit:,}" if long.height > 1 else ""
    yield Finding(
        LONG,
        f"{where}: {which} has {length:,} events{others}; 95 % of the sessions have at most {usual:,}. "
        f"{share:.0f} % of all pairs of events of a session are there, and models that count pairs, such as ar and "
        "iknn, take as much longer",
        f"a robot, or an id that stands for a missing value? Set split.max_session_length: {proposed}, which "
        "drops longer sessions, or cuts them with split.overlong: cut",
        proposed,
    )


def _lasting(log: pl.DataFrame, where: str) -> Iterator[Finding]:
    parts = log.height // _SAMPLE  # of a long log, some of the sessions are enough
    sample = log.filter(pl.col(SESSION).hash() % parts == 0) if parts > 1 else log
    span = (pl.col(TIME).max() - pl.col(TIME).min()).alias(_SPAN)
    spans = sample.group_by(SESSION).agg(pl.len().alias(_LENGTH), span).filter(pl.col(_LENGTH) > 1)
    typical = float(spans[_SPAN].median() or 0) / MICROSECONDS_PER_DAY  # type: ignore[arg-type]
    if typical > 1:
        yield Finding(
            LASTING,
            f"{where}: half of the sessions of two events or more last longer than {typical:.1f} days; are these the "
            "ids of users, or numbers that several visits share?",
            "set data.sessions.gap_minutes: 30, to end a session after half an hour without an event",
        )


def shared_sessions(pairs: pl.DataFrame, where: str, session: str, user: str) -> Iterator[Finding]:
    """Find session ids that belong to several users.

    Args:
        pairs: SESSION and USER, distinct pairs; rows without a user do not count.
        where: the file, for messages.
        session: name of the column of session ids.
        user: name of the column of user ids.
    """
    owners = pairs.drop_nulls().group_by(SESSION).agg(pl.col(USER).sort())
    several = owners.filter(pl.col(USER).list.len() > 1).sort(SESSION)
    if several.height < max(1, _SHARED * owners.height):
        return
    name, users = several.row(0)
    yield Finding(
        SHARED,
        f"{where}: {several.height:,} of {owners.height:,} ids in column {session!r} occur with several users in "
        f"column {user!r}, such as {name!r} with {users[0]!r} and {users[1]!r}; the clicks of these users are read as "
        "one session",
        "if the numbers restart for every user, join both columns into one id, or set data.sessions: {by: user, "
        "gap_minutes: 30}",
    )
