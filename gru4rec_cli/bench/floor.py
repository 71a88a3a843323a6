"""The product floor: how long the matrix products of training steps take when nothing else is done."""

import time

import numpy as np
import torch

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.training import threads as torch_threads

_SEED = 1


class Products:
    """The products of steps at the sizes of `settings` (shared or separate inputs), on random numbers in place.

    With B lanes, D units, W the width of the input and U distinct columns: per layer (B, W)(W, 3D) and (B, D)(D, 3D)
    forward, (3D, B)(B, W), (3D, B)(B, D) and (B, 3D)(3D, W) backward; once (B, D)(D, U) for the scores, and
    (U, B)(B, D) and (B, U)(U, D) for their gradients.
    """

    def __init__(self, settings: Settings, most_columns: int) -> None:
        random = torch.Generator().manual_seed(_SEED)

        def matrix(rows: int, columns: int) -> torch.Tensor:
            return torch.rand(rows, columns, generator=random) - 0.5

        lanes, last = settings.batch_size, settings.layers[-1]
        self.query = matrix(lanes, last)
        self.columns = matrix(most_columns, last)
        self.scores = matrix(1, lanes * most_columns)[0]  # room for (B, U)
        self.scores_gradient = matrix(1, lanes * most_columns)[0]
        self.items_gradient = matrix(most_columns, last)
        self.query_gradient = matrix(lanes, last)
        self.layers = []
        width = settings.input_width
        for units in settings.layers:
            inputs, state, gates = matrix(lanes, width), matrix(lanes, units), matrix(lanes, 3 * units)
            self.layers.append((inputs, state, gates, matrix(3 * units, width), matrix(3 * units, units)))
            width = units

    def step(self, n_columns: int) -> None:
        """The products of one step with so many distinct columns."""
        lanes = len(self.query)
        columns = self.columns[:n_columns]
        scores = self.scores[: lanes * n_columns].view(lanes, n_columns)
        gradient = self.scores_gradient[: lanes * n_columns].view(lanes, n_columns)
        for inputs, state, _, w, u in self.layers:
            torch.mm(inputs, w.T)
            torch.mm(state, u.T)
        torch.mm(self.query, columns.T, out=scores)
        torch.mm(gradient.T, self.query, out=self.items_gradient[:n_columns])
        torch.mm(gradient, columns, out=self.query_gradient)
        for inputs, state, gates, w, _ in self.layers:
            torch.mm(gates.T, inputs)
            torch.mm(gates.T, state)
            torch.mm(gates, w)


def products_per_second(products: Products, columns: Int64Array, skipped: int, threads: int) -> float:
    """Steps a second, products alone, through steps with these numbers of distinct columns; the first are not timed."""
    numbers = columns.tolist()
    with torch_threads(threads):
        for n_columns in numbers[:skipped]:
            products.step(n_columns)
        start = time.perf_counter()
        for n_columns in numbers[skipped:]:
            products.step(n_columns)
        return (len(numbers) - skipped) / (time.perf_counter() - start)


def products_for(settings: Settings, columns: Int64Array) -> Products:
    """Room for steps with these numbers of distinct columns."""
    return Products(settings, int(np.max(columns)))
