"""Adagrad with momentum, by rows where a step touches only some."""

import torch
from torch import Tensor

EPSILON = 1e-6

Parameters = dict[str, Tensor]


class Adagrad:
    """Updates parameters by Adagrad with momentum.

    acc += g²; step = lr · g / sqrt(acc + 1e-6); with momentum μ > 0: mom = μ · mom − step, p += mom; else p −= step.
    Parameters are changed in place. Accumulators and momenta begin at 0.
    """

    def __init__(self, parameters: Parameters, learning_rate: float, momentum: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.accumulators = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.momenta = {name: torch.zeros_like(value) for name, value in parameters.items()} if momentum > 0 else {}
        longest = max(parameters.values(), key=len)
        self._entry_of = torch.zeros(len(longest), dtype=torch.int64, device=longest.device)

    def update(self, name: str, gradient: Tensor) -> None:
        """Update a parameter by a gradient of its shape."""
        self._move(self._tensors(name), gradient)

    def update_rows(self, name: str, rows: Tensor, gradient: Tensor) -> None:
        """Update the given rows (N,) of a matrix by their gradients (N, …); other rows stay as they are.

        A row may be there several times: its gradients are summed before they are squared. How many rows are distinct
        is not known without asking the device, which would have to wait. So all N are computed: every occurrence of a
        row gets the same sum, and writes the same values.
        """
        chosen = self._occurrences(rows)
        gradient = gradient.reshape(len(rows), -1)
        summed = torch.zeros_like(gradient).index_add_(0, chosen, gradient).index_select(0, chosen)
        matrices = [tensor.view(len(tensor), -1) for tensor in self._tensors(name)]
        touched = [matrix.index_select(0, rows) for matrix in matrices]
        self._move(touched, summed)
        for matrix, values in zip(matrices, touched, strict=True):
            matrix.index_copy_(0, rows, values)

    def state(self) -> Parameters:
        """Return everything that a continued training needs beside the parameters, by name."""
        return {f"accumulator.{name}": value for name, value in self.accumulators.items()} | {
            f"momentum.{name}": value for name, value in self.momenta.items()
        }

    def _occurrences(self, rows: Tensor) -> Tensor:
        """Return for every entry of `rows` (N,) the entry that stands for all of its row."""
        self._entry_of[rows] = torch.arange(
            len(rows), device=rows.device
        )  # of several entries one stays; which one does not matter
        return self._entry_of[rows]

    def _tensors(self, name: str) -> list[Tensor]:
        return [tensors[name] for tensors in (self.parameters, self.accumulators, self.momenta) if tensors]

    def _move(self, tensors: list[Tensor], gradient: Tensor) -> None:
        """Change values, accumulators and, if there are any, momenta by a step."""
        values, accumulators, *momenta = tensors
        accumulators.add_(gradient.square())
        step = (self.learning_rate * gradient).div_(accumulators.add(EPSILON).sqrt_())
        if not momenta:
            values.sub_(step)
            return
        values.add_(momenta[0].mul_(self.momentum).sub_(step))
