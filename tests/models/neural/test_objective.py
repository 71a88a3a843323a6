"""The loss of every event, with each setting that decides it, against sums written out in float64."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.models.neural.objective import Objective, log_q
from gru4rec_cli.models.neural.settings import GradientSettings

V, D = 7, 3
SUPPORTS = np.array([5, 1, 2, 8, 3, 3, 1])
TARGETS = np.array([3, 0, 6, 3])
RNG = np.random.default_rng(0)
STATES, ITEMS, BIAS = RNG.normal(size=(4, D)), RNG.normal(size=(V, D)), RNG.normal(size=V)


def found(bias: bool = False, drawn: Int64Array | None = None, **changes: Any) -> Float64Array:
    """What the objective returns, with given negatives."""
    settings = GradientSettings.model_validate({"n_sample": 5} | changes)
    objective = Objective(SUPPORTS, settings, torch.device("cpu"))
    objective.log_q = objective.log_q.double()
    if drawn is not None:
        objective.sampler.draw = lambda *_: drawn  # type: ignore[method-assign]
    states, targets, items, biases = (torch.from_numpy(values) for values in (STATES, TARGETS, ITEMS, BIAS))
    losses = objective(states, targets, items, np.random.default_rng(1), bias=biases if bias else None)
    array: Float64Array = losses.numpy()
    return array


def score(event: int, item: int, bias: bool) -> float:
    return float(sum(STATES[event] * ITEMS[item])) + (float(BIAS[item]) if bias else 0.0)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("loss", ["sampled-softmax", "bce", "gbce"])
def test_sampled_losses_are_the_sums_written_out(loss: str, bias: bool, own: bool):
    negatives = RNG.integers(0, V, (4, 5) if own else 5)
    negatives.flat[0] = TARGETS[0]  # a negative that is the target does not count
    alpha = 0.5 if loss == "sampled-softmax" else 0.0
    share = SUPPORTS**alpha / (SUPPORTS**alpha).mean()
    expected = []
    for event, target in enumerate(TARGETS):
        drawn = [j for j in (negatives[event] if own else negatives) if j != target]
        own_score = score(event, target, bias)
        others = [score(event, j, bias) - math.log(share[j]) for j in drawn]
        if loss == "sampled-softmax":
            expected.append(math.log(sum(math.exp(s) for s in [own_score, *others])) - own_score)
        else:
            a = 5 / (V - 1)
            beta = a * (0.75 * (1 - 1 / a) + 1 / a) if loss == "gbce" else 1.0
            terms = beta * math.log(1 / (1 + math.exp(-own_score)))
            terms += sum(math.log(1 - 1 / (1 + math.exp(-s))) for s in others)
            expected.append(-terms / 6)
    sharing = {"negatives": "own" if own else "shared"}
    actual = found(bias, negatives, loss=loss, sample_alpha=alpha, **sharing)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)  # log_q is computed in float32


@pytest.mark.parametrize("bias", [False, True])
def test_cross_entropy_is_that_of_all_items(bias: bool):
    expected = []
    for event, target in enumerate(TARGETS):
        scores = [score(event, j, bias) for j in range(V)]
        expected.append(math.log(sum(math.exp(s) for s in scores)) - scores[target])
    np.testing.assert_allclose(found(bias, loss="cross-entropy"), expected, rtol=1e-12)


def test_the_sampled_softmax_with_all_items_is_the_cross_entropy():
    full = cross_entropy(torch.from_numpy(STATES @ ITEMS.T), torch.from_numpy(TARGETS), reduction="none")
    np.testing.assert_allclose(found(drawn=np.arange(V)), full.numpy(), rtol=1e-12)


def test_gbce_with_t_0_is_bce():
    np.testing.assert_allclose(found(loss="gbce", gbce_t=0.0), found(loss="bce"), rtol=1e-15)


def test_gbce_with_t_1_weighs_the_target_by_the_sampling_rate():
    negatives = np.array([1, 2, 4, 5])
    for event in range(4):
        positive = math.log(1 + math.exp(-score(event, TARGETS[event], False)))
        rest = sum(math.log(1 + math.exp(score(event, j, False))) for j in negatives)
        loss = found(drawn=negatives, loss="gbce", gbce_t=1.0, n_sample=4)[event]
        assert loss == pytest.approx((4 / 6 * positive + rest) / 5)


def test_log_q_makes_up_for_how_often_a_negative_is_drawn():
    supports, values = np.array([5, 1, 2, 8, 3]), np.random.default_rng(0).normal(size=5)
    q = supports**0.7 / sum(supports**0.7)
    expected = sum(q * np.exp(values - log_q(supports, 0.7).numpy()))
    assert expected == pytest.approx(np.exp(values).mean(), rel=1e-6)
    assert log_q(supports, 0.0).tolist() == [0.0] * 5


@pytest.mark.parametrize(
    "wrong", [{"sparse_adam": True, "loss": "cross-entropy"}, {"loss": "bce", "sample_alpha": 0.5}]
)
def test_settings_that_do_not_go_together_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=r"sparse_adam|sample_alpha"):
        GradientSettings.model_validate(wrong)
