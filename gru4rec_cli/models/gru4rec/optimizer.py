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
        tensors = self._tensors(name)
        for tensor, moved in zip(tensors, self._moved(tensors, gradient), strict=True):
            tensor.copy_(moved)

    def update_rows(self, name: str, rows: Tensor, gradient: Tensor) -> None:
        """Update the given rows (N,) of a matrix by their gradients (N, …); other rows stay as they are.

        A row may be there several times: its gradients are summed before they are squared. The last row of the matrix
        is padding: it may be there too, and stays zero. How many rows are distinct is not known without asking the
        device, which would have to wait. So all N are computed: gradients of a row are summed at one of its
        occurrences, the others write to the padding row, which is then set to zero.
        """
        padding = len(self.parameters[name]) - 1
        summed_at, written_to = self._occurrences(rows, padding)
        gradient = gradient.reshape(len(rows), -1)
        summed = torch.zeros_like(gradient).index_add_(0, summed_at, gradient)
        matrices = [tensor.view(padding + 1, -1) for tensor in self._tensors(name)]
        moved = self._moved([matrix.index_select(0, rows) for matrix in matrices], summed)
        for matrix, values in zip(matrices, moved, strict=True):
            matrix.index_copy_(0, written_to, values)
            matrix[padding].zero_()

    def state(self) -> Parameters:
        """Return everything that a continued training needs beside the parameters, by name."""
        return {f"accumulator.{name}": value for name, value in self.accumulators.items()} | {
            f"momentum.{name}": value for name, value in self.momenta.items()
        }

    def _occurrences(self, rows: Tensor, padding: int) -> tuple[Tensor, Tensor]:
        """Return for every entry of `rows` (N,) the entry that stands for all of its row, and the row it writes to.

        That is its own row if it is that entry, else the padding row. So no two entries write to one row.
        """
        numbers = torch.arange(len(rows), device=rows.device)
        self._entry_of[rows] = numbers  # of several entries one stays; which one does not matter
        chosen = self._entry_of[rows]
        return chosen, rows.masked_fill(chosen != numbers, padding)

    def _tensors(self, name: str) -> list[Tensor]:
        return [tensors[name] for tensors in (self.parameters, self.accumulators, self.momenta) if tensors]

    def _moved(self, tensors: list[Tensor], gradient: Tensor) -> list[Tensor]:
        """Return values, accumulators and, if there are any, momenta after a step."""
        values, accumulators, *momenta = tensors
        accumulators = accumulators + gradient * gradient
        step = self.learning_rate * gradient / torch.sqrt(accumulators + EPSILON)
        if not momenta:
            return [values - step, accumulators]
        momentum = self.momentum * momenta[0] - step
        return [values + momentum, accumulators, momentum]
