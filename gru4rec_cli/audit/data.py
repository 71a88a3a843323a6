"""Checks of a click log, before anything is removed from it or divided."""

from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec_cli.audit.check import Audit, CannotCheck, Checks, Choice, Measured, ratio
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.engine import encode, in_order
from gru4rec_cli.data.frames import read_table
from gru4rec_cli.data.order_signal import order_signal
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.quality.ids import OTHER_FORM, ROUNDED, TWO_FORMS
from gru4rec_cli.data.quality.missing import LARGE_SHARE, MISSING_VALUE
from gru4rec_cli.data.quality.sessions import LASTING, LONG, SHARED
from gru4rec_cli.data.quality.times import FAR, FUTURE, TWO_UNITS, UNIT
from gru4rec_cli.data.times import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, TimeUnit
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.describing import Options, read_input

DATA: Checks["Log"] = Checks()

_HOUR = 3600 * MICROSECONDS_PER_SECOND
_NEAR_AN_HOUR = 2 * 60 * MICROSECONDS_PER_SECOND  # a pause this near to whole hours, before or after them
_BY_CHANCE = 2 * _NEAR_AN_HOUR / _HOUR  # the share of long pauses that are so by chance
_FEWEST = 50  # observations below which a share says nothing
_ROBOT_EVENTS, _ROBOT_PAUSE = 20, MICROSECONDS_PER_SECOND  # a session of so many events, with a median pause below this
_NO_SIGNAL = 0.05  # nats a transition
_SAME = [SESSION, ITEM, TIME]


class Log:
    """A click log and what several checks need of it.

    `events` are SESSION, ITEM, TIME (microseconds) in the order of the file; `timed` says that the times are times and
    not row numbers, `in_file_order` that the rows are in the order of the file, `users` that it has a column of users;
    `findings` is what reading found. `ordered` has the events by session and time, with codes for ids: `ids` gives the
    id of a code.
    """

    def __init__(
        self,
        events: pl.DataFrame,
        findings: list[Finding],
        *,
        timed: bool = True,
        in_file_order: bool = True,
        users: bool = False,
    ) -> None:
        self.height, logs = events.height, [events]
        del events
        self._codes = encode(logs)
        self.out_of_order = _rows_out_of_order(logs[0]) if in_file_order else None
        self.ordered = in_order(logs.pop()).select(_SAME)
        self.findings, self.timed, self.users = findings, timed, users

    @cached_property
    def follows(self) -> pl.Series:
        """True for every event of `ordered` that is not the first of its session."""
        return self.ordered.select((pl.col(SESSION) == pl.col(SESSION).shift(1)).fill_null(value=False)).to_series()

    @cached_property
    def pauses(self) -> pl.Series:
        """Microseconds from the event before, of every event that is not the first of its session."""
        return self.ordered.select(pl.col(TIME).diff()).to_series().filter(self.follows)

    @cached_property
    def sessions(self) -> pl.DataFrame:
        """A row for each session: its events, first and last time."""
        return self.ordered.group_by(SESSION).agg(
            pl.len().alias("events"),
            pl.col(TIME).min().alias("first"),
            pl.col(TIME).max().alias("last"),
        )

    @cached_property
    def copies(self) -> pl.DataFrame:
        """A row for each distinct event, with the number of its rows; only events that share a time are counted."""
        before = (pl.col(SESSION) == pl.col(SESSION).shift(1)) & (pl.col(TIME) == pl.col(TIME).shift(1))
        with_before = before.fill_null(value=False)
        tied = self.ordered.select(with_before | with_before.shift(-1, fill_value=False)).to_series()
        alone = self.ordered.filter(~tied).with_columns(pl.lit(1, pl.UInt32).alias("rows"))
        together = self.ordered.filter(tied).group_by(_SAME).agg(pl.len().alias("rows"))
        return pl.concat([alone, together])

    def ids(self, column: str, codes: pl.Series) -> pl.Series:
        """Return the ids in SESSION or ITEM for which codes stand."""
        return self._codes[column].decoded(codes)

    def require_times(self) -> None:
        """Raise `CannotCheck` where the times are row numbers."""
        if not self.timed:
            raise CannotCheck("the log has no times")

    def require_pauses(self) -> None:
        """Raise `CannotCheck` where no session has a second event."""
        if not len(self.pauses):
            raise CannotCheck("no session has two events")

    def found(self, *ids: str) -> Measured:
        """Return how many findings of reading have one of these ids, and what they say."""
        these = [finding for finding in self.findings if finding.id in ids]
        said = "; ".join(finding.message for finding in these) or "nothing of the kind was found"
        return Measured(len(these), said, "; ".join(dict.fromkeys(finding.hint for finding in these)))


