"""Adagrad with momentum, for whole parameters and for the rows of a matrix that a step touched."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.loops import adagrad_rows

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
        # The same memory as matrices (rows, columns); without momentum the last one is not looked at.
        self._matrices = {
            name: tuple(_matrix(part) for part in (value, self.accumulators[name], self.momenta.get(name, value)))
            for name, value in parameters.items()
        }
        self._all_rows = {name: np.arange(len(found[0])) for name, found in self._matrices.items()}

    def update(self, name: str, gradient: Tensor) -> None:
        """Update a whole parameter."""
        self.update_rows(name, self._all_rows[name], gradient.numpy())

    def update_rows(self, name: str, rows: Int64Array, gradient: npt.NDArray[np.floating]) -> None:
        """Update the given rows, each named once, with their gradients (rows, …)."""
        values, accumulators, momenta = self._matrices[name]
        by_row = gradient.reshape(len(rows), values.shape[1])
        adagrad_rows(values, accumulators, momenta, rows, by_row, self.learning_rate, self.momentum, EPSILON)

    def state(self) -> dict[str, Tensor]:
        """Everything that a continued training needs, by name."""
        return {f"accumulator.{name}": value for name, value in self.accumulators.items()} | {
            f"momentum.{name}": value for name, value in self.momenta.items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for name, value in self.state().items():
            value.copy_(state[name])


def _matrix(value: Tensor) -> npt.NDArray[np.floating]:
    return value.numpy().reshape(len(value), -1)
