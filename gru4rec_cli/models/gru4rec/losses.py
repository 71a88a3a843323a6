"""Losses over the sampled columns of a step, summed over lanes and divided by the configured batch size.

Scores are (lanes, columns); column b is lane b's target, every other column is a negative of lane b, also when it holds
the same item.
"""

import torch
from torch import Tensor
from torch.nn.functional import elu

_TINY = 1e-24  # inside the logarithms, as in the author's implementation


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
    """−log(softmax over the columns at the lane's own target + 1e-24)."""
    own = torch.softmax(scores, dim=1).diagonal()  # (lanes,)
    return -torch.log(own + _TINY).sum() / batch_size


def bpr_max(scores: Tensor, *, regularisation: float, elu_param: float, batch_size: int) -> Tensor:
    """BPR-max (CIKM 2018, equation 13): −log(Σ_j w_j σ(s_own − s_j) + 1e-24) + regularisation · Σ_j w_j s_j².

    w is the softmax of the scores over the lane's negatives; gradients flow through it. With `elu_param` above 0 the
    scores first pass through an ELU.
    """
    if elu_param > 0:
        scores = elu(scores, alpha=elu_param)
    own = scores.diagonal()[:, None]  # (lanes, 1)
    is_own = torch.zeros_like(scores, dtype=torch.bool).fill_diagonal_(True)
    weights = torch.softmax(scores.masked_fill(is_own, -torch.inf), dim=1)  # (lanes, columns), 0 at the own column
    likelihood = (weights * torch.sigmoid(own - scores)).sum(dim=1)
    penalty = (weights * scores**2).sum(dim=1)
    return (-torch.log(likelihood + _TINY) + regularisation * penalty).sum() / batch_size
