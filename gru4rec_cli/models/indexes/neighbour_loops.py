"""The loops behind neighbours; compiled by numba at first use and kept on disk, without the interpreter's lock."""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
FloatTable = npt.NDArray[np.float64]

_compiled = compiled()
_TINIEST = np.float32(1e-38)  # a vote is never nothing


@_compiled
def recent_sessions(
    items: Int32Array, owners: Int64Array, holding: Int64Array, most: int
) -> tuple[Int64Array, Int32Array]:
    """For every item the `most` largest owners of its entries, largest first: (V + 1,) offsets, and the owners.

    `owners` (entries,) ascend; `holding` (V,) is how many entries each item has.
    """
    n_items = len(holding)
    offsets = np.zeros(n_items + 1, dtype=np.int64)
    for item in range(n_items):
        offsets[item + 1] = offsets[item] + min(holding[item], most)
    filled = offsets[:-1].copy()
    found = np.empty(offsets[-1], dtype=np.int32)
    for entry in range(len(items) - 1, -1, -1):
        item = items[entry]
        if filled[item] < offsets[item + 1]:
            found[filled[item]] = owners[entry]
            filled[item] += 1
    return offsets, found


@_compiled
def vote(
    clicks: Int32Array,
    starts: Int64Array,
    rows: Int64Array,
    offsets: Int64Array,
    items: Int32Array,
    places: Int32Array,
    item_offsets: Int64Array,
    item_sessions: Int32Array,
    k: int,
    sample_size: int,
    decay: FloatTable,
    power: float,
    cosine: bool,
    recency: FloatTable,
    vote_by_age: FloatTable,
    reach: FloatTable,
    item_factor: FloatTable,
    similarity: FloatTable,
    shared_item: Int32Array,
    shared_age: Int32Array,
    item_met: npt.NDArray[np.bool_],
    sums: FloatTable,
) -> tuple[Int64Array, Int32Array, npt.NDArray[np.float32]]:
    """Candidates of every event, from the `k` most similar of the `sample_size` most recent sessions that share an item
    with its history (clicks `starts[event] … rows[event]`): (events + 1,) offsets, items and scores.

    The last five arrays are room to work in, by session and by item: `similarity`, `item_met` and `sums` must be zero,
    and are zero again at the end.
    """
    n_sessions = len(offsets) - 1
    met = np.empty(min(2 * sample_size, n_sessions), dtype=np.int32)
    best = np.empty(min(k, n_sessions), dtype=np.int32)
    bounds = np.zeros(len(rows) + 1, dtype=np.int64)
    found = np.empty(4096, dtype=np.int32)
    scores = np.empty(4096, dtype=np.float32)
    size = 0
    for event in range(len(rows)):
        n_met = _meet(
            clicks, starts[event], rows[event], item_offsets, item_sessions, sample_size, decay, power,
            similarity, shared_item, shared_age, item_met, met,
        )  # fmt: skip
        for position in range(n_met):
            session = met[position]
            if cosine:
                similarity[session] /= np.sqrt(offsets[session + 1] - offsets[session])
            if len(recency):
                similarity[session] *= recency[session]
        n_best = _most_similar(met[:n_met], similarity, best)
        largest = 0.0
        for position in range(n_best):
            largest = max(largest, similarity[best[position]])
        first = size
        for position in range(n_best):
            session = best[position]
            age = shared_age[session]
            weight = similarity[session] / largest if largest > 0.0 else 1.0
            if len(vote_by_age):
                weight *= vote_by_age[min(age, len(vote_by_age) - 1)]
            start, stop = offsets[session], offsets[session + 1]
            shared_place = 0
            if len(reach):
                for entry in range(start, stop):
                    if items[entry] == shared_item[session]:
                        shared_place = places[entry]
            if size + stop - start > len(found):
                found = np.concatenate((found, np.empty(max(len(found), stop - start), dtype=np.int32)))
                scores = np.concatenate((scores, np.empty(max(len(scores), stop - start), dtype=np.float32)))
            for entry in range(start, stop):
                item = items[entry]
                share = weight
                if len(reach):
                    share *= reach[min(abs(places[entry] - shared_place), len(reach) - 1)]
                if len(item_factor):
                    share *= item_factor[item]
                if sums[item] == 0.0:
                    found[size] = item
                    size += 1
                sums[item] += max(share, _TINIEST)
        for entry in range(first, size):
            scores[entry] = max(np.float32(sums[found[entry]]), _TINIEST)
            sums[found[entry]] = 0.0
        for position in range(n_met):
            similarity[met[position]] = 0.0
        bounds[event + 1] = size
    return bounds, found[:size].copy(), scores[:size].copy()


