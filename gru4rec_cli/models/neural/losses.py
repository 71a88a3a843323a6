"""Losses of an event's target against negatives, shared by neural models.

N events, n negatives. A loss takes the scores of the targets (N,), those of the negatives (N, n), and where a negative
is the event's target itself, (N, n) bool: there it is left out. It returns one value an event, (N,).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, softplus


def softmax_over_all(states: Tensor, vectors: Tensor, targets: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return −log softmax(vectors · state + bias) at the target of every event, (N,): the cross-entropy over all items.

    States are (N, D), item vectors (V, D), targets (N,), the bias (V,). Equals torch's `cross_entropy` of the scores,
    but keeps one matrix (N, V) for the gradient where torch needs three.
    """
    apply: Callable[..., Tensor] = _SoftmaxOverAll.apply
    return apply(states, vectors, targets, bias)


class _SoftmaxOverAll(torch.autograd.Function):
    """See `softmax_over_all`. Its derivative by the scores is g (softmax − onehot), with g that by the loss."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, targets: Tensor, bias: Tensor | None) -> Tensor:
        scores = states @ vectors.T if bias is None else torch.addmm(bias, states, vectors.T)  # (N, V)
        of_targets = scores.gather(1, targets[:, None])  # (N, 1)
        largest = scores.amax(1, keepdim=True)
        exponentials = scores.sub_(largest).exp_()
        sums = exponentials.sum(1, keepdim=True)
        ctx.save_for_backward(states, vectors, targets, exponentials, sums)
        return (torch.log(sums) + largest - of_targets)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_losses: Tensor) -> tuple[Tensor, Tensor, None, Tensor | None]:
        states, vectors, targets, exponentials, sums = ctx.saved_tensors
        of_scores = exponentials.mul_(of_losses[:, None] / sums)  # in place: a graph is walked once
        of_scores.scatter_add_(1, targets[:, None], -of_losses[:, None])
        of_bias = of_scores.sum(0) if ctx.needs_input_grad[3] else None
        return of_scores @ vectors, of_scores.T @ states, None, of_bias


def sampled_softmax(targets: Tensor, negatives: Tensor, is_target: Tensor) -> Tensor:
    """−log(exp(s⁺) / (exp(s⁺) + Σ_j exp(s_j⁻))): the cross-entropy among the target and its negatives.

    With every other item as a negative once, it is the cross-entropy over all items.
    """
    return softplus(torch.logsumexp(negatives.masked_fill(is_target, -torch.inf), dim=1) - targets)


def binary_cross_entropy(targets: Tensor, negatives: Tensor, is_target: Tensor, beta: float = 1.0) -> Tensor:
    """−(β log σ(s⁺) + Σ_j log(1 − σ(s_j⁻))) / (n + 1) (Petrov & Macdonald, RecSys 2023); β = 1: BCE."""
    of_negatives = softplus(negatives).masked_fill(is_target, 0.0).sum(dim=1)  # −log(1 − σ(s)) = softplus(s)
    return (of_negatives - beta * logsigmoid(targets)) / (negatives.shape[1] + 1)


def gbce_beta(n_negatives: int, n_items: int, t: float) -> float:
    """Return β = α (t (1 − 1/α) + 1/α), with the sampling rate α = n / (V − 1) (Petrov & Macdonald, RecSys 2023).

    t = 0 gives 1, which is BCE, and t = 1 gives α. α is at most 1 here, also where negatives are drawn more than once.
    """
    alpha = min(n_negatives / max(n_items - 1, 1), 1.0)
    return alpha * (t * (1 - 1 / alpha) + 1 / alpha)
