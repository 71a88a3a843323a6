"""The losses over distinct items, by hand."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.compiled import losses
from gru4rec_cli.models.gru4rec.compiled.batches import Assembler, Batches
from tests.models.gru4rec.compiled.putting import put_together
from tests.models.gru4rec.steps import one_step


class Looked(NamedTuple):
    """What both looks at the scores say."""

    loss: float
    gradient: npt.NDArray[np.float64]  # (slots, items)
    item_sums: npt.NDArray[np.float64]


def both_parts(batch: Batches, values: npt.ArrayLike, middle: int, settings: Settings) -> Looked:
    """Loss and gradient of scores (slots, items) that are looked at in two parts, as a step does it."""
    scores = np.array(values).T.copy()
    n_items, slots = scores.shape
    own, ends = np.zeros(slots), [(0, middle), (middle, n_items)]
    targets = [losses.Targets(batch.targets[0], own, start) for start, _ in ends]
    sums = np.zeros((2, losses.N_SUMS, slots))
    weights, wins, item_sums = np.zeros_like(scores), np.zeros_like(scores), np.zeros(n_items)
    cross_entropy = settings.loss == "cross-entropy"
    for part, (start, stop) in enumerate(ends):
        counts, top = batch.weights[0, start:stop], sums[part, losses.TOP]
        if cross_entropy:
            losses.highest(scores[start:stop], counts, top)
            continue
        if settings.elu > 0:
            losses.elu(scores[start:stop], settings.elu)
        losses.highest_other(scores[start:stop], counts, targets[part], top)
        losses.own_scores(scores[start:stop], targets[part])
    for part, (start, stop) in enumerate(ends):
        counts = batch.weights[0, start:stop]
        if cross_entropy:
            losses.add_exponentials(scores[start:stop], counts, sums[part], targets[part])
        else:
            compared = losses.Comparisons(weights[start:stop], wins[start:stop])
            losses.add_comparisons(scores[start:stop], counts, sums[part], targets[part], compared)
    loss = 0.0
    for part, (start, stop) in enumerate(ends):
        part_scores, both, biases = scores[start:stop], losses.Sums(sums[part], sums[1 - part]), item_sums[start:stop]
        if cross_entropy:
            loss += losses.cross_entropy_gradient(
                part_scores, both, targets[part], batch.own[0], settings.batch_size, biases
            )
        else:
            compared = losses.Comparisons(weights[start:stop], wins[start:stop])
            rules = losses.BprMax(settings.elu, settings.regularisation, settings.batch_size)
            loss += losses.bpr_max_gradient(part_scores, both, targets[part], compared, rules, biases)
    return Looked(loss, scores.T, item_sums)


@pytest.mark.parametrize("middle", [0, 1, 2, 3])
def test_cross_entropy_by_hand(middle: int):
    # Two slots with targets 0 and 1, one negative 2. Divided by the configured batch size, not by the slots.
    settings = Settings(batch_size=8, logq=0.0)
    batch = put_together(settings, [0, 1], [2], [1, 1, 1])
    found = both_parts(batch, np.log([[2.0, 1.0, 1.0], [1.0, 3.0, 6.0]]), middle, settings)
    assert found.loss == pytest.approx((-np.log(2 / 4) - np.log(3 / 10)) / 8, rel=1e-12)
    expected = np.array([[2 / 4 - 1, 1 / 4, 1 / 4], [1 / 10, 3 / 10 - 1, 6 / 10]]) / 8
    assert found.gradient == pytest.approx(expected)
    assert found.item_sums == pytest.approx(expected.sum(axis=0))


def bpr_max_loss(values: list[list[float]], regularisation: float, elu_param: float, batch_size: int) -> float:
    """Of scores whose first columns are the slots' targets, all items distinct."""
    slots, columns = np.shape(values)
    settings = Settings(loss="bpr-max", batch_size=batch_size, bpreg=regularisation, elu_param=elu_param)
    batch = put_together(settings, list(range(slots)), list(range(slots, columns)), [1] * columns)
    losses = [both_parts(batch, values, middle, settings).loss for middle in range(columns + 1)]
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-12)
    return losses[0]