def _rows_out_of_order(events: pl.DataFrame) -> int:
    earlier = pl.col(TIME) < pl.col(TIME).cum_max().over(SESSION)
    return int(events.select(earlier.sum()).item())


def audit_data(
    data: Path | None,
    config: Path | None = None,
    options: Options | None = None,
    choice: Choice | None = None,
    progress: Progress = SILENT,
) -> Audit:
    """Return the results of all checks of the log that `split` would read.

    Raises:
        UsageError: options contradict each other, or an id is that of no check.
        DataError: the log cannot be read.
    """
    if data is None and config is None:
        raise UsageError("nothing to audit", "name a file or folder of clicks, or give --config FILE")
    read = read_input(data, config, options or Options(), progress)
    users = options is not None and options.user is not None
    users = users or (config is not None and load_config(config, needs_models=False).data.columns.user is not None)
    log = Log(
        read.events,
        read.findings,
        timed=read.unit is not None or not read.reading,
        in_file_order=read.in_file_order,
        users=users,
    )
    del read
    return Audit(str(data or config), DATA.run(log, choice or Choice(), progress))


def audit_events(
    events: Any,
    *,
    session: str = "SessionId",
    item: str = "ItemId",
    time: str = "Time",
    time_unit: TimeUnit = "seconds",
    choice: Choice | None = None,
) -> Audit:
    """Return the results of all checks of a table of pandas, Polars or PyArrow; columns as for `data.frames.clean`."""
    log, findings = read_table(events, {SESSION: session, ITEM: item, TIME: time}, time_unit)
    return Audit("the table", DATA.run(Log(log, findings), choice or Choice()))


@DATA.check(
    "D01-rows-out-of-order", "Within a session, rows are in order of time", warn=0.001, fail=None,
    remedy="sort the file by session and time before another program reads it; split sorts by itself",
)  # fmt: skip
def _rows(log: Log) -> Measured:
    """Programs that read rows as they come take the wrong click as the next one. The Diginetica of NARM, STAMP and of
    SR-GNN's first version is not sorted within sessions."""
    log.require_times()
    if log.out_of_order is None:
        raise CannotCheck("the rows are not in the order of a file")
    return Measured.share(log.out_of_order, log.height, "rows are earlier than a row before them in their session")


@DATA.check(
    "D02-order-signal", "The order of clicks tells more than that items occur together",
    unit="ratio", warn=0.95, fail=None,
    remedy="find out whether the order was lost when the file was written; if not, models of order have nothing "
        "to learn",
)  # fmt: skip
def _order(log: Log) -> Measured:
    """A Markov chain predicts transitions of later sessions as they are, and reversed. Where it does as well on the
    reversed ones, the order of clicks was lost, or it means nothing here: a model of sequences then has no advantage.
    The figure is 1 less the relative difference of the two gains of log likelihood."""
    signal = order_signal(log.ordered)
    forward, backward = signal["forward"]["gain"], signal["reversed"]["gain"]
    if forward is None or signal["transitions"] < 20 * _FEWEST:
        raise CannotCheck("there are too few transitions between items")
    said = f"log likelihood above that of popularity: {forward:.3f} nats a transition, reversed {backward:.3f}"
    return Measured(1 - (forward - backward) / max(abs(forward), abs(backward), _NO_SIGNAL), said)


@DATA.check(
    "D03-equal-times", "Events of a session have different times", warn=0.05, fail=0.5,
    remedy="take finer times from the source; where the order of the rows is right, give --time none",
)  # fmt: skip
def _equal_times(log: Log) -> Measured:
    """Where events of a session share a time, their order is that of the file, which may be any. RecSysEvaluation's
    Diginetica has 99.95 % equal times."""
    log.require_times()
    log.require_pauses()
    equal = int((log.pauses == 0).sum())
    return Measured.share(equal, len(log.pauses), "events have the time of the event before them in their session")


