"""One training step of GRU4Rec: loss, gradient by autograd, update. This is the definition, on any device.

Shapes are the same whatever the data: always W slots, of which those that are gone show the padding row V of the item
matrices. So nothing waits for a device's answer. `compiled` does the same faster on the CPU; a test holds the two
together. W slots, C = W + n_sample columns, D units of a layer.
"""

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

_LAYERS = "layers"  # in the optimiser: all parameters of the layers as one vector, since a step changes them together


class Batch(NamedTuple):
    """One mini-batch on the device."""

    inputs: Tensor  # (W,) item of each slot's click; the padding row V where the slot is gone
    columns: Tensor  # (C,) item of the click after it, likewise, then the negatives
    starts: Tensor  # (W, 1) bool: the slot begins a session here: its hidden state is zero
    previous: Tensor  # (W,) which slot of the step before this one was
    gone: Tensor  # (C,) bool: the slot is gone; False for negatives
    log_q: Tensor  # (C,) log q_j of the columns; see `losses.Columns`
    masks: Masks  # dropout by place, (W, units) each


class Gradients(NamedTuple):
    """Results of one mini-batch before anything is changed."""

    loss: Tensor  # (), divided by the configured batch size
    states: list[Tensor]  # one (W, D_L) a layer
    rows: dict[str, tuple[Tensor, Tensor]]  # matrix: row indices (N,), also repeated ones, and gradients (N, …)
    layers: Parameters  # gradients of the parameters that every step changes as a whole
    matrices: Parameters  # the same of matrices of which it changes every row


