"""One step of learning: forward, loss, gradient, update."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.cells import Layers, Masks
from gru4rec_cli.models.gru4rec.loops import add_rows
from gru4rec_cli.models.gru4rec.losses import bpr_max, cross_entropy
from gru4rec_cli.models.gru4rec.minibatch import MiniBatch
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, input_table
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class StepGradients:
    """What one mini-batch says: the loss, the states to carry on, and the gradient of every parameter it touches."""

    loss: float  # divided by the configured batch size
    states: list[Tensor]  # one (lanes, D_L) a layer
    rows: dict[str, tuple[Int64Array, npt.NDArray[np.floating]]]  # matrix: (row indices, each once; their gradients)
    whole: Parameters


class Stepper:
    """Forward and backward through mini-batches, by hand; the room for the large matrices is kept between steps."""

    def __init__(self, parameters: Parameters, settings: Settings) -> None:
        self.parameters = parameters
        self.settings = settings
        self.table = input_table(settings)
        self.layers = Layers(parameters, settings)
        self._room: dict[str, Tensor] = {}

    @torch.no_grad()
    def gradients(self, batch: MiniBatch, states: list[Tensor], masks: Masks) -> StepGradients:
        """Everything a step computes before it changes anything. `states` one (lanes, D_L) a layer."""
        rows = torch.from_numpy(batch.rows)
        items = self._rows_of(self.parameters[ITEMS], rows, "items")  # (rows, D)
        columns = items[: batch.n_columns]  # (U, D)
        x = self._inputs(batch, items)
        new_states = self.layers.forward(x, states, masks)
        query = new_states[-1]  # (lanes, D)

        scores = self._empty("scores", len(query), batch.n_columns)
        offsets = self.parameters[BIAS].index_select(0, rows[: batch.n_columns])  # (U,)
        if self.settings.loss == "cross-entropy":
            offsets += batch.log_weights
        torch.addmm(offsets, query, columns.T, out=scores)
        bias_gradient = np.empty(batch.n_columns, dtype=scores.numpy().dtype)
        loss = self._loss(scores, batch, bias_gradient)  # scores now hold their gradient

        item_gradient = self._empty("gradient", len(items), items.shape[1])
        torch.mm(scores.T, query, out=item_gradient[: batch.n_columns])
        if len(items) > batch.n_columns:
            item_gradient[batch.n_columns :] = 0.0
        layers = self.layers.backward(scores @ columns, masks)

        found = {ITEMS: (batch.rows, item_gradient.numpy()), BIAS: (batch.rows[: batch.n_columns], bias_gradient)}
        if self.table == ITEMS:
            add_rows(item_gradient.numpy(), batch.inputs.numpy(), layers.inputs.numpy())
        else:
            own = np.zeros((len(batch.input_rows), x.shape[1]), dtype=bias_gradient.dtype)
            add_rows(own, batch.inputs.numpy(), layers.inputs.numpy())
            found[self.table] = batch.input_rows, own
        return StepGradients(loss, new_states, found, layers.parameters)

    def _inputs(self, batch: MiniBatch, items: Tensor) -> Tensor:
        """The input row of every lane, (lanes, width)."""
        if self.table == ITEMS:
            return items.index_select(0, batch.inputs)
        own = self.parameters[self.table].index_select(0, torch.from_numpy(batch.input_rows))
        return own.index_select(0, batch.inputs)

    def _loss(self, scores: Tensor, batch: MiniBatch, column_sums: npt.NDArray[Any]) -> float:
        settings = self.settings
        if settings.loss == "cross-entropy":
            return cross_entropy(scores, batch, batch_size=settings.batch_size, column_sums=column_sums)
        return bpr_max(
            scores,
            batch,
            regularisation=settings.regularisation,
            elu_param=settings.elu,
            batch_size=settings.batch_size,
            column_sums=column_sums,
        )

    def _rows_of(self, matrix: Tensor, rows: Tensor, name: str) -> Tensor:
        return torch.index_select(matrix, 0, rows, out=self._empty(name, len(rows), matrix.shape[1]))

    def _empty(self, name: str, rows: int, columns: int) -> Tensor:
        """A contiguous matrix in room that is used again: what lies in it is gone with the next step."""
        size = rows * columns
        room = self._room.get(name)
        if room is None or len(room) < size:
            room = self._room[name] = torch.empty(size + size // 4, dtype=self.parameters[ITEMS].dtype)
        return room[:size].view(rows, columns)


def update(optimizer: Adagrad, gradients: StepGradients) -> None:
    """Move every touched parameter."""
    for name, (rows, gradient) in gradients.rows.items():
        optimizer.update_rows(name, rows, gradient)
    for name, whole in gradients.whole.items():
        optimizer.update(name, whole)
