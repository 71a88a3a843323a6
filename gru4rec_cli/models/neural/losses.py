"""Losses of an event's target against negatives, shared by neural models.

N events, n negatives. A loss takes the scores of the targets (N,), those of the negatives (N, n), and where a negative
is the event's target itself, (N, n) bool: there it is left out. It returns one value an event, (N,).
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, softplus

_ITEMS_AT_ONCE = 1024  # in one product with states


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
        scores = states.new_empty(len(states), len(vectors))  # (N, V)
        for part in _parts(len(vectors)):
            torch.mm(states, vectors[part].T, out=scores[:, part])
        if bias is not None:
            scores += bias
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
        of_vectors = torch.empty_like(vectors)
        for part in _parts(len(vectors)):
            torch.mm(of_scores[:, part].T, states, out=of_vectors[part])
        return of_scores @ vectors, of_vectors, None, of_bias


def _parts(n_items: int) -> Iterator[slice]:
    """Yield slices of the items whose vectors stay in a core's cache: with all at once, products are slower."""
    return (slice(start, start + _ITEMS_AT_ONCE) for start in range(0, n_items, _ITEMS_AT_ONCE))


def sampled_softmax(targets: Tensor, negatives: Tensor, is_target: Tensor) -> Tensor:
    """−log(exp(s⁺) / (exp(s⁺) + Σ_j exp(s_j⁻))): the cross-entropy among the target and its negatives.

    With every other item as a negative once, it is the cross-entropy over all items. Keeps one matrix (N, n) for the
    gradient.
    """
    apply: Callable[..., Tensor] = _SampledSoftmax.apply
    return apply(targets, negatives, is_target)


class _SampledSoftmax(torch.autograd.Function):
    """See `sampled_softmax`. With p the target's share, its derivatives are p − 1 and (1 − p) softmax_j."""

    @staticmethod
    def forward(ctx: Any, targets: Tensor, negatives: Tensor, is_target: Tensor) -> Tensor:
        scores = negatives.masked_fill(is_target, -torch.inf)
        largest = scores.amax(1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)  # all may be left out
        exponentials = scores.sub_(largest).exp_()
        sums = exponentials.sum(1)
        distances = torch.log(sums) + largest[:, 0] - targets
        ctx.save_for_backward(exponentials, sums, torch.sigmoid(distances))
        return softplus(distances)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_losses: Tensor) -> tuple[Tensor, Tensor, None]:
        exponentials, sums, of_negatives = ctx.saved_tensors
        of_negatives = of_losses * of_negatives
        factors = of_negatives / torch.where(sums > 0, sums, 1)
        return -of_negatives, exponentials.mul_(factors[:, None]), None  # in place: a graph is walked once


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
