"""Compiled loops behind neighbourhood models."""

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists
from gru4rec_cli.models.indexes.histories import Histories
from gru4rec_cli.models.indexes.neighbours import NeighbourIndex, Voting, Workspace

_SMALLEST = np.float32(1e-38)  # a vote is above 0
_LEAST_SIMILAR = 1e-300  # of similarities above 0: what is smaller next to the largest would round to 0
_ROUNDING = 1e-12  # similarities that differ by a smaller share are equal; computing them errs by some 1e-15
_NOT_MET = -1.0  # the similarity of a session that is not sampled


@compiled
def recent_sessions(
    items: Int32Array, sessions: Int64Array, n_sessions_of: Int64Array, most: int
) -> tuple[Int64Array, Int32Array]:
    """Return the `most` largest `sessions` of every item's entries, largest first: (V + 1,) offsets, and sessions.

    Entries are pairs of an item and a session, in ascending order of `sessions`; `n_sessions_of` (V,) is how many
    entries each item has.
    """
    n_items = len(n_sessions_of)
    offsets = np.zeros(n_items + 1, dtype=np.int64)
    for item in range(n_items):
        offsets[item + 1] = offsets[item] + min(n_sessions_of[item], most)
    next_entry = offsets[:-1].copy()
    recent = np.empty(offsets[-1], dtype=np.int32)
    for entry in range(len(items) - 1, -1, -1):
        item = items[entry]
        if next_entry[item] < offsets[item + 1]:
            recent[next_entry[item]] = sessions[entry]
            next_entry[item] += 1
    return offsets, recent


@compiled
def score_by_neighbours(
    histories: Histories, index: NeighbourIndex, voting: Voting, workspace: Workspace
) -> ScoredLists:
    """Return, for every history, the items of its neighbours with their scores (see `Voting`).

    The neighbours are the `voting.k` most similar of the `voting.sample_size` most recent sessions that share an item
    with the history.
    """
    n_sessions = len(index.offsets) - 1
    sample = np.empty(min(2 * voting.sample_size, n_sessions), dtype=np.int32)
    neighbours = np.empty(min(voting.k, n_sessions), dtype=np.int32)
    similarities, sums = workspace.similarities, workspace.scores
    in_history, session_offsets = workspace.in_history, index.offsets
    offsets = np.zeros(len(histories.last) + 1, dtype=np.int64)
    items = np.empty(4096, dtype=np.int32)
    scores = np.empty(4096, dtype=np.float32)
    size = 0
    for event in range(len(histories.last)):
        history = histories.items[histories.first[event] : histories.last[event] + 1]
        n_sampled = _sample_sessions(history, index, voting, workspace, sample)
        _weigh_sessions(sample[:n_sampled], index, voting, workspace)
        n_neighbours = _most_similar(sample[:n_sampled], similarities, neighbours)
        most = size
        for session in neighbours[:n_neighbours]:
            most += session_offsets[session + 1] - session_offsets[session]
        if most > len(items):
            items = np.concatenate((items, np.empty(max(len(items), most - len(items)), dtype=np.int32)))
            scores = np.concatenate((scores, np.empty(len(items) - len(scores), dtype=np.float32)))
        size += _vote(neighbours[:n_neighbours], index, voting, workspace, items[size:])
        for entry in range(offsets[event], size):
            scores[entry] = max(np.float32(sums[items[entry]]), _SMALLEST)
            sums[items[entry]] = 0.0
        similarities[sample[:n_sampled]] = _NOT_MET
        for item in history:
            in_history[max(item, 0)] = False
        offsets[event + 1] = size
    return ScoredLists(offsets, items[:size].copy(), scores[:size].copy())


@compiled
def _sample_sessions(
    history: Int32Array, index: NeighbourIndex, voting: Voting, workspace: Workspace, sample: Int32Array
) -> int:
    """Fill `sample` with the `sample_size` most recent sessions that share an item with the history; return how many.

    Sums the weights of the items that they share in `similarities`, and notes the age of the most recent one. Weights
    that decay are shares of that one's, so that they do not vanish. Marks the items of the history.
    """
    similarities, shared_ages, in_history = workspace.similarities, workspace.shared_ages, workspace.in_history
    item_offsets, item_sessions, click_weights = index.item_offsets, index.item_sessions, voting.click_weights
    decays, oldest_age = voting.click_decay > 0.0, len(click_weights) - 1
    length = (history >= 0).sum()
    oldest = 0  # sessions before this one are not among the most recent ones
    size = 0
    age = -1
    for item in history[::-1]:
        if item < 0:
            continue
        age += 1
        if in_history[item]:
            continue
        in_history[item] = True
        weight = 1.0 if decays else _click_weight(age, length, voting)
        for entry in range(item_offsets[item], item_offsets[item + 1]):
            session = item_sessions[entry]
            if session < oldest:
                break
            if similarities[session] >= 0.0:
                share = click_weights[min(age - shared_ages[session], oldest_age)] if decays else weight
                similarities[session] += share
                continue
            similarities[session] = weight
            shared_ages[session] = age
            sample[size] = session
            size += 1
        if size > voting.sample_size:
            oldest = np.partition(sample[:size], size - voting.sample_size)[size - voting.sample_size]
            size = _drop_before(oldest, sample[:size], similarities)
        elif size == voting.sample_size:
            oldest = sample[:size].min()
    return size


