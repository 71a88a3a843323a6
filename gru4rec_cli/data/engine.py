"""The interface of an engine, which cleans and divides a log, and the engine that uses Polars in memory.

All rules are Narwhals expressions on lazy frames, the same for every engine. An engine decides where intermediate
tables are stored, and how the order within sessions is found.
"""

from typing import Any, Literal, Protocol

import narwhals as nw
import numpy as np
import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME

Table = nw.LazyFrame[Any]  # events: SESSION, ITEM, TIME and ROW; or a table made from them

_CHOSEN = "chosen"
ROW = "row"  # orders the events of one session and time
RANK = "rank"  # of the item, in a log whose events of equal time are ordered by it; else there is no such column
PAIR = "row number"  # in its file, of an event of a log whose files share row numbers; null where only one file has it


Choice = Any  # the events of a tally that stay, in the engine's own form
SessionOrder = Literal["id", "file"]
EqualTimes = Literal["file", "item", "first_seen"]


class Engine(Protocol):
    """Applies the rules to one kind of tables."""

    def compute(self, table: Table) -> Table:
        """Compute a table and return it."""

    def choice(self, events: Table, predicate: nw.Expr) -> Choice:
        """Choose the events of a tally for which a predicate holds; they may have further columns."""

    def without(self, events: Table, values: Table, column: str) -> Choice:
        """Choose the events whose value in a column is not in that column of a computed table."""

    def within(self, events: Table, values: Table, column: str) -> Table:
        """Return the events whose value in a column is in that column of a computed table."""

    def chosen(self, events: Table, choice: Choice) -> Table:
        """Return the chosen events, computed. The memory of `events` is reused: keep no other reference to them."""

    def shifted(self, events: Table, column: str, by: int, name: str) -> Table:
        """Add a column `name`: the value of the event `by` places earlier (negative: later) in its session, or null."""

    def running(self, events: Table, column: str, name: str) -> Table:
        """Add a column `name`: the sum of a column up to each event, in order of session, time and ROW."""

    def visiting_order(self, events: Table) -> Any:
        """Return SESSION, ITEM, TIME with original ids, as the engine's frame: by session (start, id), then time."""


def lazy(frame: pl.DataFrame | pl.LazyFrame) -> Table:
    """Return a Polars frame as a lazy one of Narwhals."""
    return nw.from_native(frame.lazy())


def native(events: Table) -> pl.DataFrame:
    """Compute a Narwhals frame and return it as one of Polars."""
    frame: pl.DataFrame = events.collect("polars").to_native()
    return frame


class PolarsEngine:
    """Keeps events in memory by session and time, which is the order of ROW, with 32-bit codes for ids.

    Sessions that start at the same time are visited in order of their ids or, with `sessions_by="file"`, in the order
    in which they first stand in the log.
    """

    def __init__(self, sessions_by: SessionOrder = "id") -> None:
        self._sessions_by = sessions_by
        self._ids: dict[str, Codes] = {}

    def events(self, logs: list[pl.DataFrame]) -> list[Table]:
        """Return logs (SESSION, ITEM, TIME) as events; call it once. The list is emptied on the way, to save memory.

        Codes are the same for the same id in every log, and in the order of the ids, or of the sessions.
        """
        self._ids = encode(logs, self._sessions_by)
        coded = []
        while logs:
            coded.append(lazy(in_order(logs.pop(0).rechunk())))
        return coded

    def compute(self, table: Table) -> Table:
        frame: pl.DataFrame = table.to_native().collect(engine="in-memory")
        if ROW in frame.columns and SESSION in frame.columns:
            if not frame[ROW].is_sorted():
                frame = frame.sort(ROW)
            frame = frame.with_columns(pl.col(SESSION).set_sorted())
        return lazy(frame)

    def choice(self, events: Table, predicate: nw.Expr) -> pl.Series:
        mask: pl.DataFrame = events.select(predicate.alias(_CHOSEN)).to_native().collect(engine="in-memory")
        return mask[_CHOSEN]

    def without(self, events: Table, values: Table, column: str) -> pl.Series:
        return self.choice(events, ~nw.col(column).is_in(self._values(values, column))).fill_null(value=True)

    def chosen(self, events: Table, choice: pl.Series) -> Table:
        frame: pl.DataFrame = events.to_native().collect(engine="in-memory")
        del events
        # One column after the other: the log is never in memory twice.
        return self.compute(lazy(pl.DataFrame([frame.drop_in_place(name).filter(choice) for name in frame.columns])))

    def within(self, events: Table, values: Table, column: str) -> Table:
        return events.filter(nw.col(column).is_in(self._values(values, column)))

    def _values(self, table: Table, column: str) -> pl.Series:
        return native(table.select(column))[column].implode()

    def shifted(self, events: Table, column: str, by: int, name: str) -> Table:
        same = pl.col(SESSION) == pl.col(SESSION).shift(by)
        return lazy(events.to_native().with_columns(pl.when(same).then(pl.col(column).shift(by)).alias(name)))

    def running(self, events: Table, column: str, name: str) -> Table:
        return lazy(events.to_native().with_columns(pl.col(column).cum_sum().alias(name)))

    def visiting_order(self, events: Table) -> pl.DataFrame:
        frame = native(events.select(SESSION, ITEM, TIME))
        del events
        rows = _visiting_rows(frame)
        columns: list[pl.Series] = []
        for name in (SESSION, ITEM, TIME):
            column = frame.drop_in_place(name).rechunk().gather(rows)
            columns.append(self._ids[name].decoded(column) if name in self._ids else column)
        return pl.DataFrame(columns)