def test_bpr_max_by_hand():
    # Own score 1, negatives 0 and 2.
    first, second = 1 / (1 + math.exp(2)), math.exp(2) / (1 + math.exp(2))  # softmax over the negatives
    likelihood = first / (1 + math.exp(-1)) + second / (1 + math.exp(1))
    expected = (-math.log(likelihood) + 0.5 * (second * 4)) / 4
    assert bpr_max_loss([[1.0, 0.0, 2.0]], 0.5, 0.0, 4) == pytest.approx(expected, rel=1e-12)


def test_scores_far_above_the_others_do_not_drown_what_is_compared():
    # The own score is far above the negatives: their softmax is still that of 0 and 2.
    first, second = 1 / (1 + math.exp(2)), math.exp(2) / (1 + math.exp(2))
    expected = (-math.log(1.0) + 0.5 * (second * 4)) / 4
    assert bpr_max_loss([[1000.0, 0.0, 2.0]], 0.5, 0.0, 4) == pytest.approx(expected, rel=1e-12)
    assert first + second == pytest.approx(1)
    # An item that is only an input, and so weighs nothing, is far above target and negative.
    settings = Settings(batch_size=2, logq=0.0, dropout_p_hidden=0.0)
    assembler = Assembler(np.array([1, 1, 1]), settings, np.float64)
    batch = assembler.assemble(one_step(np.array([0]), np.array([1]), np.array([2])))
    assert batch.weights[0, :3].tolist() == [0, 1, 1]
    for middle in range(4):
        found = both_parts(batch, [[1000.0, 1.0, 0.0]], middle, settings)
        assert found.loss == pytest.approx(math.log(1 + math.exp(-1)) / 2, rel=1e-12)
        wrong = 1 / (1 + math.exp(1)) / 2
        assert found.gradient == pytest.approx(np.array([[0.0, -wrong, wrong]]), rel=1e-9)


def test_a_target_far_below_the_others_is_still_learnt():
    # p = e^-50 (1 + e^-50): above 1e-24 the gradient is hardly less than that of -log p.
    settings = Settings(batch_size=2, logq=0.0)
    batch = put_together(settings, [0], [1], [1, 1])
    p = math.exp(-50)
    for middle in range(3):
        found = both_parts(batch, [[-50.0, 0.0]], middle, settings)
        assert found.loss == pytest.approx(-math.log(p + 1e-24) / 2, rel=1e-12)
        pull = p / (p + 1e-24) / 2
        assert found.gradient == pytest.approx(np.array([[-pull, pull]]), rel=1e-12)


def test_bpr_max_counts_wins_against_all_that_are_far_above():
    # The target at -50, negatives up to 0: every weighted win is about e^-50, however small the weight.
    scores = [[-50.0, 0.0, -20.0, -45.0, -49.0]]
    weights = np.exp([0.0, -20.0, -45.0, -49.0])
    wins = 1 / (1 + np.exp(np.array(scores[0][1:]) + 50))
    likelihood = (weights * wins).sum() / weights.sum()
    assert likelihood == pytest.approx(4 * math.exp(-50), rel=0.1)
    expected = -math.log(likelihood + 1e-24) / 3
    assert bpr_max_loss(scores, 0.0, 0.0, 3) == pytest.approx(expected, rel=1e-12)


def test_bpr_max_passes_scores_through_the_elu():
    scores = [[-1.0, -2.0, 2.0], [0.5, 3.0, -0.1]]
    bent = [[score if score > 0 else 0.7 * (math.exp(score) - 1) for score in row] for row in scores]
    assert bpr_max_loss(scores, 1.5, 0.7, 2) == pytest.approx(bpr_max_loss(bent, 1.5, 0.0, 2))


def test_bpr_max_counts_columns_and_leaves_the_own_one_out():
    settings = Settings(loss="bpr-max", batch_size=2, bpreg=0.0, elu_param=0.0)
    batch = put_together(settings, [2, 1], [2, 1, 1], [1, 4, 9])
    assert batch.weights[0, :2].tolist() == [2, 3]

    # Slot 0, target 2 (score 1): one other column of item 2, three of item 1 (score 0). Slot 1: two of each.
    def slot(own: float, same: float, other: float) -> float:
        total = same * math.exp(own) + other
        return -math.log((same * math.exp(own) * 0.5 + other / (1 + math.exp(-own))) / total)

    found = both_parts(batch, [[1.0, 0.0], [0.0, 1.0]], 1, settings)
    assert found.loss == pytest.approx((slot(1.0, 1, 3) + slot(1.0, 2, 2)) / 2, rel=1e-12)
