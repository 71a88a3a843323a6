"""Losses over the distinct items of a step's columns, and their gradients with respect to the scores.

A loss is summed over slots and divided by the configured batch size. Column b of a step is slot b's target, every other
column is a negative of slot b, also when it holds the same item. Items are in two parts, each with its scores (items,
slots). A part is read twice. The first pass takes sums over its items, one of every kind for each slot; the second
needs those of both parts, and replaces scores by their gradient.
"""

from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import FloatingArray, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.elementary import exp, expm1, sigmoid

TOP, TOTAL, LIKELIHOOD, PENALTY, PULL = range(5)  # the kinds of sums
N_SUMS = 5

_LEAST, _ZERO = np.float32(-40.0), np.float32(0.0)
_TINY = 1e-24  # inside the logarithms, as in the author's implementation


class Targets(NamedTuple):
    """The slots' targets."""

    places: Int64Array  # (slots,) place of each among all distinct items
    own: FloatingArray  # (slots,) score of each, or what a loss makes of it
    first: int  # place of this part's first item


class Sums(NamedTuple):
    """Sums over the items of each part, (N_SUMS, slots)."""

    here: FloatingArray  # of this part
    there: FloatingArray  # of the other one


class Comparisons(NamedTuple):
    """BPR-max: weights c_u e^(s_u − top) and wins σ(s_t − s_u), (items, slots) each."""

    weights: FloatingArray
    wins: FloatingArray


class BprMax(NamedTuple):
    """Parameters of BPR-max."""

    elu_param: float
    regularisation: float
    batch_size: int


@compiled(reorder_sums=True)
def add_biases(scores: FloatingArray, biases: FloatingArray, rows: Int64Array) -> None:
    """Add biases[rows[i]] to scores[i], in place; `biases` is (V, 1)."""
    for item in range(scores.shape[0]):
        bias = biases[rows[item], 0]
        for slot in range(scores.shape[1]):
            scores[item, slot] += bias


@compiled(reorder_sums=True)
def highest(scores: FloatingArray, weights: FloatingArray, top: FloatingArray) -> None:
    """Write the highest score of every slot, (slots,), among items of positive weight; -inf where there is none."""
    top[:] = -np.inf
    for item in range(scores.shape[0]):
        if weights[item] > 0.0:
            for slot in range(scores.shape[1]):
                top[slot] = scores[item, slot] if scores[item, slot] > top[slot] else top[slot]


@compiled(reorder_sums=True)
def highest_other(scores: FloatingArray, counts: FloatingArray, targets: Targets, top: FloatingArray) -> None:
    """Write the same for BPR-max, where a slot's target has no weight if no other column holds it."""
    places, _, first = targets
    n_items, slots = scores.shape
    hidden = np.zeros(slots, dtype=scores.dtype)
    for slot in range(slots):
        place = places[slot] - first
        if 0 <= place < n_items and counts[place] == 1.0:
            hidden[slot], scores[place, slot] = scores[place, slot], -np.inf
    highest(scores, counts, top)
    for slot in range(slots):
        place = places[slot] - first
        if 0 <= place < n_items and counts[place] == 1.0:
            scores[place, slot] = hidden[slot]


@compiled(reorder_sums=True)
def own_scores(scores: FloatingArray, targets: Targets) -> None:
    """Write the score of every slot's target that is in this part."""
    places, own, first = targets
    for slot in range(scores.shape[1]):
        if 0 <= places[slot] - first < scores.shape[0]:
            own[slot] = scores[places[slot] - first, slot]


@compiled(reorder_sums=True)
def add_exponentials(scores: FloatingArray, weights: FloatingArray, sums: FloatingArray, targets: Targets) -> None:
    """Take the first pass of cross-entropy: scores s_u become W_u e^(s_u − top), and `own` those of the targets.

    Below e^-40, 4e-18 beside a sum of at least W_top, they become 0, for products of such numbers are so small that
    processors take a hundred times as long for them; not in `own`, whose logarithm is the loss.
    """
    places, own, first = targets
    sums[TOTAL] = 0.0
    top, total = sums[TOP], sums[TOTAL]
    for slot in range(scores.shape[1]):
        place = places[slot] - first
        if 0 <= place < scores.shape[0]:
            own[slot] = weights[place] * exp(scores[place, slot] - top[slot])
    for item in range(scores.shape[0]):
        weight = weights[item]
        for slot in range(scores.shape[1]):
            x = scores[item, slot] - top[slot]
            scores[item, slot] = weight * exp(min(x, _ZERO)) if x > _LEAST else _ZERO
        for slot in range(scores.shape[1]):
            total[slot] += scores[item, slot]


