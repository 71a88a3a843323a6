"""Losses of an event's target against sampled negatives, shared by neural models.

N events, n negatives. A loss takes the scores of the targets (N,), those of the negatives (N, n), and where a negative
is the event's target itself, (N, n) bool: there it is left out. It returns one value an event, (N,).
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def sampled_softmax(targets: Tensor, negatives: Tensor, is_target: Tensor) -> Tensor:
    """−log(exp(s⁺) / (exp(s⁺) + Σ_j exp(s_j⁻))): the cross-entropy among the target and its negatives.

    With every other item as a negative once, it is the cross-entropy over all items.
    """
    return softplus(torch.logsumexp(negatives.masked_fill(is_target, -torch.inf), dim=1) - targets)
