"""Everything random in training, drawn on the CPU by one generator, so that a seed means the same on every device."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Float32Array, Float64Array, Int64Array

Drop = Callable[[Tensor, float], Tensor]  # values and a rate → the values, of which some are zero


def epoch_seed(seed: int, epoch: int) -> int:
    """Return an independent seed for every epoch of every seed."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


class NegativeSampler:
    """Draws item indices with probability ∝ support^alpha (CIKM 2018, section 3.1)."""

    def __init__(self, supports: Int64Array, alpha: float) -> None:
        """`supports` (V,): training events of every item."""
        self.cumulative: Float64Array = np.cumsum(supports.astype(np.float64) ** alpha)

    def draw(self, generator: np.random.Generator, *shape: int) -> Int64Array:
        """Draw items of the given shape."""
        return self.find(generator.random(int(np.prod(shape)))).reshape(shape)

    def find(self, uniform: Float64Array) -> Int64Array:
        """Return the first item whose cumulative weight is above each number in [0, 1) times the total."""
        found = np.searchsorted(self.cumulative, uniform * self.cumulative[-1], side="right")
        items: Int64Array = np.minimum(found, len(self.cumulative) - 1)  # rounding may reach the end
        return items


def dropout_mask(generator: np.random.Generator, rate: float, *shape: int) -> Tensor:
    """Draw the factors of a dropout: 0 with probability `rate`, else 1 / (1 − rate)."""
    return mask_of(generator.random(shape, dtype=np.float32), rate)


def mask_of(uniform: Float32Array, rate: float) -> Tensor:
    """Return the factors of a dropout that uniform numbers in [0, 1) decide: 0 where they are below the rate."""
    return torch.from_numpy((uniform >= rate) * np.float32(1 / (1 - rate)))


def dropout(generator: np.random.Generator, device: torch.device) -> Drop:
    """Return the dropout of training: each value is zero with the rate's probability, and the others are enlarged."""

    def drop(x: Tensor, rate: float) -> Tensor:
        return x * dropout_mask(generator, rate, *x.shape).to(device) if rate else x

    return drop


def no_dropout(x: Tensor, rate: float) -> Tensor:
    """Return the values as they are: the dropout of scoring."""
    return x
