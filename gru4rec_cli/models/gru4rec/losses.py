"""The losses of GRU4Rec over all columns of a step.

Scores are (B, C): column b < B is slot b's target, the others are sampled; every other column is a negative of slot b,
also when it holds the same item. A loss returns one value a slot, (B,). Its name is the value of the setting `loss`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import elu

from gru4rec_cli.models.gru4rec.settings import Settings

_TINY = 1e-24  # inside the logarithms, as in the author's implementation


class Columns(NamedTuple):
    """Properties of the columns beside their scores."""

    gone: Tensor  # (C,) bool: targets of slots that are gone, which are no negatives
    log_q: Tensor  # (C,) log q_j: how often the data (targets) or the sampler (negatives) brings the item


def cross_entropy(scores: Tensor, columns: Columns, settings: Settings) -> Tensor:
    """Return −log(p + 1e-24), p the softmax of the scores, corrected by logQ, at the slot's own target."""
    correction = (settings.logq_strength * columns.log_q).masked_fill(columns.gone, torch.inf)
    p = torch.softmax(scores - correction, dim=1).diagonal()
    return -torch.log(p + _TINY)


def bpr_max(scores: Tensor, columns: Columns, settings: Settings) -> Tensor:
    """Return −log(Σ_j w_j σ(s_t − s_j) + 1e-24) + bpreg · Σ_j w_j s_j² (CIKM 2018, equation 13).

    w is the softmax of the scores over the slot's negatives; scores pass through an ELU first where its parameter is
    above 0.
    """
    if settings.elu > 0:
        scores = elu(scores, alpha=settings.elu)
    own = scores.diagonal()[:, None]
    is_own = torch.zeros_like(scores, dtype=torch.bool).fill_diagonal_(True)
    w = torch.softmax(scores.masked_fill(is_own | columns.gone, -torch.inf), dim=1)
    likelihood = (w * torch.sigmoid(own - scores)).sum(dim=1)
    penalty = (w * scores * scores).sum(dim=1)
    return -torch.log(likelihood + _TINY) + settings.regularisation * penalty


LOSSES: dict[str, Callable[[Tensor, Columns, Settings], Tensor]] = {
    "cross-entropy": cross_entropy,
    "bpr-max": bpr_max,
}
