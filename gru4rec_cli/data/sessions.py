"""Sessions as flat arrays, which all models and metrics use."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import AnyArray, Int32Array, Int64Array
from gru4rec_cli.base.names import ITEM, SESSION, SUPPORT, TIME
from gru4rec_cli.data.events import parquet_files

UNSEEN = -1  # index of an item that the training data does not hold


@dataclass(frozen=True)
class Vocabulary:
    """Item ids by index, in order of first appearance in the training data."""

    ids: AnyArray  # (V,) int64, or str objects
    supports: Int64Array  # (V,) training events of each

    @classmethod
    def of(cls, ids: AnyArray) -> "Vocabulary":
        """Return a vocabulary of these ids with all supports 0: the training events are unknown."""
        return cls(ids, np.zeros(len(ids), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Sessions:
    """Sessions in visiting order (ascending start time), events in time order, as compressed rows.

    Session `s` is `items[offsets[s]:offsets[s + 1]]`. An *event* to be predicted is any click but the
    first of its session; events are numbered in this order (`n_targets` of them).

    Raises ValueError if the arrays do not fit together, a session is empty, or an item is outside the vocabulary. So
    compiled loops need not check what they are given.
    """

    items: Int32Array  # (n_events,) index into the vocabulary, or UNSEEN
    offsets: Int64Array  # (n_sessions + 1,)
    times: Int64Array  # (n_events,) microseconds
    session_ids: AnyArray  # (n_sessions,)
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.items) or len(self.times) != len(self.items):
            raise ValueError("offsets, items and times do not fit together")
        if (np.diff(self.offsets) < 1).any():
            raise ValueError("offsets do not ascend: every session has at least one click")
        if not np.issubdtype(self.items.dtype, np.signedinteger):
            raise ValueError(f"items are {self.items.dtype}; they are indices: int32")
        if len(self.items) and (self.items.min() < UNSEEN or self.items.max() >= self.n_items):
            raise ValueError(
                f"items are {self.items.min()} to {self.items.max()}; indices are 0 to {self.n_items - 1}, or {UNSEEN} "
                "for an item that the vocabulary does not hold"
            )
        if len(self.session_ids) != len(self.offsets) - 1:
            raise ValueError("session_ids and offsets do not fit together")

    @property
    def n_sessions(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_events(self) -> int:
        return len(self.items)

    @property
    def n_items(self) -> int:
        return len(self.vocabulary)

    @property
    def n_targets(self) -> int:
        """Number of events to predict: all clicks but the first of each session."""
        return self.n_events - self.n_sessions

    @property
    def lengths(self) -> Int64Array:
        return np.diff(self.offsets)

    def input_rows(self) -> Int64Array:
        """Row of the last click of the history of every event, shape (n_targets,)."""
        is_input = np.ones(self.n_events, dtype=bool)
        is_input[self.offsets[1:] - 1] = False
        return np.flatnonzero(is_input)

    def target_items(self) -> Int32Array:
        """Item index of every event to predict, shape (n_targets,)."""
        return self.items[self.input_rows() + 1]

    def event_sessions(self) -> Int64Array:
        """Index of the session of every event to predict, shape (n_targets,)."""
        return np.repeat(np.arange(self.n_sessions), self.lengths - 1)

    def event_positions(self) -> Int64Array:
        """Number of clicks in the history of every event, shape (n_targets,)."""
        return self.input_rows() - np.repeat(self.offsets[:-1], self.lengths - 1) + 1

    def supports(self) -> Int64Array:
        """Number of events of every item, shape (V,)."""
        return np.bincount(self.items[self.items >= 0], minlength=self.n_items).astype(np.int64)

    def with_targets(self) -> "Sessions":
        """Return the sessions that hold an event to predict: those of two clicks or more."""
        longer = self.lengths > 1
        return self if longer.all() else self.select(np.flatnonzero(longer))

    def select(self, sessions: Int64Array) -> Self:
        """Return the given sessions (indices), in the given order."""
        lengths = self.lengths[sessions]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[sessions] - offsets[:-1], lengths)
        parts = {"items": self.items[rows], "times": self.times[rows], "session_ids": self.session_ids[sessions]}
        return replace(self, offsets=offsets, **parts)


def last_known_items(sessions: Sessions) -> Int32Array:
    """Return the last item of every event's history that is in the training data, or UNSEEN, shape (n_targets,)."""
    rows = np.arange(sessions.n_events)
    starts = np.repeat(sessions.offsets[:-1], sessions.lengths)
    latest = np.maximum.accumulate(np.where(sessions.items >= 0, rows, -1))
    known = np.where(latest >= starts, sessions.items[np.maximum(latest, 0)], UNSEEN)
    return known[sessions.input_rows()].astype(np.int32)


