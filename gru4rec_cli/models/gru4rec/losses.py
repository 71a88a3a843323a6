"""Losses over the distinct items of a step's columns, and their gradients with respect to the scores.

A loss is summed over lanes and divided by the configured batch size. Column b of a step is lane b's target, every other
column is a negative of lane b, also when it holds the same item. Both functions take scores (lanes, U) of the distinct
items, overwrite them with the gradient, write its sum over lanes into `column_sums` (U,), and return the loss.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import elu

from gru4rec_cli.models.gru4rec.loops import bpr_max_gradient, cross_entropy_gradient
from gru4rec_cli.models.gru4rec.minibatch import MiniBatch

Floats = npt.NDArray[np.floating]


def cross_entropy(scores: Tensor, batch: MiniBatch, *, batch_size: int, column_sums: Floats) -> float:
    """−log(p + 1e-24), p the softmax over the columns, corrected by logQ, at the lane's own target column.

    `scores` already hold `log_weights`: with W_u the summed weights e^-correction of item u's columns, the softmax over
    distinct items is P_u = W_u e^{s_u} / Σ_v W_v e^{s_v}, and the own column's p = P_t · e^-correction / W_t. The
    gradient at s_u is (P_u − [u = t]) p / (p + 1e-24).
    """
    torch.softmax(scores, dim=1, out=scores)
    return cross_entropy_gradient(scores.numpy(), batch.targets, batch.own, batch_size, column_sums)


def bpr_max(
    scores: Tensor, batch: MiniBatch, *, regularisation: float, elu_param: float, batch_size: int, column_sums: Floats
) -> float:
    """BPR-max (CIKM 2018, equation 13): −log(Σ_j w_j σ(s_t − s_j) + 1e-24) + regularisation · Σ_j w_j s_j².

    w is the softmax of the scores over the lane's negatives; gradients flow through it. With `elu_param` above 0 the
    scores first pass through an ELU. By distinct item u with c_u columns, less the own column of the lane for u = t:
    w_u ∝ c_u e^{s_u}. With σ_u = σ(s_t − s_u), A = Σ w_u σ_u and Q = Σ w_u s_u², the gradient at s_u is
    w_u (A − σ_u + σ_u (1 − σ_u)) / (A + 1e-24) + regularisation · w_u (s_u² − Q + 2 s_u),
    and at s_t further −Σ_u w_u σ_u (1 − σ_u) / (A + 1e-24).
    """
    if elu_param > 0:
        elu(scores, alpha=elu_param, inplace=True)
    lanes, places = torch.arange(len(batch.targets)), torch.from_numpy(batch.targets)
    own = scores[lanes, places]
    logits = scores + batch.log_weights
    logits[lanes, places] = own + torch.from_numpy(batch.own)
    weights = torch.softmax(logits, dim=1, out=logits)
    wins = torch.sigmoid_(own[:, None] - scores)
    return bpr_max_gradient(
        scores.numpy(),
        weights.numpy(),
        wins.numpy(),
        batch.targets,
        elu_param,
        regularisation,
        batch_size,
        column_sums,
    )
