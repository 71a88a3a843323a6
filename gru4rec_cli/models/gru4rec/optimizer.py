"""Adagrad with momentum: what it keeps. What it does is compiled: `loops.adagrad` and `loops.adagrad_rows`."""

import torch
from torch import Tensor

EPSILON = 1e-6


class Adagrad:
    """acc += g²; step = lr · g / sqrt(acc + 1e-6); with momentum μ > 0: mom = μ · mom − step, p += mom; else p −= step.

    Item matrices are updated by row: accumulator and momentum of untouched rows stay as they are. Gradients of a row
    that occurs several times in a step must have been summed before.
    """

    def __init__(self, parameters: dict[str, Tensor], learning_rate: float, momentum: float) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.accumulators = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.momenta = {name: torch.zeros_like(value) for name, value in parameters.items()} if momentum > 0 else {}

    def state(self) -> dict[str, Tensor]:
        """Everything that a continued training needs, by name."""
        return {f"accumulator.{name}": value for name, value in self.accumulators.items()} | {
            f"momentum.{name}": value for name, value in self.momenta.items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for name, value in self.state().items():
            value.copy_(state[name])
