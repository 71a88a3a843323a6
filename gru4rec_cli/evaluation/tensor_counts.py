"""The counts behind full ranking in torch operations, for scores that lie on an accelerator.

They equal those of the compiled loops, which are faster on the CPU.
"""

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Int32Array, Int64Array


def count_tensor(scores: Tensor, targets: Int32Array, supports: Int64Array) -> Int64Array:
    """Return what `count_dense` does: greater, equal, greater_support, equal_support, and NaNs; (5, events)."""
    target = torch.from_numpy(targets).to(scores.device, torch.int64)  # (events,)
    support = torch.from_numpy(supports).to(scores.device)  # (V,)
    indices = target.clamp(min=0)
    target_scores = scores.gather(1, indices[:, None])  # (events, 1)
    above, same = scores > target_scores, scores == target_scores  # (events, V)
    counts = torch.stack(
        [
            above.sum(1),
            same.sum(1) - 1,
            torch.where(above, support, 0).sum(1),
            torch.where(same, support, 0).sum(1) - support[indices],
            scores.isnan().sum(1),
        ]
    )
    # An unknown target has all items above it.
    everything = torch.stack(
        [torch.full_like(target, len(support)), target * 0, support.sum() + target * 0, target * 0]
    )
    counts[:4] = torch.where(target < 0, everything, counts[:4])
    return np.asarray(counts.cpu().numpy())


def best_of_tensor(scores: Tensor, longest: int) -> Int32Array:
    """Return the `longest` best items of every row, best first, equal scores in index order, (events, longest); no NaN.

    Score and index are joined into one integer, since `topk` returns equal values in any order.
    """
    bits = (scores + 0.0).view(torch.int32)  # adding 0 turns -0 into 0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # integers in the order of the scores
    indices = torch.arange(scores.shape[1], device=scores.device)
    best = ((ordered.long() << 32) - indices).topk(longest).indices
    return best.to(torch.int32).cpu().numpy()