@compiled(reorder_sums=True)
def cross_entropy_gradient(
    scores: FloatingArray,
    sums: Sums,
    targets: Targets,
    own_shares: FloatingArray,
    batch_size: int,
    item_sums: FloatingArray,
) -> float:
    """Take the second pass of cross-entropy and return the loss of the slots whose target is in this part.

    The loss is −log(p + 1e-24), p the softmax over the columns, corrected by logQ, at the slot's own target column.

    With W_u the summed weights e^-correction of item u's columns, the softmax over distinct items is
    P_u = W_u e^{s_u} / Σ_v W_v e^{s_v}, and the own column's p = P_t · e^-correction / W_t, the share `own_shares`. The
    gradient at s_u is (P_u − [u = t]) p / (p + 1e-24). `own` are the targets' W_t e^(s_t − top),
    top that of their own part.
    """
    places, own, first = targets
    n_items, slots = scores.shape
    factors = np.empty(slots, dtype=scores.dtype)
    number = scores.dtype.type
    loss = 0.0
    for slot in range(slots):
        share, other_share = _shares(sums, slot)
        inside = 0 <= places[slot] - first < n_items
        p = np.float64(own[slot] * (share if inside else other_share) * own_shares[slot])
        pull = p / (p + _TINY) / batch_size
        factors[slot] = number(share * pull)
        if inside:
            loss -= np.log(p + _TINY)
    for item in range(n_items):
        for slot in range(slots):
            scores[item, slot] *= factors[slot]
    for slot in range(slots):
        if 0 <= places[slot] - first < n_items:
            share, _ = _shares(sums, slot)
            p = np.float64(own[slot] * share * own_shares[slot])
            scores[places[slot] - first, slot] -= number(p / (p + _TINY) / batch_size)
    _sum_over_slots(scores, item_sums)
    return loss / batch_size


@compiled(reorder_sums=True)
def elu(scores: FloatingArray, elu_param: float) -> None:
    """Pass scores through an ELU, in place."""
    alpha, zero = scores.dtype.type(elu_param), scores.dtype.type(0.0)
    for item in range(scores.shape[0]):
        for slot in range(scores.shape[1]):
            score = scores[item, slot]
            bent = alpha * expm1(min(score, zero))
            scores[item, slot] = score if score > zero else bent


@compiled(reorder_sums=True)
def add_comparisons(
    scores: FloatingArray, counts: FloatingArray, sums: FloatingArray, targets: Targets, compared: Comparisons
) -> None:
    """Take the first pass of BPR-max: write the comparisons, and sums with them.

    c_u counts the columns of item u; a slot's own target column does not count for it. Only items that weigh
    nothing are above top.
    """
    places, own, first = targets
    weights, wins = compared
    n_items, slots = scores.shape
    one = scores.dtype.type(1.0)
    top = sums[TOP]
    for item in range(n_items):
        for slot in range(slots):
            weights[item, slot] = counts[item] * exp(min(scores[item, slot] - top[slot], _ZERO))
        for slot in range(slots):
            wins[item, slot] = sigmoid(own[slot] - scores[item, slot])
    for slot in range(slots):
        place = places[slot] - first
        if 0 <= place < n_items:
            weights[place, slot] = (counts[place] - one) * exp(min(scores[place, slot] - top[slot], _ZERO))
    sums[TOTAL:] = 0.0
    total, likelihood, penalty, pull = sums[TOTAL], sums[LIKELIHOOD], sums[PENALTY], sums[PULL]
    for item in range(n_items):
        for slot in range(slots):
            total[slot] += weights[item, slot]
        for slot in range(slots):
            likelihood[slot] += weights[item, slot] * wins[item, slot]
        for slot in range(slots):
            penalty[slot] += weights[item, slot] * scores[item, slot] * scores[item, slot]
        for slot in range(slots):
            pull[slot] += weights[item, slot] * wins[item, slot] * (one - wins[item, slot])


