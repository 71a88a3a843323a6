"""A training step of GRU4Rec whose softmax is over all items (`n_sample: all`): nothing is sampled.

The published ablation has it for third-party implementations that do not sample (Hidasi & Czapp, RecSys 2023). A step
changes every row of the item matrix, so its time grows with the number of items.
"""

import torch

from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, input_table
from gru4rec_cli.models.gru4rec.step import Batch, Gradients, TorchStep
from gru4rec_cli.models.neural.losses import softmax_over_all


class FullSoftmaxStep(TorchStep):
    """Takes steps on −log softmax at the target, (W,), over the V items; the columns of a batch are its targets."""

    @torch.enable_grad()
    def gradients(self, batch: Batch) -> Gradients:
        """Compute loss, gradients and new states; nothing is changed. There is no back-propagation through time."""
        table = input_table(self.settings)
        items, bias = (self.values[name].detach().requires_grad_() for name in (ITEMS, BIAS))  # with the padding row
        inputs = self.values[table].index_select(0, batch.inputs).requires_grad_()  # (W, width)

        new_states = self.network.advance(inputs, self.states_before(batch), batch.masks)
        targets = batch.columns.masked_fill(batch.gone, 0)
        losses = softmax_over_all(new_states[-1], items[: self.padding], targets, bias[: self.padding])
        loss = losses.masked_fill(batch.gone, 0.0).sum() / self.settings.batch_size
        d_items, d_bias, d_inputs, *d_layers = torch.autograd.grad(loss, [items, bias, inputs, *self._leaves.values()])

        if table == ITEMS:
            d_items, rows = d_items.index_add(0, batch.inputs, d_inputs), {}
        else:
            rows = {table: (batch.inputs, d_inputs)}
        layers = dict(zip(self._leaves, d_layers, strict=True))
        states = [state.detach() for state in new_states]
        return Gradients(loss.detach(), states, rows, layers, {ITEMS: d_items, BIAS: d_bias})
