"""Recommendations of a fitted model for a whole file of clicks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import AnyArray, BoolArray, Int64Array
from gru4rec_cli.base.errors import CheckError, DataError, StudyError
from gru4rec_cli.base.names import ITEM
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.engine import PolarsEngine
from gru4rec_cli.data.memory import require_room
from gru4rec_cli.data.quality.finding import Words, reworded_text
from gru4rec_cli.data.sessions import UNSEEN, Sessions, Vocabulary, last_known_items, sessions_from_frame
from gru4rec_cli.data.sessions import sessions_to_continue as to_continue
from gru4rec_cli.evaluation.recommending import Choice, Recommendations, recommendations
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.serving.list_files import TableFile, written
from gru4rec_cli.serving.lists import NAMED, Wish, about, choice_of, nothing_known
from gru4rec_cli.study.describing import OPTIONS, Options, read_input

_CLICKS_AT_ONCE = 100_000  # whose states and histories a model holds together
_BYTES_AN_ITEM = 40 * 1024  # that the lists of 1,024 events take for each item of a list

# Settings in hints, as options of `recommend`; the others are said to be of a configuration, which it takes, too.
_SETTINGS = (r"data\.columns\.time: null", r"data\.time_unit:?", r"data\.separator:?", r"data\.format")
_WORDS: Words = {
    **{pattern: OPTIONS[pattern] for pattern in _SETTINGS},
    r"data\.columns\.(session|item|time)\b": r"--\1",
    r"\bset --": "give --",
    r"\bSet --": "Give --",
}


@dataclass(frozen=True)
class Clicks:
    """A file of sessions, and how it is laid out."""

    path: Path
    options: Options = field(default_factory=Options)
    config: Path | None = None  # a study whose data section describes the file


def recommend_sessions(
    fitted: FittedModel, clicks: Clicks, to: Path, wish: Wish, *, each_click: bool = False, progress: Progress = SILENT
) -> dict[str, Any]:
    """Write the recommendations at the end of every session of a file, and return what was counted, ready for JSON.

    The columns are session, rank, item and score; sessions are in the order of their first clicks. With `each_click`,
    there is a list for every click but the first of its session instead, from the clicks before it, and a column
    position says which: 2 is the second click. So `evaluate.predictions` reads them.

    Raises:
        UsageError: options contradict each other, nothing is left to recommend, or the file cannot be written.
        DataError: a file cannot be read, or the model knows none of its items.
    """
    choice, given = choice_of(fitted, wish)
    longest = min(wish.k, len(fitted.ids))
    require_room(_BYTES_AN_ITEM * longest, f"--k: 1,024 lists of {longest:,} items", "give a smaller --k")
    events = _read(clicks, progress)
    with progress.task("put clicks in order"):
        sessions = _sessions(events, fitted)
    unknown = sessions.items == UNSEEN
    if unknown.all():
        texts = events[ITEM].unique(maintain_order=True).head(NAMED + 1).cast(pl.String).to_list()
        raise DataError(f"{clicks.path}: {nothing_known(texts, fitted)}", "name the column of items with --item")
    counted = {
        "sessions": sessions.n_sessions,
        "clicks": sessions.n_events,
        "unknown": {"clicks": int(unknown.sum()), "items": _unknown_items(events, fitted), **given},
    }
    del events, unknown
    source = _after_each_click(sessions) if each_click else _at_the_end(sessions)
    del sessions
    without = source.n_asked - source.n_lists
    counted["lists"] = source.n_lists
    counted["without_list"] = {"clicks" if each_click else "sessions": without}
    with written(to) as table:
        _write(fitted, source, wish.k, choice, table, progress)
    return {"model": about(fitted), "k": wish.k, **counted, "written": str(to)}


def _read(clicks: Clicks, progress: Progress) -> pl.DataFrame:
    """Return the clicks of a file in visiting order: sessions by start, clicks by time."""
    if not clicks.path.exists():
        raise DataError(f"there is no file {clicks.path}", "check the path; it is relative to the current folder")
    try:
        events = read_input(clicks.path, clicks.config, clicks.options, progress).events
    except StudyError as error:
        error.hint = reworded_text(error.hint, {} if clicks.config is not None else _WORDS)
        raise
    engine = PolarsEngine()
    return engine.visiting_order(engine.events([events]).pop())


def _sessions(events: pl.DataFrame, fitted: FittedModel) -> Sessions:
    """Return the clicks as sessions over the model's items. Where either ids are text, they are compared as text."""
    vocabulary = Vocabulary.of(fitted.ids)
    if events.schema[ITEM].is_integer() == (fitted.ids.dtype.kind == "i"):
        return sessions_from_frame(events, vocabulary)
    events = events.with_columns(pl.col(ITEM).cast(pl.String))
    texts: AnyArray = np.array([str(item) for item in fitted.id_list], dtype=np.object_)
    return replace(sessions_from_frame(events, Vocabulary.of(texts)), vocabulary=vocabulary)


