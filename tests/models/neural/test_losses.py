"""Losses against sampled negatives, by their definitions."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from gru4rec_cli.models.neural.losses import sampled_softmax, softmax_over_all


@pytest.mark.parametrize("with_bias", [False, True])
def test_softmax_over_all_has_the_values_and_gradients_of_torchs_cross_entropy(with_bias: bool):
    generator = torch.Generator().manual_seed(0)
    shapes = [(5, 3), (7, 3), (7,)] if with_bias else [(5, 3), (7, 3)]
    values = [3 * torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    targets, weights = torch.tensor([0, 6, 2, 2, 5]), torch.tensor([1.0, 0.5, 0.0, 2.0, -1.0]).double()
    found = []
    for ours in (True, False):
        leaves = [value.clone().requires_grad_() for value in values]
        states, vectors, *bias = leaves
        if ours:
            losses = softmax_over_all(states, vectors, targets, *bias)
        else:
            losses = cross_entropy(states @ vectors.T + sum(bias), targets, reduction="none")
        (weights * losses).sum().backward()
        found.append([losses.detach(), *(leaf.grad for leaf in leaves)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_softmax_over_all_is_finite_for_scores_of_any_size():
    states = torch.tensor([[1.0]], requires_grad=True)
    losses = softmax_over_all(states, torch.tensor([[-1e4], [1e4]]), torch.tensor([0]))
    losses.sum().backward()
    assert losses.tolist() == [2e4]
    assert states.grad is not None
    assert states.grad.tolist() == [[2e4]]


def test_sampled_softmax_is_the_cross_entropy_among_the_target_and_its_negatives():
    targets, negatives = torch.tensor([0.5, -2.0, 30.0]).double(), torch.tensor([[1.0, 0.2], [0.1, 3.0], [-40.0, 0.0]])
    is_target = torch.tensor([[False, False], [True, False], [False, False]])
    found = sampled_softmax(targets, negatives.double(), is_target)
    expected = [
        -math.log(math.exp(0.5) / (math.exp(0.5) + math.exp(1.0) + math.exp(0.2))),
        -math.log(math.exp(-2.0) / (math.exp(-2.0) + math.exp(3.0))),
        math.log1p(math.exp(-30.0) + math.exp(-70.0)),
    ]
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-6, atol=1e-15)


def test_an_event_whose_negatives_are_all_its_target_has_no_loss_and_no_gradient():
    targets = torch.tensor([0.5, 0.5], requires_grad=True)
    negatives = torch.tensor([[0.5, 0.5], [0.5, 0.1]], requires_grad=True)
    losses = sampled_softmax(targets, negatives, torch.tensor([[True, True], [True, False]]))
    losses.sum().backward()
    assert losses[0] == 0
    assert targets.grad is not None
    assert negatives.grad is not None
    assert targets.grad[0] == 0
    assert targets.grad[1] < 0
    assert negatives.grad[:, 0].tolist() == [0.0, 0.0]
    assert torch.isfinite(negatives.grad).all()


def test_scores_of_any_size_give_a_finite_loss():
    losses = sampled_softmax(torch.tensor([-1e4, 1e4]), torch.tensor([[1e4], [-1e4]]), torch.zeros(2, 1).bool())
    assert losses.tolist() == [2e4, 0.0]