class LastEvents(Sessions):
    """Sessions of which only the last event of each is to be predicted. Each has two clicks or more."""

    @property
    def n_targets(self) -> int:
        return self.n_sessions

    def input_rows(self) -> Int64Array:
        return self.offsets[1:] - 2

    def event_sessions(self) -> Int64Array:
        return np.arange(self.n_sessions)

    def event_positions(self) -> Int64Array:
        return self.lengths - 1


def sessions_to_continue(
    items: Int32Array, lengths: Int64Array, vocabulary: Vocabulary, times: Int64Array | None = None
) -> LastEvents:
    """Return sessions of which the click after the last one is to be predicted.

    `items` (clicks,) are the item indices, or UNSEEN, of sessions that have `lengths` (n_sessions,) clicks each, at
    least one. A placeholder follows each session, so that its last click is an input like those of `evaluate`.
    `times` (clicks,) are microseconds; the placeholder has that of the last click. Without them, rows are numbered.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)]).astype(np.int64)
    clicks = np.zeros(offsets[-1], dtype=np.int32)
    is_click = np.ones(len(clicks), dtype=bool)
    is_click[offsets[1:] - 1] = False
    clicks[is_click] = items
    at = np.arange(len(clicks), dtype=np.int64)
    if times is not None:
        at[is_click] = times
        at[~is_click] = times[np.cumsum(lengths) - 1]
    return LastEvents(clicks, offsets, at, np.arange(len(lengths)), vocabulary)


def read_vocabulary(path: Path) -> Vocabulary:
    """Read the item table that `split` wrote."""
    table = pl.read_parquet(path, columns=[ITEM, SUPPORT])
    return Vocabulary(table[ITEM].to_numpy(), table[SUPPORT].to_numpy().astype(np.int64))


def read_sessions(path: Path, vocabulary: Vocabulary, *, known_only: bool = False) -> Sessions:
    """Read sessions from an event table that `split` wrote; items outside the vocabulary are UNSEEN.

    With `known_only`, such events are left out, and then sessions of a single event, as with `unseen: keep`.
    """
    sessions = sessions_from_frame(pl.read_parquet(parquet_files(path)), vocabulary)
    return without_unseen(sessions) if known_only else sessions


def without_unseen(sessions: Sessions) -> Sessions:
    """Return the sessions without UNSEEN events, those of which at least two events are left."""
    known = sessions.items != UNSEEN
    before = np.concatenate([[0], np.cumsum(known)])
    lengths = np.diff(before[sessions.offsets])
    long = lengths > 1
    rows = known & np.repeat(long, sessions.lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths[long])]).astype(np.int64)
    ids = sessions.session_ids[long]
    return Sessions(sessions.items[rows], offsets, sessions.times[rows], ids, sessions.vocabulary)


def sessions_from_frame(events: pl.DataFrame, vocabulary: Vocabulary) -> Sessions:
    """Return sessions from events whose rows are in visiting order, each session in one piece."""
    indices = pl.DataFrame(
        {
            ITEM: pl.Series(vocabulary.ids, dtype=events.schema[ITEM]),
            "index": np.arange(len(vocabulary), dtype=np.int32),
        }
    )
    joined = events.join(indices, on=ITEM, how="left", maintain_order="left")
    starts = events.select(first=pl.col(SESSION).ne_missing(pl.col(SESSION).shift(1)))["first"].to_numpy()
    starts = np.flatnonzero(starts)
    return Sessions(
        joined["index"].fill_null(UNSEEN).to_numpy().astype(np.int32),
        np.append(starts, events.height).astype(np.int64),
        events[TIME].to_numpy().astype(np.int64),
        events[SESSION].gather(starts).to_numpy(),
        vocabulary,
    )
