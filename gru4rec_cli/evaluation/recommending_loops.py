"""A compiled loop behind recommendations."""

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists


@compiled
def scores_of_candidates(rows: Int64Array, lists: ScoredLists, shares: Float64Array, items: Int32Array) -> Float64Array:
    """Return the scores of `items` (events, k), where event `e` has the candidates in list `rows[e]`, or none for -1.

    They are those of `CandidateBlock.dense`; `shares` are of the order of items (V,).
    """
    scores = np.empty(items.shape, dtype=np.float64)
    score_of = np.zeros(len(shares), dtype=np.float32)  # candidates' scores are above 0
    for event in range(len(rows)):
        row = rows[event]
        start, stop = (lists.offsets[row], lists.offsets[row + 1]) if row >= 0 else (0, 0)
        for entry in range(start, stop):
            score_of[lists.items[entry]] = lists.scores[entry]
        for place in range(items.shape[1]):
            item = items[event, place]
            if score_of[item] > 0.0:
                scores[event, place] = score_of[item] * (1.0 + 2.0**-25 * shares[item])
            else:
                scores[event, place] = shares[item] - 1.0
        for entry in range(start, stop):
            score_of[lists.items[entry]] = 0.0
    return scores