def encode(logs: list[pl.DataFrame], sessions_by: SessionOrder = "id") -> "dict[str, Codes]":
    """Replace logs, in their list, by logs with codes for SESSION and ITEM, and return what the codes stand for.

    Codes are the same for the same id in every log, and in the order of the ids, or of the sessions.
    """
    every: dict[str, Codes] = {}
    for name in (SESSION, ITEM):
        as_they_come = name == SESSION and sessions_by == "file"
        columns = [log[name] for log in logs]
        codes = every[name] = Codes.by_place(columns) if as_they_come else Codes.of(columns)
        del columns
        for place in range(len(logs)):
            logs[place] = logs[place].with_columns(codes.encoded(logs[place][name]).rechunk())
    return every


class Codes:
    """UInt32 codes in the order of the ids: integers less the smallest if their range is small, else list indices."""

    def __init__(self, least: int, ids: pl.Series | None) -> None:
        self._least, self._ids = least, ids

    @classmethod
    def of(cls, columns: list[pl.Series]) -> "Codes":
        """Codes for all ids of these columns."""
        if columns[0].dtype.is_integer():
            bounds: list[int] = [bound for c in columns if len(c) for bound in (c.min(), c.max())]  # type: ignore[misc]
            if not bounds or max(bounds) - min(bounds) < 2**32:
                return cls(min(bounds, default=0), None)
        return cls(0, pl.concat([column.unique() for column in columns]).unique().sort())

    @classmethod
    def by_place(cls, columns: list[pl.Series]) -> "Codes":
        """Return codes in the order in which the ids first stand in these columns."""
        return cls(0, pl.concat([column.unique(maintain_order=True) for column in columns]).unique(maintain_order=True))

    def encoded(self, column: pl.Series) -> pl.Series:
        """Return the codes of ids."""
        if self._ids is None:
            return (column - self._least).cast(pl.UInt32)
        places = pl.DataFrame([self._ids.alias("id")]).with_row_index("place")
        frame = pl.DataFrame([column.alias("id")])
        return frame.join(places, on="id", how="left", maintain_order="left")["place"].alias(column.name)

    def decoded(self, codes: pl.Series) -> pl.Series:
        """Return the ids of codes."""
        if self._ids is None:
            return codes.cast(pl.Int64) + self._least
        return self._ids.gather(codes).alias(codes.name)


def with_ranks(log: pl.DataFrame, equal_times: EqualTimes) -> pl.DataFrame:
    """Add RANK to a log: of the item by its id (as a number if all are), or by the first of all rows that names it.

    With `equal_times="file"` the log stays as it is.
    """
    if equal_times == "file":
        return log
    if equal_times == "item":
        return log.with_columns(Codes.of([log[ITEM]]).encoded(log[ITEM]).fill_null(0).alias(RANK))
    return log.with_row_index(RANK).with_columns(pl.col(RANK).min().over(ITEM))


def in_order(log: pl.DataFrame) -> pl.DataFrame:
    """Sort a log by session and time, and number its rows.

    Equal times are in order of RANK if the log has that column, which is then dropped; else, and where ranks are equal,
    in their original order. Further columns stay.
    """
    events = log.with_row_index(ROW)
    keys = [SESSION, TIME, *([RANK] if RANK in log.columns else [])]
    in_order = pl.lit(value=True)
    for key in reversed(keys):
        before = pl.col(key).shift(1)
        in_order = (before < pl.col(key)) | ((before == pl.col(key)) & in_order)
    if not events.select(in_order.all()).item():
        del log
        events = events.sort(*keys, ROW).drop(ROW).with_row_index(ROW)
    others = [name for name in events.columns if name not in (ROW, SESSION, RANK)]
    return events.select(ROW, pl.col(SESSION).set_sorted(), *others)


def _visiting_rows(events: pl.DataFrame) -> pl.Series:
    """The indices of rows of events by (session, time), in visiting order."""
    runs = events.select(pl.col(SESSION).rle().struct.field("len")).with_columns(pl.col("len").cum_sum().alias("end"))
    runs = runs.with_columns((pl.col("end") - pl.col("len")).alias("begin"))
    runs = runs.with_columns(events[TIME].gather(runs["begin"])).sort(TIME, maintain_order=True)
    lengths = runs["len"].to_numpy()
    moved = runs["begin"].to_numpy() - (np.cumsum(lengths) - lengths)  # how far a session's rows move
    rows = np.arange(events.height, dtype=np.uint32) + np.repeat(moved.astype(np.uint32), lengths)
    return pl.Series(rows)
