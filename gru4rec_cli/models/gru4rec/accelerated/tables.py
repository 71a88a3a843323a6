"""Parameters and their Adagrad state on a device, updated by operations whose shapes do not depend on the data."""

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.network import whole_parameters
from gru4rec_cli.models.gru4rec.optimizer import EPSILON, Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings

Parameters = dict[str, Tensor]


class Tables:
    """Copies on `device` of the parameters that `optimizer` moves, and of its state.

    Item matrices have a row more, V: the row of lanes that are gone. It is zero, and stays so.
    """

    def __init__(self, parameters: Parameters, optimizer: Adagrad, settings: Settings, device: torch.device) -> None:
        self.optimizer = optimizer
        self._hosts = [parameters, optimizer.accumulators, optimizer.momenta]
        whole = set(whole_parameters(settings))
        self._copies = [
            {name: _room(value, padding=name not in whole, device=device) for name, value in host.items()}
            for host in self._hosts
        ]
        self.values, self.accumulators, self.momenta = self._copies
        self._numbers = torch.arange(0, device=device)
        n_rows = max(len(value) for value in self.values.values())
        self._occurrence = torch.zeros(n_rows, dtype=torch.int64, device=device)

    def upload(self) -> None:
        """Take the parameters and the optimiser's state over from the CPU."""
        for host, copies in zip(self._hosts, self._copies, strict=True):
            for name, value in host.items():
                copies[name][: len(value)].copy_(value)

    def download(self) -> None:
        """Give them back to the CPU, in place."""
        for host, copies in zip(self._hosts, self._copies, strict=True):
            for name, value in host.items():
                value.copy_(copies[name][: len(value)])

    def update(self, name: str, gradient: Tensor) -> None:
        """Update a whole parameter."""
        parts = [copies[name] for copies in self._copies if copies]
        for part, moved in zip(parts, self._moved(parts, gradient), strict=True):
            part.copy_(moved)

    def update_rows(self, name: str, rows: Tensor, gradient: Tensor) -> None:
        """Update rows of an item matrix: `rows` (N,), some of them several times or padding, `gradient` (N, …).

        How many are distinct is not known without asking the device. So all N are computed: gradients of a row are
        summed at one of its occurrences, the others write zeros to the padding row.
        """
        padding = len(self.values[name]) - 1
        chosen, goals = self.occurrences(rows, padding)
        by_row = gradient.reshape(len(rows), -1)
        summed = torch.zeros_like(by_row).index_add_(0, chosen, by_row)

        matrices = [copies[name].view(padding + 1, -1) for copies in self._copies if copies]
        parts = [matrix.index_select(0, rows) for matrix in matrices]
        nothing = (goals == padding)[:, None]
        for matrix, moved in zip(matrices, self._moved(parts, summed), strict=True):
            matrix[goals] = moved.masked_fill(nothing, 0.0)

    def occurrences(self, rows: Tensor, padding: int) -> tuple[Tensor, Tensor]:
        """For every entry of `rows` (N,) the entry that stands for all of its row, and where it writes itself: to its
        row if it is that entry, else to the padding row. No two write to one row, in whatever order they do it."""
        numbers = self._first(len(rows))
        self._occurrence[rows] = numbers  # of several, one stays; which does not matter
        chosen = self._occurrence[rows]
        return chosen, rows.masked_fill(chosen != numbers, padding)

    def _moved(self, parts: list[Tensor], gradient: Tensor) -> list[Tensor]:
        """See `optimizer.Adagrad`: values, accumulators and, if there are any, momenta after a step."""
        values, accumulators, *momenta = parts
        accumulators = accumulators + gradient * gradient
        step = self.optimizer.learning_rate * gradient / torch.sqrt(accumulators + EPSILON)
        if not momenta:
            return [values - step, accumulators]
        momentum = self.optimizer.momentum * momenta[0] - step
        return [values + momentum, accumulators, momentum]

    def _first(self, count: int) -> Tensor:
        """0, 1, … (count,), made once."""
        if len(self._numbers) < count:
            self._numbers = torch.arange(count, device=self._numbers.device)
        return self._numbers[:count]


def _room(value: Tensor, *, padding: bool, device: torch.device) -> Tensor:
    return torch.zeros(len(value) + padding, *value.shape[1:], dtype=value.dtype, device=device)