@compiled
def _click_weight(age: int, length: int, voting: Voting) -> float:
    """Return the weight of a click of a history of so many clicks, where weights do not decay exponentially."""
    if voting.click_power > 0:
        return float((length - age) ** voting.click_power)
    click_weights = voting.click_weights
    return click_weights[min(age, len(click_weights) - 1)] if len(click_weights) else 1.0


@compiled
def _drop_before(oldest: int, sample: Int32Array, similarities: Float64Array) -> int:
    """Move the sessions from `oldest` on to the front of `sample`, and return how many they are."""
    size = 0
    for session in sample:
        if session >= oldest:
            sample[size] = session
            size += 1
        else:
            similarities[session] = _NOT_MET
    return size


@compiled
def _weigh_sessions(sample: Int32Array, index: NeighbourIndex, voting: Voting, workspace: Workspace) -> None:
    """Turn the sums of shared weights into similarities, up to a factor that all sessions of the sample share.

    The cosine is the root of sum² / items, which is exact, and so equal for equal cosines, if weights are whole.
    Exponents are relative to the newest session and then to the largest, so that old ones keep their proportions.
    """
    offsets, end_times, similarities = index.offsets, index.end_times, workspace.similarities
    shared_ages, exponents = workspace.shared_ages, workspace.exponents
    if voting.cosine:
        for session in sample:
            similarities[session] = np.sqrt(similarities[session] ** 2 / (offsets[session + 1] - offsets[session]))
    if voting.click_decay > 0.0 and len(sample):
        newest = end_times[sample.max()]
        per_click, per_microsecond = 1.0 / voting.click_decay, 1.0 / voting.session_decay
        largest = -np.inf
        for place, session in enumerate(sample):
            exponents[place] = (end_times[session] - newest) * per_microsecond - shared_ages[session] * per_click
            largest = max(largest, exponents[place])
        for place, session in enumerate(sample):
            share = np.exp(exponents[place] - largest)
            similarities[session] = max(similarities[session] * share, _LEAST_SIMILAR)


@compiled
def _vote(
    neighbours: Int32Array, index: NeighbourIndex, voting: Voting, workspace: Workspace, voted: Int32Array
) -> int:
    """Sum the neighbours' votes in the scores of their items; write these items into `voted` and return how many."""
    offsets, items, positions = index.offsets, index.items, index.positions
    distance_weights, item_weights = voting.distance_weights, voting.item_weights
    similarities, scores, in_history = workspace.similarities, workspace.scores, workspace.in_history
    _weigh_votes(neighbours, voting, workspace)
    size = 0
    for session in neighbours:
        shared_position = 0  # of the shared item that stands last in the neighbour
        if len(distance_weights):
            entry = offsets[session + 1] - 1
            while not in_history[items[entry]]:
                entry -= 1
            shared_position = positions[entry]
        for entry in range(offsets[session], offsets[session + 1]):
            item = items[entry]
            vote = similarities[session]
            if len(distance_weights):
                vote *= distance_weights[min(abs(positions[entry] - shared_position), len(distance_weights) - 1)]
            if len(item_weights):
                vote *= item_weights[item]
            if scores[item] == 0.0:
                voted[size] = item
                size += 1
            scores[item] += max(vote, _SMALLEST)
    return size


@compiled
def _weigh_votes(neighbours: Int32Array, voting: Voting, workspace: Workspace) -> None:
    """Multiply the neighbours' similarities by the weights of their votes, as shares of the largest product."""
    similarities, shared_ages, vote_weights = workspace.similarities, workspace.shared_ages, voting.vote_weights
    youngest = np.int32(0)
    if voting.vote_decay > 0.0 and len(neighbours):
        youngest = shared_ages[neighbours].min()
    largest = 0.0
    for session in neighbours:
        if voting.vote_decay > 0.0:
            similarities[session] *= np.exp((youngest - shared_ages[session]) / voting.vote_decay)
        elif len(vote_weights):
            similarities[session] *= vote_weights[min(shared_ages[session], len(vote_weights) - 1)]
        largest = max(largest, similarities[session])
    for session in neighbours:
        similarities[session] = similarities[session] / largest if largest > 0.0 else 0.0


@compiled
def _most_similar(sample: Int32Array, similarities: Float64Array, neighbours: Int32Array) -> int:
    """Fill `neighbours` with the most similar sessions, equal ones by recency; return how many.

    Sessions of similarity 0 are left out. `neighbours` is a heap, the least similar on top, until all are seen; its
    order is decided by the sessions alone.
    """
    size = 0
    for session in sample:
        if similarities[session] == 0.0:
            continue
        if size < len(neighbours):
            place = size
            size += 1
            while place > 0 and _less_similar(session, neighbours[(place - 1) // 2], similarities):
                neighbours[place] = neighbours[(place - 1) // 2]
                place = (place - 1) // 2
            neighbours[place] = session
        elif _less_similar(neighbours[0], session, similarities):
            place = 0
            while 2 * place + 1 < size:
                child = 2 * place + 1
                if child + 1 < size and _less_similar(neighbours[child + 1], neighbours[child], similarities):
                    child += 1
                if not _less_similar(neighbours[child], session, similarities):
                    break
                neighbours[place] = neighbours[child]
                place = child
            neighbours[place] = session
    return size


@compiled
def _less_similar(one: np.int32, other: np.int32, similarities: Float64Array) -> bool:
    """Return whether session `one` is less similar than `other`, or as similar up to rounding, and older."""
    difference = similarities[one] - similarities[other]
    if abs(difference) > _ROUNDING * similarities[other]:
        return bool(difference < 0.0)
    return bool(one < other)
