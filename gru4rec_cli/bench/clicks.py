"""Artificial clicks to measure on, made in memory: any number over any number of items, in a second or two.

The process is that of `synth` (gru4rec_cli.data.synthetic) without its guarantees: items are arcs of a circle, as long
as they are popular; a session moves along it by the offset of its hidden interest, or, now and then, anywhere.
"""

from dataclasses import dataclass

import numpy as np

from gru4rec_cli.base.arrays import Int32Array, Int64Array
from gru4rec_cli.data.sessions import Sessions, Vocabulary

SEED = 42

_ZIPF = 0.8  # popularity of the r-th item falls as r^-0.8
_LONGEST = 50  # clicks of a session; lengths from 2 are drawn with probability ∝ length^-2
_INTERESTS = 5
_NOISE = 0.15
_SPREAD = 0.005  # of the circle: how far a move strays from its interest's offset
_DAYS = 14


@dataclass(frozen=True)
class Clicks:
    """Training sessions, in which each of the V items occurs, and later ones of the same process."""

    train: Sessions
    test: Sessions


def make_clicks(n_events: int, n_items: int, n_test_events: int = 0) -> Clicks:
    """Make 14 days of clicks, the same for the same sizes. Raises `ValueError` for fewer than `n_items` events."""
    if n_events < n_items:
        raise ValueError(f"{n_events} events cannot hold {n_items} items")
    random = np.random.Generator(np.random.PCG64(SEED))
    offsets = _offsets(n_events, random)
    test_offsets = _offsets(n_test_events, random)
    starts = np.concatenate([offsets[:-1], n_events + test_offsets[:-1]])
    drawn = _items(n_events + n_test_events, starts, n_items, random)
    drawn[random.choice(n_events, n_items, replace=False)] = random.permutation(n_items)
    items = _by_first_appearance(drawn, n_items)
    times = np.linspace(0, _DAYS * 86_400e6, len(items)).astype(np.int64)
    supports = np.bincount(items[:n_events], minlength=n_items).astype(np.int64)
    vocabulary = Vocabulary(np.arange(n_items), supports)
    sessions = np.arange(len(offsets) + len(test_offsets) - 2)
    cut = len(offsets) - 1
    return Clicks(
        Sessions(items[:n_events], offsets, times[:n_events], sessions[:cut], vocabulary),
        Sessions(items[n_events:], test_offsets, times[n_events:], sessions[cut:], vocabulary),
    )


def _offsets(n_events: int, random: np.random.Generator) -> Int64Array:
    """Where sessions begin, and the end, for exactly so many events; sessions have at least two clicks."""
    if n_events < 2:
        return np.zeros(1, dtype=np.int64)
    lengths = np.arange(2, _LONGEST + 1)
    share = lengths**-2.0
    drawn = random.choice(lengths, size=n_events // 2, p=share / share.sum())
    ends = np.cumsum(drawn)
    ends = ends[ends <= n_events - 2]  # what is left over makes one more session
    return np.concatenate([[0], ends, [n_events]]).astype(np.int64)


def _items(n: int, starts: Int64Array, n_items: int, random: np.random.Generator) -> Int64Array:
    """Ranks of popularity, from 0, of the arcs that the clicks fall on, (n,)."""
    popularity = np.arange(1.0, n_items + 1) ** -_ZIPF
    circle = random.permutation(n_items)
    arcs = np.cumsum(popularity[circle])
    interest = random.integers(0, _INTERESTS, len(starts))
    lengths = np.diff(np.append(starts, n))
    moves = np.repeat((interest + 0.5) / _INTERESTS, lengths) + _SPREAD * random.random(n)
    anywhere = random.random(n) < _NOISE
    anywhere[starts] = True
    moves[anywhere] = random.random(int(anywhere.sum()))
    positions = np.cumsum(moves) % 1.0
    places = np.minimum(np.searchsorted(arcs, positions * arcs[-1], side="right"), n_items - 1)
    return np.asarray(circle[places], dtype=np.int64)


def _by_first_appearance(items: Int64Array, n_items: int) -> Int32Array:
    """The items numbered in the order in which they first appear, as a vocabulary does."""
    first = np.full(n_items, len(items), dtype=np.int64)
    np.minimum.at(first, items, np.arange(len(items)))
    number = np.empty(n_items, dtype=np.int32)
    number[np.argsort(first, kind="stable")] = np.arange(n_items, dtype=np.int32)
    return number[items]
