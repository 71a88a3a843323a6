"""Losses over the distinct items of a step's columns, and their gradients with respect to the scores.

A loss is summed over lanes and divided by the configured batch size. Column b of a step is lane b's target, every other
column is a negative of lane b, also when it holds the same item. Items are in two parts, each with its scores (items,
lanes); a part is looked at twice, and between the two its sums over items, one of every kind a lane, are told to the
other. Targets are places among all items; `first` is the place of the part's first one. In the end scores hold their
gradient.
"""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.elementary import exp, expm1, sigmoid

Floats = npt.NDArray[np.floating]
Int64Array = npt.NDArray[np.int64]

TOP, TOTAL, LIKELIHOOD, PENALTY, PULL = range(5)  # the kinds of sums
N_SUMS = 5

_LEAST, _ZERO = np.float32(-40.0), np.float32(0.0)
_TINY = 1e-24  # inside the logarithms, as in the author's implementation

_lost = compiled(fastmath={"reassoc", "contract", "arcp", "nsz"})  # sums in any order, so that they are vectorised


@_lost
def add_biases(scores: Floats, biases: Floats, rows: Int64Array) -> None:
    """scores[i] + biases[rows[i]], in place; `biases` (V, 1)."""
    for item in range(scores.shape[0]):
        bias = biases[rows[item], 0]
        for lane in range(scores.shape[1]):
            scores[item, lane] += bias


@_lost
def highest(scores: Floats, weights: Floats, top: Floats) -> None:
    """The highest score of every lane, (lanes,), among items that weigh something; -inf where none does."""
    top[:] = -np.inf
    for item in range(scores.shape[0]):
        if weights[item] > 0.0:
            for lane in range(scores.shape[1]):
                top[lane] = scores[item, lane] if scores[item, lane] > top[lane] else top[lane]


@_lost
def highest_other(scores: Floats, counts: Floats, first: int, targets: Int64Array, top: Floats) -> None:
    """The same for BPR-max, where a lane's target weighs nothing if no other column holds it."""
    n_items, lanes = scores.shape
    hidden = np.zeros(lanes, dtype=scores.dtype)
    for lane in range(lanes):
        place = targets[lane] - first
        if 0 <= place < n_items and counts[place] == 1.0:
            hidden[lane], scores[place, lane] = scores[place, lane], -np.inf
    highest(scores, counts, top)
    for lane in range(lanes):
        place = targets[lane] - first
        if 0 <= place < n_items and counts[place] == 1.0:
            scores[place, lane] = hidden[lane]


@_lost
def own_scores(scores: Floats, first: int, targets: Int64Array, own: Floats) -> None:
    """The score of every lane's target, where it is in this part."""
    for lane in range(scores.shape[1]):
        if 0 <= targets[lane] - first < scores.shape[0]:
            own[lane] = scores[targets[lane] - first, lane]


@_lost
def add_exponentials(
    scores: Floats, weights: Floats, sums: Floats, first: int, targets: Int64Array, own: Floats
) -> None:
    """Cross-entropy, first look: scores s_u become W_u e^(s_u − top), and `own` those of the targets.

    Below e^-40, 4e-18 beside a sum of at least W_top, they become 0, for products of such numbers are so small that
    processors take a hundred times as long for them; not in `own`, whose logarithm is the loss.
    """
    sums[TOTAL] = 0.0
    top, total = sums[TOP], sums[TOTAL]
    for lane in range(scores.shape[1]):
        place = targets[lane] - first
        if 0 <= place < scores.shape[0]:
            own[lane] = weights[place] * exp(scores[place, lane] - top[lane])
    for item in range(scores.shape[0]):
        weight = weights[item]
        for lane in range(scores.shape[1]):
            x = scores[item, lane] - top[lane]
            scores[item, lane] = weight * exp(min(x, _ZERO)) if x > _LEAST else _ZERO
        for lane in range(scores.shape[1]):
            total[lane] += scores[item, lane]


