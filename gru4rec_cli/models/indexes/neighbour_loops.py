"""Compiled loops behind neighbourhood models."""

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists
from gru4rec_cli.models.indexes.histories import Histories
from gru4rec_cli.models.indexes.neighbours import NeighbourIndex, Voting, Workspace

_SMALLEST = np.float32(1e-38)  # a vote is above 0


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
    session_offsets = index.offsets
    offsets = np.zeros(len(histories.last) + 1, dtype=np.int64)
    items = np.empty(4096, dtype=np.int32)
    scores = np.empty(4096, dtype=np.float32)
    size = 0
    for event in range(len(histories.last)):
        history = histories.items[histories.first[event] : histories.last[event] + 1]
        n_sampled = _sample_sessions(history, index, voting, workspace, sample)
        _weigh_sessions(sample[:n_sampled], index, voting, similarities)
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
        similarities[sample[:n_sampled]] = 0.0
        offsets[event + 1] = size
    return ScoredLists(offsets, items[:size].copy(), scores[:size].copy())


@compiled
def _sample_sessions(
    history: Int32Array, index: NeighbourIndex, voting: Voting, workspace: Workspace, sample: Int32Array
) -> int:
    """Fill `sample` with the `sample_size` most recent sessions that share an item with the history; return how many.

    Sums the weights of the items that they share in `similarities`, and notes the most recent shared item.
    """
    similarities, in_history = workspace.similarities, workspace.in_history
    shared_items, shared_ages = workspace.shared_items, workspace.shared_ages
    item_offsets, item_sessions, click_weights = index.item_offsets, index.item_sessions, voting.click_weights
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
        if voting.click_power > 0.0:
            weight = ((length - age) / length) ** voting.click_power
        else:
            weight = click_weights[min(age, len(click_weights) - 1)] if len(click_weights) else 1.0
        if weight == 0.0:
            continue
        for entry in range(item_offsets[item], item_offsets[item + 1]):
            session = item_sessions[entry]
            if session < oldest:
                break
            if similarities[session] > 0.0:
                similarities[session] += weight
                continue
            similarities[session] = weight
            shared_items[session], shared_ages[session] = item, age
            sample[size] = session
            size += 1
        if size > voting.sample_size:
            oldest = np.partition(sample[:size], size - voting.sample_size)[size - voting.sample_size]
            size = _drop_before(oldest, sample[:size], similarities)
        elif size == voting.sample_size:
            oldest = sample[:size].min()
    for item in history:
        in_history[max(item, 0)] = False
    return size


@compiled
def _drop_before(oldest: int, sample: Int32Array, similarities: Float64Array) -> int:
    """Move the sessions from `oldest` on to the front of `sample`, and return how many they are."""
    size = 0
    for session in sample:
        if session >= oldest:
            sample[size] = session
            size += 1
        else:
            similarities[session] = 0.0
    return size


@compiled
def _weigh_sessions(sample: Int32Array, index: NeighbourIndex, voting: Voting, similarities: Float64Array) -> None:
    """Multiply the similarities of sessions by the factors that do not depend on the history."""
    offsets, session_weights = index.offsets, voting.session_weights
    for session in sample:
        if voting.cosine:
            similarities[session] /= np.sqrt(offsets[session + 1] - offsets[session])
        if len(session_weights):
            similarities[session] *= session_weights[session]


@compiled
def _vote(
    neighbours: Int32Array, index: NeighbourIndex, voting: Voting, workspace: Workspace, voted: Int32Array
) -> int:
    """Sum the neighbours' votes in the scores of their items; write these items into `voted` and return how many."""
    offsets, items, positions = index.offsets, index.items, index.positions
    vote_weights, distance_weights, item_weights = voting.vote_weights, voting.distance_weights, voting.item_weights
    similarities, scores = workspace.similarities, workspace.scores
    shared_items, shared_ages = workspace.shared_items, workspace.shared_ages
    highest = 0.0
    for session in neighbours:
        highest = max(highest, similarities[session])
    size = 0
    for session in neighbours:
        weight = similarities[session] / highest if highest > 0.0 else 1.0
        if len(vote_weights):
            weight *= vote_weights[min(shared_ages[session], len(vote_weights) - 1)]
        shared_position = 0
        if len(distance_weights):
            for entry in range(offsets[session], offsets[session + 1]):
                if items[entry] == shared_items[session]:
                    shared_position = positions[entry]
        for entry in range(offsets[session], offsets[session + 1]):
            item = items[entry]
            vote = weight
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
def _most_similar(sample: Int32Array, similarities: Float64Array, neighbours: Int32Array) -> int:
    """Fill `neighbours` with the most similar sessions, equal ones by recency; return how many.

    `neighbours` is a heap, the least similar on top, until all are seen; its order is decided by the sessions alone.
    """
    size = 0
    for session in sample:
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
    """Return whether session `one` is less similar than `other`, or as similar and older."""
    if similarities[one] != similarities[other]:
        return bool(similarities[one] < similarities[other])
    return bool(one < other)