@DATA.check(
    "D04-duplicates", "No event is there twice", warn=0.01, fail=0.1,
    remedy="find out what repeats the rows; split.drop_duplicates: true drops exact copies",
)  # fmt: skip
def _duplicates(log: Log) -> Measured:
    """A row that is there twice is a click that is easy to predict: its copy. 16.5 % of the rows of RecSysEvaluation's
    Diginetica are copies, and they raise every model that may recommend the last item again."""
    log.require_times()
    copies = log.height - log.copies.height
    return Measured.share(copies, log.height, "rows equal another one in session, item and time")


@DATA.check(
    "D05-join-fan-out", "No item has each of its events a fixed number of times", warn=0.01, fail=0.05,
    remedy="join attributes after the events are counted, or on a table with one row an item",
)  # fmt: skip
def _fan_out(log: Log) -> Measured:
    """A join with a table that has several rows an item, such as its categories, repeats every event of the item as
    many times. The share is that of the items with three events or more whose events are all there equally often, and
    more than once. Such a join made the copies in RecSysEvaluation's Diginetica."""
    log.require_times()
    items = log.copies.group_by(ITEM).agg(
        pl.col("rows").min().alias("least"), pl.col("rows").max().alias("most"), pl.len().alias("events")
    )
    asked = items.filter(pl.col("events") >= 3)
    if asked.height < _FEWEST:
        raise CannotCheck(f"fewer than {_FEWEST} items have three events")
    repeated = asked.filter((pl.col("least") == pl.col("most")) & (pl.col("least") > 1))
    example = f", such as {log.ids(ITEM, repeated[ITEM].sort())[0]!r}" if repeated.height else ""
    return Measured.share(
        repeated.height, asked.height, f"items{example} have all their events equally often, and more than once"
    )


@DATA.check(
    "D06-immediate-repeats", "Few clicks repeat the item before them", warn=0.35, fail=None,
    remedy="decide whether a repeat is a click (a reload, a join) and say so; split.drop_repeats: true drops them",
)  # fmt: skip
def _repeats(log: Log) -> Measured:
    """A model that recommends the last item again is right as often as this. 21 % of the clicks in RecSysEvaluation's
    Diginetica are immediate repeats, nearly all of them copies made by a join."""
    log.require_pauses()
    same_item = log.ordered.select((pl.col(ITEM) == pl.col(ITEM).shift(1)).fill_null(value=False)).to_series()
    same = int((same_item & log.follows).sum())
    return Measured.share(same, len(log.pauses), "clicks are on the item of the click before")


@DATA.check(
    "D07-times", "The times are plausible and of one unit", unit="findings", warn=1, fail=None,
    remedy="set the unit of the times, or correct the rows",
)  # fmt: skip
def _times(log: Log) -> Measured:
    """With a wrong unit, or two of them, sessions are divided at the wrong places, and so is the log. A few wrong dates
    move every cut that counts days from the last event."""
    log.require_times()
    return log.found(UNIT, TWO_UNITS, FUTURE, FAR)