@_compiled
def _meet(
    clicks: Int32Array,
    start: int,
    row: int,
    item_offsets: Int64Array,
    item_sessions: Int32Array,
    sample_size: int,
    decay: FloatTable,
    power: float,
    similarity: FloatTable,
    shared_item: Int32Array,
    shared_age: Int32Array,
    item_met: npt.NDArray[np.bool_],
    met: Int32Array,
) -> int:
    """Meet the `sample_size` most recent sessions that share an item with the history, and sum the weights of the items
    they share. Fills `similarity`, `shared_item` and `shared_age` for the sessions in `met`; returns how many."""
    length = 0
    for click in range(start, row + 1):
        length += clicks[click] >= 0
    oldest = 0  # sessions before this one are not among the most recent ones
    n_met = 0
    age = -1
    for click in range(row, start - 1, -1):
        item = clicks[click]
        if item < 0:
            continue
        age += 1
        if item_met[item]:
            continue
        item_met[item] = True
        if power > 0.0:
            weight = ((length - age) / length) ** power
        else:
            weight = decay[min(age, len(decay) - 1)] if len(decay) else 1.0
        if weight == 0.0:
            continue
        for entry in range(item_offsets[item], item_offsets[item + 1]):
            session = item_sessions[entry]
            if session < oldest:
                break
            if similarity[session] > 0.0:
                similarity[session] += weight
                continue
            similarity[session] = weight
            shared_item[session], shared_age[session] = item, age
            met[n_met] = session
            n_met += 1
        if n_met > sample_size:
            oldest = np.partition(met[:n_met], n_met - sample_size)[n_met - sample_size]
            kept = 0
            for position in range(n_met):
                if met[position] >= oldest:
                    met[kept] = met[position]
                    kept += 1
                else:
                    similarity[met[position]] = 0.0
            n_met = kept
        elif n_met == sample_size:
            oldest = met[:n_met].min()
    for click in range(start, row + 1):
        item_met[max(clicks[click], 0)] = False
    return n_met


@_compiled
def _most_similar(met: Int32Array, similarity: FloatTable, best: Int32Array) -> int:
    """Fill `best` with the most similar sessions, equal ones by recency; returns how many. `best` is a heap, the least
    similar on top, until all are seen; its order is decided by the sessions alone."""
    size = 0
    for position in range(len(met)):
        session = met[position]
        if size < len(best):
            place = size
            size += 1
            while place > 0 and _less(session, best[(place - 1) // 2], similarity):
                best[place] = best[(place - 1) // 2]
                place = (place - 1) // 2
            best[place] = session
        elif _less(best[0], session, similarity):
            place = 0
            while 2 * place + 1 < size:
                child = 2 * place + 1
                if child + 1 < size and _less(best[child + 1], best[child], similarity):
                    child += 1
                if not _less(best[child], session, similarity):
                    break
                best[place] = best[child]
                place = child
            best[place] = session
    return size


@_compiled
def _less(one: np.int32, other: np.int32, similarity: FloatTable) -> bool:
    """Whether `one` is less similar than `other`, or as similar and older."""
    if similarity[one] != similarity[other]:
        return bool(similarity[one] < similarity[other])
    return bool(one < other)
