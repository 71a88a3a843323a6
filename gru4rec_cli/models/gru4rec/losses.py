"""Losses over the sampled columns of a step, summed over lanes and divided by the configured batch size."""

import torch
from torch import Tensor

_TINY = 1e-24  # inside the logarithm, as in the author's implementation


def logq_correction(columns: Tensor, supports: Tensor, *, alpha: float, strength: float, batch_size: int) -> Tensor:
    """What to subtract from the scores of every column: strength · log q_j, shape (columns,).

    q_j is support_j for the first `batch_size` columns (targets are drawn by the data) and support_j^alpha for the
    sampled rest. `batch_size` is the configured one: when the batch is narrower, the first few sampled columns count
    as targets too. The author's implementation does that, and his published results rest on it.
    """
    log_support = torch.log(supports[columns])
    exponent = torch.full_like(log_support, alpha)
    exponent[:batch_size] = 1.0
    return strength * exponent * log_support


def cross_entropy(scores: Tensor, *, batch_size: int) -> Tensor:
    """−log(softmax over the columns at the lane's own target + 1e-24), for scores (lanes, columns); column b is
    lane b's target. Every other column is a negative, also when it holds the same item."""
    own = torch.softmax(scores, dim=1).diagonal()  # (lanes,)
    return -torch.log(own + _TINY).sum() / batch_size