@DATA.check(
    "D08-time-zones", "Long pauses within sessions are not near whole hours", warn=0.3, fail=0.6,
    remedy="write all times in one zone, such as UTC",
)  # fmt: skip
def _time_zones(log: Log) -> Measured:
    """Where some rows of a session are in another time zone than the others, pauses of nearly whole hours appear, and
    the clicks are in a wrong order. The share is that of pauses of half an hour or more which are within two minutes of
    whole hours; by chance it is about 7 %."""
    log.require_times()
    long = log.pauses.filter(log.pauses >= _HOUR // 2)
    if len(long) < _FEWEST:
        raise CannotCheck(f"fewer than {_FEWEST} pauses within sessions are half an hour or longer")
    rest = long % _HOUR
    near = int(((rest <= _NEAR_AN_HOUR) | (rest >= _HOUR - _NEAR_AN_HOUR)).sum())
    return Measured.share(near, len(long), f"long pauses are near whole hours ({_BY_CHANCE:.0%} by chance)")


@DATA.check(
    "D09-missing-days", "Every day between the first and the last has events", warn=0.05, fail=0.3,
    remedy="find out whether days are missing from the source, or the shop was closed",
)  # fmt: skip
def _days(log: Log) -> Measured:
    """Days without events are days that were lost, or dates that are wrong. Popularity, recency and a cut by days then
    mean something else than they say."""
    log.require_times()
    days = log.ordered.select((pl.col(TIME) // MICROSECONDS_PER_DAY).unique()).to_series()
    span = int(days.max()) - int(days.min()) + 1  # type: ignore[arg-type]
    return Measured.share(span - len(days), span, "days (UTC) have no event")


@DATA.check(
    "D10-sessions-over-midnight", "Few sessions go on over midnight", warn=0.1, fail=None,
    remedy="divide by sessions, as split does, and not by the day of each event",
)  # fmt: skip
def _midnight(log: Log) -> Measured:
    """A cut of events by the day breaks these sessions in two, and training then knows the beginning of what the test
    asks for. Midnight is that of UTC."""
    log.require_times()
    several = log.sessions.filter(pl.col("events") > 1)
    over = several.filter(pl.col("first") // MICROSECONDS_PER_DAY != pl.col("last") // MICROSECONDS_PER_DAY).height
    return Measured.share(over, several.height, "sessions of two events or more go on over midnight")


@DATA.check(
    "D11-sessions-longer-than-a-day", "A session is one visit: it ends within a day", warn=0.01, fail=0.1,
    remedy="set data.sessions.gap_minutes: 30, to end a session after half an hour without an event",
)  # fmt: skip
def _lasting(log: Log) -> Measured:
    """Ids of users or of browsers in place of sessions make sequences of weeks. The task is then another one, and not
    comparable with published figures on sessions."""
    log.require_times()
    several = log.sessions.filter(pl.col("events") > 1)
    lasting = several.filter(pl.col("last") - pl.col("first") > MICROSECONDS_PER_DAY).height
    more = "; half of them last longer than a day" if any(finding.id == LASTING for finding in log.findings) else ""
    return Measured.share(lasting, several.height, f"sessions of two events or more last longer than a day{more}")


@DATA.check(
    "D12-sessions-of-two-users", "A session has one user", unit="findings", warn=None, fail=1,
    remedy="make an id of session and user together",
)  # fmt: skip
def _users(log: Log) -> Measured:
    """Session numbers that begin again for every user join the clicks of different people. Only a log with a column of
    users shows it."""
    if not log.users:
        raise CannotCheck("the log has no column of users")
    return log.found(SHARED)


@DATA.check(
    "D13-very-long-sessions", "No session is so long that it decides what models count",
    unit="findings", warn=1, fail=None,
    remedy="set split.max_session_length",
)  # fmt: skip
def _long(log: Log) -> Measured:
    """A few sessions of thousands of events are robots, or a missing id. Models that count pairs of items count mostly
    theirs, and take as much longer."""
    return log.found(LONG, LARGE_SHARE)


@DATA.check(
    "D14-robots", "Hardly any events are in long sessions of less than a second a click", warn=0.005, fail=0.05,
    remedy="drop these sessions, or ask whoever wrote the log what makes them",
)  # fmt: skip
def _robots(log: Log) -> Measured:
    """No person clicks 20 times at a median pause of less than a second. Robots are easy to predict, and they are not
    who the recommendations are for."""
    log.require_times()
    long = log.sessions.filter((pl.col("events") >= _ROBOT_EVENTS) & (pl.col("last") > pl.col("first")))
    pauses = log.ordered.join(long, on=SESSION, how="semi", maintain_order="left").group_by(SESSION)
    fast = pauses.agg(pl.col(TIME).diff().median().alias("pause")).filter(pl.col("pause") < _ROBOT_PAUSE)
    robots = long.join(fast, on=SESSION, how="semi")
    events = int(robots["events"].sum())
    return Measured.share(
        events,
        log.height,
        f"events are in {robots.height:,} sessions of {_ROBOT_EVENTS} events or more with a median pause below "
        f"a second",
    )


@DATA.check(
    "D15-ids-in-two-forms", "An item or session has one id", unit="findings", warn=1, fail=None,
    remedy="write all ids in one way",
)  # fmt: skip
def _forms(log: Log) -> Measured:
    """Ids that differ only by case, spaces, leading zeros or a decimal point are mostly one thing. An item is then two
    rarer ones, and half of the test may be unknown to training."""
    return log.found(TWO_FORMS, OTHER_FORM, ROUNDED)


@DATA.check(
    "D16-missing-values-as-ids", "No id stands for a missing value", unit="findings", warn=1, fail=None,
    remedy="set data.missing",
)  # fmt: skip
def _missing(log: Log) -> Measured:
    """All rows without a session are one long session, and all rows without an item are one popular item, if NULL or -1
    are taken for ids."""
    return log.found(MISSING_VALUE)


@DATA.check(
    "D17-items-equal-sessions", "Session and item ids are different things", warn=0.05, fail=0.5,
    remedy="name the right columns: columns.session and columns.item",
)  # fmt: skip
def _same_column(log: Log) -> Measured:
    """Where one column is read as both, or a program has mixed them up, rows have the same session and item. Numbers
    from 1 coincide in a few rows by chance."""
    sessions, items = (log.ids(column, log.ordered[column]) for column in (SESSION, ITEM))
    if sessions.dtype != items.dtype:
        return Measured(0, "session and item ids are of different types")
    equal = int((sessions == items).sum())
    return Measured.share(equal, log.height, "rows have the same session and item id")


@DATA.check(
    "D18-constant-columns", "No single item or session has most of the events", warn=0.3, fail=0.9,
    remedy="name the right columns, or drop the value that is nearly everywhere",
)  # fmt: skip
def _constant(log: Log) -> Measured:
    """A column that is nearly constant is the wrong column, or holds a default value. Whoever recommends it is always
    right."""
    if log.height < _FEWEST:
        raise CannotCheck(f"the log has fewer than {_FEWEST} events")
    tops = {column: log.ordered[column].value_counts(sort=True, name="rows").row(0) for column in (SESSION, ITEM)}
    column = max(tops, key=lambda name: tops[name][1])
    code, rows = tops[column]
    value = log.ids(column, pl.Series([code], dtype=pl.UInt32))[0]
    what = "session" if column == SESSION else "item"
    return Measured(ratio(rows, log.height), f"the {what} {value!r} has {rows:,} of {log.height:,} events")


@DATA.check(
    "D19-popularity-drift", "What was popular at the beginning is still popular at the end",
    unit="change", warn=0.9, fail=None,
    remedy="use a recent part of the log for training, and split by time",
)  # fmt: skip
def _drift(log: Log) -> Measured:
    """Where popularity changes within the log, old sessions teach little, and a random split shows training the future.
    The figure is 1 less the cosine between the counts by item of the first and of the last tenth of the events."""
    log.require_times()
    tenth = log.height // 10
    if tenth < 20 * _FEWEST:
        raise CannotCheck("a tenth of the log has too few events")
    by_time = log.ordered.select(ITEM, TIME).sort(TIME)[ITEM]
    first, last = (part.value_counts(name="count") for part in (by_time.head(tenth), by_time.tail(tenth)))
    both = first.join(last, on=ITEM).select(pl.col("count").cast(pl.Float64), pl.col("count_right").cast(pl.Float64))
    norms = [float((part["count"].cast(pl.Float64) ** 2).sum()) ** 0.5 for part in (first, last)]
    alike = float((both["count"] * both["count_right"]).sum()) / (norms[0] * norms[1])
    return Measured(1 - alike, f"the cosine between the counts by item of the first and the last tenth is {alike:.3f}")


@DATA.check(
    "D20-items-seen-once", "Few items have a single event", warn=0.5, fail=None,
    remedy="set split.min_item_support, and say which; it is counted in training and test together",
)  # fmt: skip
def _once(log: Log) -> Measured:
    """An item with one event cannot be both learned and asked for. It makes the catalogue look larger than it is, and
    filters of rare items (5 in most papers) then change the data much."""
    supports = log.ordered.group_by(ITEM).len()["len"]
    once = int((supports == 1).sum())
    return Measured.share(once, len(supports), "items have one event")


@DATA.check(
    "D21-sessions-of-one-event", "Many sessions have a second event", warn=0.8, fail=0.95,
    remedy="name the column of sessions: columns.session; where there is none, make sessions from the clicks of each "
        "user: data.sessions: {by: user, gap_minutes: 30}",
)  # fmt: skip
def _single(log: Log) -> Measured:
    """A session of one event has nothing to predict, and split drops it. Where nearly all are so, the column of
    sessions is mostly another one: ids of events, of orders, or of users who come once."""
    if log.sessions.height < _FEWEST:
        raise CannotCheck(f"the log has fewer than {_FEWEST} sessions")
    single = int((log.sessions["events"] == 1).sum())
    kept = log.height - single
    said = f"sessions have one event; {kept:,} of {log.height:,} events are in longer ones"
    return Measured.share(single, log.sessions.height, said)
