"""Extra negatives: items drawn by popularity, shared by all lanes of a step (CIKM 2018, section 3.1)."""

from collections.abc import Iterator

import torch
from torch import Tensor

_CHUNK = 2**20  # negatives drawn at once


def draw_negatives(supports: Tensor, alpha: float, n_sample: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless draws of `n_sample` item indices, int64 (n_sample,), with probability ∝ support^alpha."""
    cumulative = torch.cumsum(supports.double() ** alpha, dim=0)
    steps = max(1, _CHUNK // max(1, n_sample))
    while True:
        uniform = torch.rand(steps, n_sample, dtype=torch.float64, generator=generator)
        drawn = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True)
        yield from drawn.clamp_(max=len(supports) - 1)
