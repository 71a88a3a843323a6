"""The best possible ranking of synthetic data: the Bayes-optimal next-item distribution after every prefix."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.data.synthetic import PlantedProcess
from gru4rec_cli.evaluation.scores import ScoreBlock, block_ranges

DESCRIPTION = (
    "The bound: the next item's exact probability given the clicks so far, from the process that created the "
    "clicks. No model can be better."
)


def oracle_scores(process: PlantedProcess, sessions: Sessions) -> Iterator[ScoreBlock]:
    """Yield P(next item | prefix) of every event of `sessions`, over its vocabulary, in event order.

    The hidden interest is filtered forward (Rabiner 1989, equation 20, with one state a session): with
    P_k(j | i) = (1 - noise) T_k[i, j] + noise p_j / (1 - p_i) for j ≠ i and 0 for j = i,
    α_k ∝ prior_k ∏ P_k(x_t | x_{t-1}) over the clicks so far, and the scores are Σ_k α_k P_k(· | x_t).
    Exact only for sessions as they were generated; raises `DataError` where they cannot have been.
    """
    to_process = _process_indices(process, sessions)  # (V,)
    if (sessions.items < 0).any():
        raise DataError("the oracle does not apply: the sessions hold items that are not in the vocabulary")
    items = to_process[sessions.items]
    inputs = items[sessions.input_rows()]  # (n_targets,)
    posterior = interest_posterior(process, items, sessions)
    from_process = np.full(process.n_items, -1, dtype=np.int64)
    from_process[to_process] = np.arange(sessions.n_items)
    popularity = process.popularity[to_process]
    for start, stop in block_ranges(sessions.n_targets, sessions.n_items):
        current = inputs[start:stop]
        scores = (process.noise / (1 - process.popularity[current]))[:, None] * popularity
        for k in range(process.n_interests):
            _add_row(scores, process, k, current, (1 - process.noise) * posterior[start:stop, k], from_process)
        scores[np.arange(stop - start), from_process[current]] = 0.0
        yield ScoreBlock(start, scores.astype(np.float32))


def interest_posterior(process: PlantedProcess, items: Int64Array, sessions: Sessions) -> Float64Array:
    """Return P(interest | clicks before the event), shape (n_targets, K); `items` are indices into the process."""
    rows = sessions.input_rows()
    likelihood = process.click_probabilities(items[rows], items[rows + 1])  # (n_targets, K)
    posterior = np.empty_like(likelihood)
    positions = sessions.event_positions()
    order = np.argsort(positions, kind="stable")
    bounds = np.searchsorted(positions[order], np.arange(1, positions.max(initial=0) + 2))
    for position, (start, stop) in enumerate(pairwise(bounds), start=1):
        events = order[start:stop]
        if position == 1:
            posterior[events] = process.prior
            continue
        weights = posterior[events - 1] * likelihood[events - 1]
        total = weights.sum(axis=1, keepdims=True)
        if not (total > 0).all():
            session = sessions.session_ids[sessions.event_sessions()[events[int(total.argmin())]]]
            raise DataError(f"the oracle does not apply: session {session} holds clicks that the process cannot make")
        posterior[events] = weights / total
    return posterior


def _process_indices(process: PlantedProcess, sessions: Sessions) -> Int64Array:
    """Return the index in the process of every item of the vocabulary, shape (V,)."""
    ids = sessions.vocabulary.ids
    if ids.dtype.kind != "i":
        raise DataError("the oracle does not apply: the process numbers its items, and the vocabulary holds text")
    found = np.minimum(np.searchsorted(process.item_ids, ids), process.n_items - 1)
    strange = np.flatnonzero(process.item_ids[found] != ids)
    if len(strange):
        raise DataError(f"the oracle does not apply: the process has no item {ids[strange[0]]}")
    return found


def _add_row(
    scores: Float64Array,
    process: PlantedProcess,
    interest: int,
    current: Int64Array,
    weights: Float64Array,
    from_process: Int64Array,
) -> None:
    """Add weights[n] T_k[current[n], ·] to row n of `scores` (n, V)."""
    first = process.row_starts[interest * process.n_items + current]
    counts = process.row_starts[interest * process.n_items + current + 1] - first
    events = np.repeat(np.arange(len(current)), counts)
    entries = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    columns = from_process[process.successors[entries]]
    known = columns >= 0
    # No pair (event, column) occurs twice, so an indexed += adds every entry.
    scores[events[known], columns[known]] += (weights[events] * process.probabilities[entries])[known]