@compiled(reorder_sums=True)
def bpr_max_gradient(
    scores: FloatingArray,
    sums: Sums,
    targets: Targets,
    compared: Comparisons,
    settings: BprMax,
    item_sums: FloatingArray,
) -> float:
    """Take the second pass of BPR-max and return the loss of the slots whose target is in this part.

    The loss is −log(Σ_j w_j σ(s_t − s_j) + 1e-24) + regularisation · Σ_j w_j s_j² (CIKM 2018, equation 13).

    w is the softmax of the scores over the slot's negatives; gradients flow through it. With `elu_param` above 0 the
    scores have passed through an ELU. By distinct item u: with w_u from the first pass, divided by their sum,
    σ_u = σ(s_t − s_u), A = Σ w_u σ_u and Q = Σ w_u s_u², the gradient at s_u is
    w_u (A − σ_u + σ_u (1 − σ_u)) / (A + 1e-24) + regularisation · w_u (s_u² − Q + 2 s_u),
    and at s_t further −Σ_u w_u σ_u (1 − σ_u) / (A + 1e-24).
    """
    places, own, first = targets
    weights, wins = compared
    here, there = sums
    elu_param, regularisation, batch_size = settings
    n_items, slots = scores.shape
    number = scores.dtype.type
    one, zero, alpha, bpreg = number(1.0), number(0.0), number(elu_param), number(regularisation)
    likelihood, penalty, push, scale, back = np.empty((5, slots), dtype=scores.dtype)
    loss = 0.0
    for slot in range(slots):
        share, other = _shares(sums, slot)
        a = share * here[LIKELIHOOD, slot] + other * there[LIKELIHOOD, slot]
        q = share * here[PENALTY, slot] + other * there[PENALTY, slot]
        likelihood[slot], penalty[slot] = a, q
        push[slot] = number(1.0 / (np.float64(a) + _TINY))
        scale[slot] = share / number(batch_size)
        back[slot] = push[slot] * (share * here[PULL, slot] + other * there[PULL, slot])
        if 0 <= places[slot] - first < n_items:
            loss += np.float64(bpreg * q) - np.log(np.float64(a) + _TINY)
    for item in range(n_items):
        gradient = wins[item]
        for slot in range(slots):
            win = gradient[slot]
            gradient[slot] = push[slot] * (likelihood[slot] - win + win * (one - win))
        for slot in range(slots):
            score = scores[item, slot]
            gradient[slot] += bpreg * (score * score - penalty[slot] + score + score)
        for slot in range(slots):
            slope = scores[item, slot] + alpha if scores[item, slot] <= zero else one  # at 0 as torch
            gradient[slot] *= slope if elu_param > 0.0 else one
        for slot in range(slots):
            scores[item, slot] = gradient[slot] * weights[item, slot] * scale[slot]
    for slot in range(slots):
        place = places[slot] - first
        if 0 <= place < n_items:
            slope = own[slot] + alpha if elu_param > 0.0 and own[slot] <= zero else one
            scores[place, slot] -= back[slot] * slope / number(batch_size)
    _sum_over_slots(scores, item_sums)
    return loss / batch_size


@compiled(reorder_sums=True)
def _shares(sums: Sums, slot: int) -> tuple[float, float]:
    """Return what 1 in the sums of this part, and of the other, is in the sum of both parts' weights."""
    here, there = sums
    top = max(here[TOP, slot], there[TOP, slot])
    from_here, from_there = exp(here[TOP, slot] - top), exp(there[TOP, slot] - top)
    total = from_here * here[TOTAL, slot] + from_there * there[TOTAL, slot]
    return from_here / total, from_there / total


@compiled(reorder_sums=True)
def _sum_over_slots(values: FloatingArray, sums: FloatingArray) -> None:
    for item in range(values.shape[0]):
        total = values.dtype.type(0.0)
        for slot in range(values.shape[1]):
            total += values[item, slot]
        sums[item] = total
