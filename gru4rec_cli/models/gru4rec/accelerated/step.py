"""One step of learning by autograd, with the same shapes whatever the data: nothing waits for the device's answer."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.accelerated.losses import bpr_max, cross_entropy
from gru4rec_cli.models.gru4rec.accelerated.schedule import Batch
from gru4rec_cli.models.gru4rec.accelerated.tables import Tables
from gru4rec_cli.models.gru4rec.cells import Layers
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, input_table, whole_parameters, zero_states
from gru4rec_cli.models.gru4rec.settings import Settings


@dataclass(frozen=True)
class TensorGradients:
    """What one mini-batch says; rows may stand there several times, and be padding."""

    loss: Tensor  # (), divided by the configured batch size
    states: list[Tensor]  # one (B, D_L) a layer
    rows: dict[str, tuple[Tensor, Tensor]]  # matrix: (row indices (N,); their gradients (N, …))
    whole: dict[str, Tensor]


class TensorStep:
    """Learns from mini-batches; the hidden states of the lanes, `states`, are carried on here."""

    def __init__(self, tables: Tables, supports: Int64Array, settings: Settings) -> None:
        self.tables = tables
        self.settings = settings
        self.table = input_table(settings)
        matrix = tables.values[ITEMS]
        self.states = [state.to(matrix.device) for state in zero_states(settings.batch_size, settings, matrix.dtype)]
        # Leaves for autograd in the same memory as the parameters, which are updated in place.
        self._leaves = {name: tables.values[name].detach().requires_grad_() for name in whole_parameters(settings)}
        self._layers = Layers(self._leaves, settings)
        self._lanes = torch.arange(settings.batch_size, device=matrix.device)
        self._samples = torch.arange(settings.n_sample, device=matrix.device)
        log_support = np.append(np.log(np.maximum(supports, 1)), 0.0)
        self._log_support = torch.from_numpy(log_support).to(matrix.dtype).to(matrix.device)  # (V + 1,)

    def learn(self, batch: Batch) -> Tensor:
        """Move every touched parameter, carry the states on; the loss, ()."""
        found = self.gradients(batch)
        for state, new in zip(self.states, found.states, strict=True):
            state.copy_(new)
        for name, (rows, gradient) in found.rows.items():
            self.tables.update_rows(name, rows, gradient)
        for name, whole in found.whole.items():
            self.tables.update(name, whole)
        return found.loss

    def gradients(self, batch: Batch) -> TensorGradients:
        """Everything a step computes before it changes anything."""
        states = [
            state.index_select(0, batch.kept).masked_fill(batch.starts[:, None], 0.0) for state in self.states
        ]  # (B, D_L) each
        columns = torch.cat([batch.targets, batch.negatives])  # (C,)
        values = self.tables.values
        items = values[ITEMS].index_select(0, columns).requires_grad_()  # (C, D)
        bias = values[BIAS].index_select(0, columns).requires_grad_()  # (C,)
        x = values[self.table].index_select(0, batch.inputs).requires_grad_()  # (B, width)

        new_states = self._layers.forward(x, states, batch.masks)
        scores = torch.addmm(bias, new_states[-1], items.T)  # (B, C)
        loss = self._loss(scores, columns, batch.width)
        leaves = [items, bias, x, *self._leaves.values()]
        d_items, d_bias, d_x, *whole = torch.autograd.grad(loss, leaves)

        rows = {ITEMS: (columns, d_items), BIAS: (columns, d_bias)}
        if self.table == ITEMS:
            rows[ITEMS] = torch.cat([columns, batch.inputs]), torch.cat([d_items, d_x])
        else:
            rows[self.table] = batch.inputs, d_x
        named = dict(zip(self._leaves, whole, strict=True))
        return TensorGradients(loss.detach(), [state.detach() for state in new_states], rows, named)

    def _loss(self, scores: Tensor, columns: Tensor, width: Tensor) -> Tensor:
        settings = self.settings
        present = self._lanes < width  # (B,)
        if settings.loss == "bpr-max":
            total = bpr_max(scores, present, regularisation=settings.regularisation, elu_param=settings.elu)
        else:
            total = cross_entropy(scores - self._correction(columns, width), present)
        return total / settings.batch_size

    def _correction(self, columns: Tensor, width: Tensor) -> Tensor:
        """strength · log q_j, (C,), q_j = support_j for targets and support_j^alpha for samples.

        In the author's implementation the first `batch_size` columns count as targets, and where a batch is narrower
        the first sampled ones are among them. Here B target columns always stand first, some of lanes that are gone;
        so it is as many samples as lanes are gone.
        """
        sampled = self._samples >= self.settings.batch_size - width  # (n_sample,)
        by_alpha = torch.cat([torch.zeros_like(self._lanes, dtype=torch.bool), sampled])  # (C,)
        log_support = self._log_support.index_select(0, columns)
        exponent = torch.ones_like(log_support).masked_fill(by_alpha, self.settings.sample_alpha)
        return self.settings.logq_strength * exponent * log_support
