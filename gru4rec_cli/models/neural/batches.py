"""Batches of sessions of like lengths, for models that read a session in one pass.

The sequences of a batch lie one after the other, without padding: N events of B sequences.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import Int32Array, Int64Array
from gru4rec_cli.data.sessions import Sessions

_SORTED_TOGETHER = 16  # batches; sorting more of them by length saves little padding, and leaves the time order further


class Windows(NamedTuple):
    """Consecutive events of one session each: the inputs are `lengths[w]` clicks from row `firsts[w]` on."""

    firsts: Int64Array  # (windows,)
    lengths: Int64Array  # (windows,)


class Batch(NamedTuple):
    """The events of B sequences."""

    inputs: Int64Array  # (N,) items
    targets: Int64Array  # (N,) the item after each input
    positions: Int64Array  # (N,) place of each input in its sequence, from 0
    lengths: Int64Array  # (B,) events of each sequence


def cut_sessions(sessions: Sessions, longest: int) -> Windows:
    """Cut sessions into windows of at most `longest` events, so that every event lies in exactly one window.

    A session is cut from its first click on, every `longest` events. The history of an event begins with its window.
    """
    longest = min(longest, max(len(sessions.items), 1))  # beyond, it may be larger than any index
    events = sessions.lengths - 1
    counts = -(-events // longest)  # (sessions,) windows of each
    before = ranges(np.zeros_like(counts), counts) * longest  # (windows,) events of the session before each
    firsts = np.repeat(sessions.offsets[:-1], counts) + before
    return Windows(firsts, np.minimum(np.repeat(events, counts) - before, longest))


def draw_batches(
    lengths: Int64Array, batch_size: int, order: str, generator: np.random.Generator
) -> Iterator[Int64Array]:
    """Yield the sequences of each batch, at most `batch_size`; every sequence is in one batch.

    `order` is `shuffled`, or `time`: as the sequences are numbered. Then 16 batches at a time are sorted by length, so
    that a batch has sequences of like lengths, and come in random order.
    """
    batch_size = min(batch_size, max(len(lengths), 1))  # beyond, it may be larger than any index
    sequences = generator.permutation(len(lengths)) if order == "shuffled" else np.arange(len(lengths))
    for start in range(0, len(lengths), _SORTED_TOGETHER * batch_size):
        group = sequences[start : start + _SORTED_TOGETHER * batch_size]
        group = group[np.argsort(lengths[group], kind="stable")]
        for first in generator.permutation(np.arange(0, len(group), batch_size)):
            yield group[first : first + batch_size]


def batch_of(items: Int32Array, windows: Windows, chosen: Int64Array) -> Batch:
    """Return the events of the chosen windows; `items` (rows,) are the clicks of all sessions."""
    firsts, lengths = windows.firsts[chosen], windows.lengths[chosen]
    rows = ranges(firsts, lengths)
    inputs, targets = items[rows].astype(np.int64), items[rows + 1].astype(np.int64)
    return Batch(inputs, targets, ranges(np.zeros_like(lengths), lengths), lengths)


def histories(sessions: Sessions, longest: int) -> tuple[Int32Array, Int64Array, Int64Array]:
    """Return all clicks but the UNSEEN ones, and for every event where its history begins and ends among them.

    The history of event e is `clicks[firsts[e]:stops[e]]`: the last `longest` clicks, or fewer, or none.
    """
    longest = min(longest, max(len(sessions.items), 1))
    seen = sessions.items >= 0
    before = np.concatenate([[0], np.cumsum(seen)])  # (rows + 1,) seen clicks before each row
    stops = before[sessions.input_rows() + 1]
    firsts = np.maximum(before[sessions.offsets[sessions.event_sessions()]], stops - longest)
    return sessions.items[seen], firsts, stops


def ranges(firsts: Int64Array, lengths: Int64Array) -> Int64Array:
    """Return the numbers `firsts[i] … firsts[i] + lengths[i] - 1` for every i, one after the other, (Σ lengths,)."""
    before = np.cumsum(lengths) - lengths
    numbers: Int64Array = np.arange(lengths.sum()) + np.repeat(firsts - before, lengths)
    return numbers
