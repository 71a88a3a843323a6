"""One training step of GRU4Rec: loss, gradient by autograd, update. This is the definition, on any device.

Shapes are the same whatever the data: always W slots, of which those that are gone show the padding row V of the item
matrices. So nothing waits for a device's answer. `compiled` does the same faster on the CPU; a test holds the two
together. W slots, C = W + n_sample columns, D units of a layer.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.models.gru4rec.batches import MiniBatches
from gru4rec_cli.models.gru4rec.losses import LOSSES, Columns
from gru4rec_cli.models.gru4rec.network import (
    BIAS,
    ITEMS,
    Masks,
    Network,
    Parameters,
    input_table,
    layer_parameters,
    zero_states,
)
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings


class Batch(NamedTuple):
    """One mini-batch on the device."""

    inputs: Tensor  # (W,) item of each slot's click; the padding row V where the slot is gone
    targets: Tensor  # (W,) item of the click after it, likewise
    starts: Tensor  # (W,) bool: the slot begins a session here: its hidden state is zero
    previous: Tensor  # (W,) which slot of the step before this one was
    width: Tensor  # (1,) how many slots are there
    negatives: Tensor  # (n_sample,)
    masks: Masks  # dropout by place, (W, units) each


class Gradients(NamedTuple):
    """Results of one mini-batch before anything is changed."""

    loss: Tensor  # (), divided by the configured batch size
    states: list[Tensor]  # one (W, D_L) a layer
    rows: dict[str, tuple[Tensor, Tensor]]  # matrix: row indices (N,), also repeated ones, and gradients (N, …)
    layers: Parameters  # gradients of the parameters that every step changes as a whole


class TorchStep:
    """Learns from mini-batches. It keeps the parameters, the optimiser's state and the slots' hidden states."""

    def __init__(
        self, parameters: Parameters, supports: Int64Array, settings: Settings, device: torch.device | str = "cpu"
    ) -> None:
        """Take copies of `parameters` (V rows in item matrices) to `device`; `supports` (V,) are training events."""
        self.settings = settings
        self.device = torch.device(device)
        self.padding = len(supports)  # V, the number of the padding row
        self._layers = layer_parameters(settings)
        self.values = {name: self._padded(name, value) for name, value in parameters.items()}
        self.optimizer = Adagrad(self.values, settings.learning_rate, settings.momentum)
        # Leaves for autograd in the same memory as the parameters, which are updated in place.
        self._leaves = {name: self.values[name].detach().requires_grad_() for name in self._layers}
        self.network = Network(self._leaves, settings)
        log_support = torch.from_numpy(np.append(np.log(np.maximum(supports, 1)), 0.0))  # (V + 1,)
        self._log_support = log_support.to(self.values[ITEMS].dtype).to(self.device)
        self.states: list[Tensor] = []

    def begin(self, slots: int) -> None:
        """Begin an epoch: all hidden states are zero."""
        zeros = zero_states(slots, self.settings, self.values[ITEMS].dtype)
        self.states = [state.to(self.device) for state in zeros]

    def learn(self, batches: MiniBatches) -> list[float]:
        """Take steps one after the other and return their losses, divided by the configured batch size."""
        tensors = self.tensors(batches)
        losses: list[float] = [self.update(batch_of(tensors, itemgetter(step))).item() for step in range(len(batches))]
        return losses

    def tensors(self, batches: MiniBatches) -> dict[str, Tensor]:
        """Return the fields of `Batch` for all steps, (steps, …) each, on the device."""
        walk = batches.walk
        gone = np.arange(walk.rows.shape[1]) >= walk.widths[:, None]  # (steps, W)
        arrays = {
            "inputs": np.where(gone, self.padding, batches.inputs),
            "targets": np.where(gone, self.padding, batches.targets),
            "starts": walk.starts,
            "previous": walk.previous,
            "width": walk.widths[:, None],
            "negatives": batches.negatives,
        }
        return {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()} | {
            name: mask.to(self.device) for name, mask in batches.masks.items()
        }

    def update(self, batch: Batch) -> Tensor:
        """Move every parameter that the batch touches, carry the states on, and return the loss, ()."""
        found = self.gradients(batch)
        for state, new in zip(self.states, found.states, strict=True):
            state.copy_(new)
        for name, (rows, gradient) in found.rows.items():
            self.optimizer.update_rows(name, rows, gradient)
        for name, gradient in found.layers.items():
            self.optimizer.update(name, gradient)
        return found.loss

    @torch.enable_grad()
    def gradients(self, batch: Batch) -> Gradients:
        """Compute loss, gradients and new states; nothing is changed. There is no back-propagation through time."""
        states = [
            state.index_select(0, batch.previous).masked_fill(batch.starts[:, None], 0.0) for state in self.states
        ]  # (W, D_L) each
        columns = torch.cat([batch.targets, batch.negatives])  # (C,)
        table = input_table(self.settings)
        items = self.values[ITEMS].index_select(0, columns).requires_grad_()  # (C, D)
        bias = self.values[BIAS].index_select(0, columns).requires_grad_()  # (C,)
        inputs = self.values[table].index_select(0, batch.inputs).requires_grad_()  # (W, width)

        new_states = self.network.advance(inputs, states, batch.masks)
        scores = self.network.scores(new_states[-1], items, bias)  # (W, C)
        loss = self._loss(scores, columns, batch.width)
        leaves = [items, bias, inputs, *self._leaves.values()]
        d_items, d_bias, d_inputs, *d_layers = torch.autograd.grad(loss, leaves)

        rows = {ITEMS: (columns, d_items), BIAS: (columns, d_bias)}
        if table == ITEMS:
            rows[ITEMS] = torch.cat([columns, batch.inputs]), torch.cat([d_items, d_inputs])
        else:
            rows[table] = batch.inputs, d_inputs
        layers = dict(zip(self._leaves, d_layers, strict=True))
        return Gradients(loss.detach(), [state.detach() for state in new_states], rows, layers)

    def _loss(self, scores: Tensor, columns: Tensor, width: Tensor) -> Tensor:
        """Sum the loss over the slots that are there, divided by the configured batch size, ()."""
        slots = torch.arange(len(scores), device=self.device)
        gone = slots >= width  # (W,)
        samples = torch.arange(scores.shape[1] - len(slots), device=self.device)  # (n_sample,)
        # In the author's implementation the first `batch_size` columns count as targets; where a batch is narrower,
        # the first sampled columns are among them. His published results rest on it.
        as_target = torch.cat([slots >= 0, samples < self.settings.batch_size - width])  # (C,)
        log_support = self._log_support.index_select(0, columns)
        log_q = torch.where(as_target, log_support, self.settings.sample_alpha * log_support)
        not_there = torch.cat([gone, torch.zeros_like(samples, dtype=torch.bool)])
        losses = LOSSES[self.settings.loss](scores, Columns(not_there, log_q), self.settings)
        return losses.masked_fill(gone, 0.0).sum() / self.settings.batch_size

    def parameters(self) -> Parameters:
        """Return the parameters on the CPU, in the shapes in which they were given."""
        return self._without_padding(self.values)

    def state(self) -> Parameters:
        """Return all that a continued training needs, on the CPU."""
        return self.parameters() | self._without_padding(self.optimizer.state())

    def restore(self, state: Parameters) -> None:
        """Go on from what `state` returned."""
        for name, value in (self.values | self.optimizer.state()).items():
            value[: len(state[name])].copy_(state[name])

    def _padded(self, name: str, value: Tensor) -> Tensor:
        """Return a copy on the device, of item matrices with a row of zeros more."""
        rows = len(value) if name in self._layers else self.padding + 1
        copy = torch.zeros(rows, *value.shape[1:], dtype=value.dtype, device=self.device)
        copy[: len(value)] = value.to(self.device)
        return copy

    def _without_padding(self, values: Parameters) -> Parameters:
        """Return `values`, by a parameter's name or by `accumulator.` or `momentum.` before it, as they were given."""
        of = {name: name.removeprefix("accumulator.").removeprefix("momentum.") for name in values}
        return {
            name: (value if of[name] in self._layers else value[: self.padding]).cpu() for name, value in values.items()
        }


def batch_of(tensors: dict[str, Tensor], select: Callable[[Tensor], Tensor]) -> Batch:
    """Return the batch whose part of every tensor `select` returns; tensors that are no field are masks."""
    parts = {name: select(values) for name, values in tensors.items()}
    fields = {name: parts.pop(name) for name in Batch._fields if name != "masks"}
    return Batch(**fields, masks=parts)