@_lost
def cross_entropy_gradient(
    scores: Floats,
    here: Floats,
    there: Floats,
    first: int,
    targets: Int64Array,
    own: Floats,
    own_shares: Floats,
    batch_size: int,
    item_sums: Floats,
) -> float:
    """Cross-entropy, second look: −log(p + 1e-24), p the softmax over the columns, corrected by logQ, at the lane's own
    target column; the loss of the lanes whose target is in this part.

    With W_u the summed weights e^-correction of item u's columns, the softmax over distinct items is
    P_u = W_u e^{s_u} / Σ_v W_v e^{s_v}, and the own column's p = P_t · e^-correction / W_t, the share `own_shares`. The
    gradient at s_u is (P_u − [u = t]) p / (p + 1e-24). `own` are the targets' W_t e^(s_t − top),
    top that of their own part.
    """
    n_items, lanes = scores.shape
    factors = np.empty(lanes, dtype=scores.dtype)
    number = scores.dtype.type
    loss = 0.0
    for lane in range(lanes):
        share, other_share = _shares(here, there, lane)
        inside = 0 <= targets[lane] - first < n_items
        p = np.float64(own[lane] * (share if inside else other_share) * own_shares[lane])
        pull = p / (p + _TINY) / batch_size
        factors[lane] = number(share * pull)
        if inside:
            loss -= np.log(p + _TINY)
    for item in range(n_items):
        for lane in range(lanes):
            scores[item, lane] *= factors[lane]
    for lane in range(lanes):
        if 0 <= targets[lane] - first < n_items:
            share, _ = _shares(here, there, lane)
            p = np.float64(own[lane] * share * own_shares[lane])
            scores[targets[lane] - first, lane] -= number(p / (p + _TINY) / batch_size)
    _sum_over_lanes(scores, item_sums)
    return loss / batch_size


@_lost
def bend(scores: Floats, elu_param: float) -> None:
    """Scores through an ELU."""
    alpha, zero = scores.dtype.type(elu_param), scores.dtype.type(0.0)
    for item in range(scores.shape[0]):
        for lane in range(scores.shape[1]):
            score = scores[item, lane]
            bent = alpha * expm1(min(score, zero))
            scores[item, lane] = score if score > zero else bent


@_lost
def add_comparisons(
    scores: Floats,
    counts: Floats,
    sums: Floats,
    first: int,
    targets: Int64Array,
    own: Floats,
    weights: Floats,
    wins: Floats,
) -> None:
    """BPR-max, first look: weights c_u e^(s_u − top) and wins σ(s_t − s_u), (items, lanes), and sums with them.

    c_u counts the columns of item u; a lane's own target column does not count for it. Only items that weigh
    nothing are above top.
    """
    n_items, lanes = scores.shape
    one = scores.dtype.type(1.0)
    top = sums[TOP]
    for item in range(n_items):
        for lane in range(lanes):
            weights[item, lane] = counts[item] * exp(min(scores[item, lane] - top[lane], _ZERO))
        for lane in range(lanes):
            wins[item, lane] = sigmoid(own[lane] - scores[item, lane])
    for lane in range(lanes):
        place = targets[lane] - first
        if 0 <= place < n_items:
            weights[place, lane] = (counts[place] - one) * exp(min(scores[place, lane] - top[lane], _ZERO))
    sums[TOTAL:] = 0.0
    total, likelihood, penalty, pull = sums[TOTAL], sums[LIKELIHOOD], sums[PENALTY], sums[PULL]
    for item in range(n_items):
        for lane in range(lanes):
            total[lane] += weights[item, lane]
        for lane in range(lanes):
            likelihood[lane] += weights[item, lane] * wins[item, lane]
        for lane in range(lanes):
            penalty[lane] += weights[item, lane] * scores[item, lane] * scores[item, lane]
        for lane in range(lanes):
            pull[lane] += weights[item, lane] * wins[item, lane] * (one - wins[item, lane])


