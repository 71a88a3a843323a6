"""Losses of an event's target against negatives, shared by neural models.

N events, n negatives. A loss takes the scores of the targets (N,), those of the negatives (N, n), and where a negative
is the event's target itself, (N, n) bool: there it is left out. It returns one value an event, (N,).
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


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