class TorchStep:
    """Learns from mini-batches. It keeps the parameters, the optimiser's state and the slots' hidden states."""

    def __init__(
        self, parameters: Parameters, supports: Int64Array, settings: Settings, device: torch.device | str = "cpu"
    ) -> None:
        """Take copies of `parameters` (V rows in item matrices) to `device`; `supports` (V,) are training events."""
        self.settings = settings
        self.device = torch.device(device)
        self.padding = len(supports)  # V, the number of the padding row
        self._layers = {name: parameters[name].shape for name in layer_parameters(settings)}
        layers = torch.cat([parameters[name].reshape(-1) for name in self._layers]).to(self.device)
        tables = {name: self._padded(value) for name, value in parameters.items() if name not in self._layers}
        self.optimizer = Adagrad(tables | {_LAYERS: layers}, settings.learning_rate, settings.momentum)
        self.values = self._by_name(self.optimizer.parameters)
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
        steps = zip(*(values.unbind() for values in tensors.values()), strict=True)
        return [self.update(batch_of(dict(zip(tensors, parts, strict=True)))).item() for parts in steps]

    def tensors(self, batches: MiniBatches) -> dict[str, Tensor]:
        """Return the fields of `Batch` for all steps, (steps, …) each, on the device."""
        walk = batches.walk
        gone = np.arange(walk.rows.shape[1]) >= walk.widths[:, None]  # (steps, W)
        targets = np.where(gone, self.padding, batches.targets)
        slots, sampled = np.arange(targets.shape[1]), np.arange(batches.negatives.shape[1])
        # In the author's implementation the first `batch_size` columns count as targets; where a batch is narrower,
        # the first sampled columns are among them. His published results rest on it.
        more = sampled < self.settings.batch_size - walk.widths[:, None]  # (steps, n_sample)
        arrays = {
            "inputs": np.where(gone, self.padding, batches.inputs),
            "columns": np.concatenate([targets, batches.negatives], axis=1),
            "starts": walk.starts[:, :, None],
            "previous": walk.previous,
            "gone": np.concatenate([gone, np.zeros_like(more)], axis=1),
            "as_target": np.concatenate([np.broadcast_to(slots >= 0, gone.shape), more], axis=1),
        }
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        log_support = self._log_support[tensors["columns"]]
        log_q = torch.where(tensors.pop("as_target"), log_support, self.settings.sample_alpha * log_support)
        masks = {name: mask.to(self.device) for name, mask in batches.masks.items()}
        return tensors | {"log_q": log_q} | masks

    def update(self, batch: Batch) -> Tensor:
        """Move every parameter that the batch touches, carry the states on, and return the loss, ()."""
        found = self.gradients(batch)
        for state, new in zip(self.states, found.states, strict=True):
            state.copy_(new)
        for name, (rows, gradient) in found.rows.items():
            self.optimizer.update_rows(name, rows, gradient)
        for name, gradient in found.matrices.items():
            self.optimizer.update(name, gradient)
        self.optimizer.update(_LAYERS, torch.cat([gradient.reshape(-1) for gradient in found.layers.values()]))
        return found.loss

    @torch.enable_grad()
    def gradients(self, batch: Batch) -> Gradients:
        """Compute loss, gradients and new states; nothing is changed. There is no back-propagation through time."""
        columns = batch.columns
        table = input_table(self.settings)
        items = self.values[ITEMS].index_select(0, columns).requires_grad_()  # (C, D)
        bias = self.values[BIAS].index_select(0, columns).requires_grad_()  # (C,)
        inputs = self.values[table].index_select(0, batch.inputs).requires_grad_()  # (W, width)

        new_states = self.network.advance(inputs, self.states_before(batch), batch.masks)
        scores = self.network.scores(new_states[-1], items, bias)  # (W, C)
        loss = self._loss(scores, batch)
        leaves = [items, bias, inputs, *self._leaves.values()]
        d_items, d_bias, d_inputs, *d_layers = torch.autograd.grad(loss, leaves)

        rows = {ITEMS: (columns, d_items), BIAS: (columns, d_bias)}
        if table == ITEMS:
            rows[ITEMS] = torch.cat([columns, batch.inputs]), torch.cat([d_items, d_inputs])
        else:
            rows[table] = batch.inputs, d_inputs
        layers = dict(zip(self._leaves, d_layers, strict=True))
        return Gradients(loss.detach(), [state.detach() for state in new_states], rows, layers, {})

    def states_before(self, batch: Batch) -> list[Tensor]:
        """Return the hidden states that the slots of a batch begin with, (W, D_L) a layer: 0 at a session's start."""
        return [state.index_select(0, batch.previous).masked_fill_(batch.starts, 0.0) for state in self.states]

    def _loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Sum the loss over the slots that are there, divided by the configured batch size, ()."""
        losses = LOSSES[self.settings.loss](scores, Columns(batch.gone, batch.log_q), self.settings)
        return losses.masked_fill(batch.gone[: len(losses)], 0.0).sum() / self.settings.batch_size

    def parameters(self) -> Parameters:
        """Return the parameters on the CPU, in the shapes in which they were given."""
        return self._without_padding(self.values)

    def state(self) -> Parameters:
        """Return all that a continued training needs, on the CPU."""
        return self._without_padding(self._all())

    def restore(self, state: Parameters) -> None:
        """Go on from what `state` returned."""
        for name, value in self._all().items():
            value[: len(state[name])].copy_(state[name])

    def _all(self) -> Parameters:
        """Return the parameters, and the optimiser's state by their names with `accumulator.` or `momentum.` before."""
        found = dict(self.values)
        for kind, tensors in (("accumulator", self.optimizer.accumulators), ("momentum", self.optimizer.momenta)):
            if tensors:
                found |= {f"{kind}.{name}": value for name, value in self._by_name(tensors).items()}
        return found

    def _by_name(self, tensors: Parameters) -> Parameters:
        """Return the matrices and views of every layer parameter, which lie side by side in one vector."""
        sizes = [shape.numel() for shape in self._layers.values()]
        parts = zip(self._layers.items(), torch.split(tensors[_LAYERS], sizes), strict=True)
        tables = {name: tensor for name, tensor in tensors.items() if name != _LAYERS}
        return tables | {name: part.view(shape) for (name, shape), part in parts}

    def _padded(self, value: Tensor) -> Tensor:
        """Return a copy of a matrix on the device, with a row of zeros more."""
        copy = torch.zeros(self.padding + 1, *value.shape[1:], dtype=value.dtype, device=self.device)
        copy[: len(value)] = value.to(self.device)
        return copy

    def _without_padding(self, values: Parameters) -> Parameters:
        """Return `values`, by a parameter's name or by `accumulator.` or `momentum.` before it, as they were given."""
        of = {name: name.removeprefix("accumulator.").removeprefix("momentum.") for name in values}
        return {
            name: (value if of[name] in self._layers else value[: self.padding]).cpu() for name, value in values.items()
        }


def batch_of(tensors: dict[str, Tensor]) -> Batch:
    """Return the batch whose fields are named tensors; those that are no field are masks."""
    fields = {name: tensors[name] for name in Batch._fields if name != "masks"}
    return Batch(**fields, masks={name: mask for name, mask in tensors.items() if name not in fields})
