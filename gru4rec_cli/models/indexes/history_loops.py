"""Compiled loops over the histories of events."""

import numpy as np

from gru4rec_cli.base.arrays import BoolArray, Float32Array, Int32Array, Int64Array, UInt64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists
from gru4rec_cli.models.indexes.histories import Histories


@compiled
def count_clicks(histories: Histories, n_items: int) -> ScoredLists:
    """Return the distinct items of every history, each with its number of clicks there."""
    clicks, first, last = histories
    offsets = np.zeros(len(last) + 1, dtype=np.int64)
    most = 0
    for event in range(len(last)):
        most += last[event] - first[event] + 1
    items = np.empty(most, dtype=np.int32)
    counts = np.empty(most, dtype=np.float32)
    entry_of = np.full(n_items, -1, dtype=np.int64)  # of each item in the latest list that holds it
    size = 0
    for event in range(len(last)):
        for row in range(first[event], last[event] + 1):
            item = clicks[row]
            if item < 0:
                continue
            if entry_of[item] < offsets[event]:
                entry_of[item] = size
                items[size], counts[size] = item, 0
                size += 1
            counts[entry_of[item]] += 1
        offsets[event + 1] = size
    return ScoredLists(offsets, items[:size].copy(), counts[:size].copy())


@compiled
def last_two_items(histories: Histories) -> tuple[Int64Array, Int64Array]:
    """Return the last known item but one of every history, and the last, each -1 where there is none, (events,)."""
    clicks, first, last = histories
    before_last_items = np.full(len(last), -1, dtype=np.int64)
    last_items = np.full(len(last), -1, dtype=np.int64)
    for event in range(len(last)):
        for row in range(last[event], first[event] - 1, -1):
            if clicks[row] >= 0:
                if last_items[event] >= 0:
                    before_last_items[event] = clicks[row]
                    break
                last_items[event] = clicks[row]
    return before_last_items, last_items


@compiled
def is_latest(items: Int32Array, offsets: Int64Array, n_items: int) -> BoolArray:
    """Return, for every click of sessions `offsets`, whether it is its session's last one on its item."""
    latest = np.zeros(len(items), dtype=np.bool_)
    seen_in = np.full(n_items, -1, dtype=np.int64)
    for session in range(len(offsets) - 1):
        for row in range(offsets[session + 1] - 1, offsets[session] - 1, -1):
            if seen_in[items[row]] != session:
                seen_in[items[row]] = session
                latest[row] = True
    return latest


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """Return a well-mixed 64-bit number (the finaliser of Steele et al., *Fast Splittable Pseudorandom Number
    Generators*, OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def hash_histories(histories: Histories, seed: np.uint64) -> UInt64Array:
    """Return a hash of the seed and each history's known items, in their order, (events,)."""
    clicks, first, last = histories
    hashes = np.empty(len(last), dtype=np.uint64)
    for event in range(len(last)):
        state = _mixed(seed + np.uint64(0x9E3779B97F4A7C15))
        for row in range(first[event], last[event] + 1):
            if clicks[row] >= 0:
                state = _mixed(state + np.uint64(0x9E3779B97F4A7C15) + np.uint64(clicks[row]))
        hashes[event] = state
    return hashes


@compiled
def hash_items(history_hashes: UInt64Array, n_items: int) -> Float32Array:
    """Return uniform numbers in [0, 1), one for every history and item, (events, V)."""
    scores = np.empty((len(history_hashes), n_items), dtype=np.float32)
    for event in range(len(history_hashes)):
        for item in range(n_items):
            mixed = _mixed(history_hashes[event] + np.uint64(0x9E3779B97F4A7C15) * np.uint64(item + 1))
            scores[event, item] = np.float32(mixed >> np.uint64(40)) * np.float32(2.0**-24)
    return scores