def _unknown_items(events: pl.DataFrame, fitted: FittedModel) -> int:
    """Return the number of distinct items that the model does not know."""
    items = events.select(pl.col(ITEM).unique().cast(pl.String))[ITEM]
    known = pl.Series(ITEM, fitted.id_list).cast(pl.String)
    return int((~items.is_in(known.implode())).sum())


@dataclass(frozen=True)
class _Asked:
    """Sessions whose events, or some of them, get a list."""

    sessions: Sessions
    gets_list: BoolArray  # (n_targets,)
    n_asked: int  # lists that there were if the model knew all items
    with_position: bool

    @property
    def n_lists(self) -> int:
        return int(self.gets_list.sum())


def _at_the_end(sessions: Sessions) -> _Asked:
    """Return the sessions that hold a known item, each to be continued after its last click."""
    known = np.add.reduceat(sessions.items != UNSEEN, sessions.offsets[:-1]) > 0
    chosen = sessions if known.all() else sessions.select(np.flatnonzero(known))
    asked = to_continue(chosen.items, chosen.lengths, chosen.vocabulary, chosen.times)
    asked = replace(asked, session_ids=chosen.session_ids)
    return _Asked(asked, np.ones(asked.n_sessions, dtype=bool), sessions.n_sessions, with_position=False)


def _after_each_click(sessions: Sessions) -> _Asked:
    """Return the sessions of two clicks or more; a list is for the clicks that a known item precedes."""
    asked = sessions.with_targets()
    return _Asked(asked, last_known_items(asked) != UNSEEN, asked.n_targets, with_position=True)


@dataclass(frozen=True)
class _Rows:
    """What turns lists into rows of the file."""

    asked: _Asked
    names: pl.Series  # of the sessions
    items: pl.Series  # ids by index
    session_of: Int64Array  # (n_targets,)
    positions: Int64Array  # (n_targets,) of the click after the history in its session, from 1

    @classmethod
    def of(cls, asked: _Asked, fitted: FittedModel) -> "_Rows":
        """Return what the rows of these sessions need."""
        sessions = asked.sessions
        is_text = sessions.session_ids.dtype == np.object_
        names = pl.Series(sessions.session_ids, dtype=pl.String if is_text else pl.Int64)
        items = pl.Series(fitted.id_list)
        return cls(asked, names, items, sessions.event_sessions(), sessions.event_positions() + 1)

    def table(self, found: Recommendations, start: int) -> pl.DataFrame:
        """Return the rows of the lists of consecutive events, of which the first is `start`."""
        listed = (found.items >= 0) & self.asked.gets_list[start : start + len(found.items), None]
        events, places = np.nonzero(listed)
        # Equal scores that a model tells apart by an order of its items would be ties for `evaluate`.
        scores = (found.dense if self.asked.with_position else found.scores)[listed]
        if np.isnan(scores).any():
            raise CheckError("some scores are not numbers (NaN); the model has diverged", "fit the model again")
        position = [pl.Series("position", self.positions[start + events])] if self.asked.with_position else []
        return pl.DataFrame(
            [
                self.names.gather(self.session_of[start + events]).alias("session"),
                *position,
                pl.Series("rank", places + 1, dtype=pl.Int32),
                self.items.gather(found.items[listed]).alias("item"),
                pl.Series("score", scores, dtype=pl.Float64 if self.asked.with_position else pl.Float32),
            ]
        )


def _write(fitted: FittedModel, asked: _Asked, k: int, choice: Choice, file: TableFile, progress: Progress) -> None:
    """Write the lists, session after session."""
    rows, done = _Rows.of(asked, fitted), 0
    nothing = Recommendations(np.empty((0, 1), dtype=np.int32), np.empty((0, 1), dtype=np.float32))
    file.add(rows.table(nothing, 0))  # so that a file without lists has its columns
    what, unit = ("recommend after each click", "clicks") if asked.with_position else ("recommend", "sessions")
    with progress.task(what, total=asked.sessions.n_targets, unit=unit) as task:
        for part in _parts(asked.sessions):
            for found in recommendations(fitted.score(part), part, k, choice):
                file.add(rows.table(found, done))
                done += len(found.items)
                task.advance(len(found.items))


def _parts(sessions: Sessions) -> Iterator[Sessions]:
    """Yield consecutive sessions, of about as many clicks as are held together."""
    ends = np.searchsorted(sessions.offsets, np.arange(0, sessions.n_events, _CLICKS_AT_ONCE))
    bounds = np.unique(np.append(ends, sessions.n_sessions))
    for start, stop in pairwise(bounds):
        yield sessions.select(np.arange(start, stop))
