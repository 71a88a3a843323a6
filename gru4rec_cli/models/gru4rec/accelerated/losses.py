"""The losses over all columns of a step, where lanes that are gone have neither a column nor a loss.

Scores are (B, C): column b < B is lane b's target, the others are sampled. `present` (B,) tells the lanes that are
there. Equal items are columns of their own here; `minibatch` puts them together for the CPU's step.
"""

import torch
from torch import Tensor
from torch.nn.functional import elu

_TINY = 1e-24  # inside the logarithms, as in the author's implementation


def cross_entropy(scores: Tensor, present: Tensor) -> Tensor:
    """−log(p + 1e-24), p the softmax over the columns at the lane's own target; summed over lanes."""
    own = torch.softmax(scores.masked_fill(_gone(scores, present), -torch.inf), dim=1).diagonal()
    return _summed(-torch.log(own + _TINY), present)


def bpr_max(scores: Tensor, present: Tensor, *, regularisation: float, elu_param: float) -> Tensor:
    """BPR-max (CIKM 2018, equation 13), see `loss_loops.bpr_max_gradient`; summed over lanes."""
    if elu_param > 0:
        scores = elu(scores, alpha=elu_param)
    own = scores.diagonal()[:, None]
    is_own = torch.zeros_like(scores, dtype=torch.bool).fill_diagonal_(True)
    weights = torch.softmax(scores.masked_fill(is_own | _gone(scores, present), -torch.inf), dim=1)
    likelihood = (weights * torch.sigmoid(own - scores)).sum(dim=1)
    penalty = (weights * scores * scores).sum(dim=1)
    return _summed(-torch.log(likelihood + _TINY) + regularisation * penalty, present)


def _gone(scores: Tensor, present: Tensor) -> Tensor:
    """Columns that are not there, (C,)."""
    return torch.cat([~present, present.new_zeros(scores.shape[1] - len(present))])


def _summed(by_lane: Tensor, present: Tensor) -> Tensor:
    return by_lane.masked_fill(~present, 0.0).sum()
