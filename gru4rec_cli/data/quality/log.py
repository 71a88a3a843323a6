"""All checks of a log, in the order in which they are said."""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.quality.ids import doubled_ids, ids_in_another_form
from gru4rec_cli.data.quality.missing import large_shares, missing_values
from gru4rec_cli.data.quality.sessions import session_findings
from gru4rec_cli.data.quality.times import exchanged, time_findings


class Origin(NamedTuple):
    """Facts about how a log was read, as far as the checks need them."""

    where: str  # the file, for messages
    group: str = "session"  # or "user": the kind of ids that the file groups its events by
    unit: str | None = "seconds"  # of the times; None: the times are numbers of rows
    gaps: bool = False  # sessions are made from pauses
    missing: tuple[str, ...] = ()  # texts that stand for a missing id, `data.missing`


def findings_of_rows(log: pl.DataFrame, origin: Origin) -> Iterator[Finding]:
    """Check the ids and times of a log as they are in the file, before sessions are made from pauses.

    Args:
        log: SESSION (ids of `origin.group`), ITEM, TIME.
        origin: how it was read.
    """
    for column, what in ((SESSION, origin.group), (ITEM, "item")):
        distinct = log[column].unique() if log.schema[column] == pl.String else log[column].clear()
        yield from doubled_ids(distinct, what, origin.where)
        yield from missing_values(log, column, what, origin.where, distinct, origin.missing)
    if origin.gaps:
        yield from large_shares(log, origin.group, origin.where, origin.missing)
    if origin.unit is not None:
        yield from time_findings(log, origin.unit, origin.where)


def findings_of_sessions(log: pl.DataFrame, origin: Origin) -> Iterator[Finding]:
    """Check the sessions of a log (SESSION, ITEM, TIME) as they are used."""
    return session_findings(log, origin.where, named=not origin.gaps, timed=origin.unit is not None)


def findings_between(train: pl.DataFrame, test: pl.DataFrame, *, timed: bool = True) -> Iterator[Finding]:
    """Check that two logs that are given as training and test belong together."""
    for column, what in ((SESSION, "session"), (ITEM, "item")):
        yield from ids_in_another_form(train[column], test[column], what)
    if timed:
        yield from exchanged(train, test)
