"""Loops over the histories of events; compiled by numba at first use and kept on disk.

An event's history is the clicks `starts[event] … rows[event]` of `items`; negative items are unknown and passed over.
"""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

_compiled = compiled()


@_compiled
def count_history(
    items: Int32Array, starts: Int64Array, rows: Int64Array, n_items: int
) -> tuple[Int64Array, Int32Array, npt.NDArray[np.float32]]:
    """The distinct items of every history and their number of clicks: (events + 1,) offsets, items and counts."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    most = 0
    for event in range(len(rows)):
        most += rows[event] - starts[event] + 1
    found = np.empty(most, dtype=np.int32)
    counts = np.empty(most, dtype=np.float32)
    place = np.full(n_items, -1, dtype=np.int64)
    size = 0
    for event in range(len(rows)):
        for row in range(starts[event], rows[event] + 1):
            item = items[row]
            if item < 0:
                continue
            if place[item] < offsets[event]:
                place[item] = size
                found[size], counts[size] = item, 0
                size += 1
            counts[place[item]] += 1
        offsets[event + 1] = size
    return offsets, found[:size].copy(), counts[:size].copy()


@_compiled
def last_two(items: Int32Array, starts: Int64Array, rows: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The last known item but one of every history, and the last, each -1 where there is none."""
    before = np.full(len(rows), -1, dtype=np.int64)
    last = np.full(len(rows), -1, dtype=np.int64)
    for event in range(len(rows)):
        for row in range(rows[event], starts[event] - 1, -1):
            if items[row] >= 0:
                if last[event] >= 0:
                    before[event] = items[row]
                    break
                last[event] = items[row]
    return before, last


@_compiled
def is_latest(items: Int32Array, offsets: Int64Array, n_items: int) -> npt.NDArray[np.bool_]:
    """Whether every click is its session's last one on its item."""
    latest = np.zeros(len(items), dtype=np.bool_)
    seen_in = np.full(n_items, -1, dtype=np.int64)
    for session in range(len(offsets) - 1):
        for row in range(offsets[session + 1] - 1, offsets[session] - 1, -1):
            if seen_in[items[row]] != session:
                seen_in[items[row]] = session
                latest[row] = True
    return latest


@_compiled
def _mixed(value: np.uint64) -> np.uint64:
    """A well-mixed 64-bit number (the finaliser of Steele et al., *Fast Splittable Pseudorandom Number Generators*,
    OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@_compiled
def hash_histories(items: Int32Array, starts: Int64Array, rows: Int64Array, seed: np.uint64) -> npt.NDArray[np.uint64]:
    """A number that every history decides, with the seed, (events,)."""
    hashes = np.empty(len(rows), dtype=np.uint64)
    for event in range(len(rows)):
        state = _mixed(seed + np.uint64(0x9E3779B97F4A7C15))
        for row in range(starts[event], rows[event] + 1):
            if items[row] >= 0:
                state = _mixed(state + np.uint64(0x9E3779B97F4A7C15) + np.uint64(items[row]))
        hashes[event] = state
    return hashes


@_compiled
def hash_items(histories: npt.NDArray[np.uint64], n_items: int) -> npt.NDArray[np.float32]:
    """Uniform numbers in [0, 1), one for every history and item, (events, V)."""
    scores = np.empty((len(histories), n_items), dtype=np.float32)
    for event in range(len(histories)):
        for item in range(n_items):
            mixed = _mixed(histories[event] + np.uint64(0x9E3779B97F4A7C15) * np.uint64(item + 1))
            scores[event, item] = np.float32(mixed >> np.uint64(40)) * np.float32(2.0**-24)
    return scores