@_lost
def bpr_max_gradient(
    scores: Floats,
    here: Floats,
    there: Floats,
    first: int,
    targets: Int64Array,
    own: Floats,
    weights: Floats,
    wins: Floats,
    elu_param: float,
    regularisation: float,
    batch_size: int,
    item_sums: Floats,
) -> float:
    """BPR-max (CIKM 2018, equation 13), second look:
    −log(Σ_j w_j σ(s_t − s_j) + 1e-24) + regularisation · Σ_j w_j s_j²; the loss of lanes whose target is in this part.

    w is the softmax of the scores over the lane's negatives; gradients flow through it. With `elu_param` above 0 the
    scores have passed through an ELU. By distinct item u: with w_u from the first look, divided by their sum,
    σ_u = σ(s_t − s_u), A = Σ w_u σ_u and Q = Σ w_u s_u², the gradient at s_u is
    w_u (A − σ_u + σ_u (1 − σ_u)) / (A + 1e-24) + regularisation · w_u (s_u² − Q + 2 s_u),
    and at s_t further −Σ_u w_u σ_u (1 − σ_u) / (A + 1e-24).
    """
    n_items, lanes = scores.shape
    number = scores.dtype.type
    one, zero, alpha, bpreg = number(1.0), number(0.0), number(elu_param), number(regularisation)
    likelihood, penalty, push, scale, back = np.empty((5, lanes), dtype=scores.dtype)
    loss = 0.0
    for lane in range(lanes):
        share, other = _shares(here, there, lane)
        a = share * here[LIKELIHOOD, lane] + other * there[LIKELIHOOD, lane]
        q = share * here[PENALTY, lane] + other * there[PENALTY, lane]
        likelihood[lane], penalty[lane] = a, q
        push[lane] = number(1.0 / (np.float64(a) + _TINY))
        scale[lane] = share / number(batch_size)
        back[lane] = push[lane] * (share * here[PULL, lane] + other * there[PULL, lane])
        if 0 <= targets[lane] - first < n_items:
            loss += np.float64(bpreg * q) - np.log(np.float64(a) + _TINY)
    for item in range(n_items):
        gradient = wins[item]
        for lane in range(lanes):
            win = gradient[lane]
            gradient[lane] = push[lane] * (likelihood[lane] - win + win * (one - win))
        for lane in range(lanes):
            score = scores[item, lane]
            gradient[lane] += bpreg * (score * score - penalty[lane] + score + score)
        for lane in range(lanes):
            slope = scores[item, lane] + alpha if scores[item, lane] < zero else one
            gradient[lane] *= slope if elu_param > 0.0 else one
        for lane in range(lanes):
            scores[item, lane] = gradient[lane] * weights[item, lane] * scale[lane]
    for lane in range(lanes):
        place = targets[lane] - first
        if 0 <= place < n_items:
            slope = own[lane] + alpha if elu_param > 0.0 and own[lane] < zero else one
            scores[place, lane] -= back[lane] * slope / number(batch_size)
    _sum_over_lanes(scores, item_sums)
    return loss / batch_size


@_lost
def _shares(here: Floats, there: Floats, lane: int) -> tuple[float, float]:
    """What 1 in this part's sums, and in the other's, is of the sum of both parts' weights."""
    top = max(here[TOP, lane], there[TOP, lane])
    from_here, from_there = exp(here[TOP, lane] - top), exp(there[TOP, lane] - top)
    total = from_here * here[TOTAL, lane] + from_there * there[TOTAL, lane]
    return from_here / total, from_there / total


@_lost
def _sum_over_lanes(values: Floats, sums: Floats) -> None:
    for item in range(values.shape[0]):
        total = values.dtype.type(0.0)
        for lane in range(values.shape[1]):
            total += values[item, lane]
        sums[item] = total
