"""Neighbours of a session among the training sessions, and the items that they vote for.

The index holds, for every item, the most recent training sessions with it, most recent first, as in VMIS-kNN
(Kersbergen et al., *Serenade*, SIGMOD 2022): the `sample_size` most recent sessions that share an item with a history
are then found by looking at no more than `sample_size` entries for each of its items, and at fewer once enough recent
ones are known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.threads import in_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, FloatArray, Int32Array, Int64Array, ItemOrder
from gru4rec_cli.models.indexes.weights import FloatTable

_EVENTS_AT_ONCE = 1024  # that a thread takes at a time

_NONE = np.zeros(0)

# Arrays for `vote` to work in: by session similarity, shared item and its age; by item whether it was met, and sums.
Room = tuple[FloatTable, Int32Array, Int32Array, npt.NDArray[np.bool_], FloatTable]


@dataclass(frozen=True)
class NeighbourIndex:
    """Training sessions by recency (0 is the oldest; by the time of their last click), and by item."""

    offsets: Int64Array  # (sessions + 1,)
    items: Int32Array  # (entries,) the distinct items of each session, by their last click
    places: Int32Array  # (entries,) position of that click in the session, from 0
    ends: Int64Array  # (sessions,) time of the last click, microseconds
    item_offsets: Int64Array  # (V + 1,)
    item_sessions: Int32Array  # the most recent sessions with each item, most recent first

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "NeighbourIndex":
        """The index among the named arrays of a fitted model."""
        return cls(*(arrays[entry.name] for entry in fields(cls)))


@dataclass(frozen=True)
class Voting:
    """What a kind of neighbourhood makes of its neighbours.

    With s the history, n a training session, a(i) the age of item i in s (0: the last click), i* the most recent item
    of s that n holds:

    similarity(s, n) = Σ_{i ∈ s ∩ n} w(a(i)) · |n|^(-1/2 if `cosine` else 0) · `recency`[n];
    score_j = `item_factor`[j] · Σ_{n among the k most similar, j ∈ n} similarity(s, n) · `vote`[a(i*)]
    · `reach`[|place_n(j) - place_n(i*)|].

    w(a) = `decay`[a], or, where `power` > 0, (position / |s|)^power. Factors that are the same for all n, such as the
    norm of s, are left out: similarities are shares of the largest one. Empty tables are factors of 1.
    """

    k: int  # most similar sessions that vote
    sample_size: int  # most recent sessions among which they are looked for
    decay: FloatTable = field(default_factory=lambda: _NONE)
    power: float = 0.0
    cosine: bool = False
    recency: FloatTable = field(default_factory=lambda: _NONE)  # (sessions,)
    vote: FloatTable = field(default_factory=lambda: _NONE)
    reach: FloatTable = field(default_factory=lambda: _NONE)
    item_factor: FloatTable = field(default_factory=lambda: _NONE)  # (V,)


def build_index(train: Sessions, sample_size: int) -> NeighbourIndex:
    """The index over `train`, with at most `sample_size` sessions an item. Time and memory go with the events."""
    from gru4rec_cli.models.indexes.history_loops import is_latest
    from gru4rec_cli.models.indexes.neighbour_loops import recent_sessions

    order = np.argsort(train.times[train.offsets[1:] - 1], kind="stable")
    recent = train.select(order)
    rows = np.flatnonzero(is_latest(recent.items, recent.offsets, recent.n_items))
    offsets = np.searchsorted(rows, recent.offsets)
    owners = np.repeat(np.arange(recent.n_sessions), np.diff(offsets))
    places = (rows - recent.offsets[owners]).astype(np.int32)
    items = recent.items[rows]
    found = recent_sessions(items, owners, np.bincount(items, minlength=train.n_items), sample_size)
    return NeighbourIndex(offsets, items, places, recent.times[recent.offsets[1:] - 1], *found)


def inverse_frequency(index: NeighbourIndex, n_items: int) -> FloatTable:
    """idf_j = log(sessions / sessions that hold j), (V,)."""
    holding = np.bincount(index.items, minlength=n_items)
    idf: FloatTable = np.log(len(index.ends) / np.maximum(holding, 1))
    return idf


def recency_weights(index: NeighbourIndex, days: float) -> FloatTable:
    """exp(-(T - t_n) / λ) of every training session n, T the last one's time, (sessions,).

    Garg et al. (SIGIR 2019) count from the time of the history's session instead of T; that multiplies all
    weights by the same number, which changes no ranking.
    """
    weights: FloatTable = np.exp((index.ends - index.ends[-1]) / (86_400_000_000 * days))
    return weights


class Neighbourhood:
    """An index with a way of voting, ready to score."""

    def __init__(self, index: NeighbourIndex, voting: Voting, order: ItemOrder) -> None:
        self.index = index
        self.voting = voting
        self.order = order
        self._rooms: list[Room] = []  # one for each thread at work

    def blocks(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        """The scores that the neighbours of every event's history give."""
        rows = sessions.input_rows()
        starts = sessions.offsets[sessions.event_sessions()]

        def block(start: int) -> CandidateBlock:
            events = slice(start, start + _EVENTS_AT_ONCE)
            lists = self._vote(sessions.items, starts[events], rows[events])
            return CandidateBlock(start, np.arange(len(rows[events])), *lists, self.order)

        yield from in_threads(block, range(0, len(rows), _EVENTS_AT_ONCE))

    def _vote(
        self, clicks: Int32Array, starts: Int64Array, rows: Int64Array
    ) -> tuple[Int64Array, Int32Array, FloatArray]:
        from gru4rec_cli.models.indexes.neighbour_loops import vote

        index, voting = self.index, self.voting
        room = self._rooms.pop() if self._rooms else self._new_room()
        lists = vote(
            clicks,
            starts,
            rows,
            index.offsets,
            index.items,
            index.places,
            index.item_offsets,
            index.item_sessions,
            voting.k,
            voting.sample_size,
            voting.decay,
            voting.power,
            voting.cosine,
            voting.recency,
            voting.vote,
            voting.reach,
            voting.item_factor,
            *room,
        )
        self._rooms.append(room)
        return lists

    def _new_room(self) -> Room:
        n_sessions, n_items = len(self.index.ends), len(self.order)
        shared = np.zeros(n_sessions, dtype=np.int32), np.zeros(n_sessions, dtype=np.int32)
        return np.zeros(n_sessions), *shared, np.zeros(n_items, dtype=np.bool_), np.zeros(n_items)
