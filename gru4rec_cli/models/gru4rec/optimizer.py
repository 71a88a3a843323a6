"""Adagrad with momentum, for whole parameters and for the rows of a matrix that a step touched."""

import torch
from torch import Tensor

_EPSILON = 1e-6


class Adagrad:
    """acc += g²; step = lr · g / sqrt(acc + 1e-6); with momentum μ > 0: mom = μ · mom − step, p += mom; else p −= step.

    Item matrices are updated by row: accumulator and momentum of untouched rows stay as they are. Gradients of a row
    that occurs several times in a step must have been summed before.
    """

    def __init__(self, parameters: dict[str, Tensor], learning_rate: float, momentum: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.accumulators = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.momenta = {name: torch.zeros_like(value) for name, value in parameters.items()} if momentum > 0 else {}

    @torch.no_grad()
    def update(self, name: str, gradient: Tensor) -> None:
        """Update a whole parameter."""
        accumulator = self.accumulators[name].addcmul_(gradient, gradient)
        step = self.learning_rate * gradient / torch.sqrt(accumulator + _EPSILON)
        if self.momentum > 0:
            self.parameters[name].add_(self.momenta[name].mul_(self.momentum).sub_(step))
        else:
            self.parameters[name].sub_(step)

    @torch.no_grad()
    def update_rows(self, name: str, rows: Tensor, gradient: Tensor) -> None:
        """Update the given rows, each named once, with their gradients (rows, …)."""
        accumulator = self.accumulators[name].index_select(0, rows).addcmul_(gradient, gradient)
        self.accumulators[name].index_copy_(0, rows, accumulator)
        step = self.learning_rate * gradient / torch.sqrt(accumulator + _EPSILON)
        if self.momentum > 0:
            momentum = self.momenta[name].index_select(0, rows).mul_(self.momentum).sub_(step)
            self.momenta[name].index_copy_(0, rows, momentum)
            self.parameters[name].index_add_(0, rows, momentum)
        else:
            self.parameters[name].index_add_(0, rows, step, alpha=-1.0)

    def state(self) -> dict[str, Tensor]:
        """Everything that a continued training needs, by name."""
        return {f"accumulator.{name}": value for name, value in self.accumulators.items()} | {
            f"momentum.{name}": value for name, value in self.momenta.items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for name, value in self.state().items():
            value.copy_(state[name])
