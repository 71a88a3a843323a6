"""A compiled loop behind recommendations."""

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists


@compiled
def scores_of_candidates(rows: Int64Array, lists: ScoredLists, shares: Float64Array, items: Int32Array) -> Float32Array:
    """Return the scores of `items` (events, k), where event `e` has the candidates in list `rows[e]`, or none for -1.

    The score of an item that is no candidate is its share of the order of items (V,), less 1.
    """
    scores = np.empty(items.shape, dtype=np.float32)
    score_of = np.zeros(len(shares), dtype=np.float32)  # candidates' scores are above 0
    for event in range(len(rows)):
        row = rows[event]
        start, stop = (lists.offsets[row], lists.offsets[row + 1]) if row >= 0 else (0, 0)
        for entry in range(start, stop):
            score_of[lists.items[entry]] = lists.scores[entry]
        for place in range(items.shape[1]):
            item = items[event, place]
            scores[event, place] = score_of[item] if score_of[item] > 0.0 else np.float32(shares[item] - 1.0)
        for entry in range(start, stop):
            score_of[lists.items[entry]] = 0.0
    return scores
