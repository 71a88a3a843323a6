"""One step of learning: forward, loss, gradient, update."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.losses import bpr_max, cross_entropy, logq_correction
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, Noise, advance, input_table, whole_parameters
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings


class TouchedRows:
    """The rows of a matrix that a step touches, each once: its gradient is the sum over all its occurrences."""

    def __init__(self, matrix: Tensor, *indices: Tensor) -> None:
        self.rows, places = torch.unique(torch.cat(indices), return_inverse=True)
        self.values = matrix.index_select(0, self.rows).requires_grad_()  # (touched, …)
        self._places = places.split([len(part) for part in indices])

    def at(self, part: int) -> Tensor:
        """The rows at the given one of the index lists."""
        return self.values.index_select(0, self._places[part])


@dataclass(frozen=True)
class StepGradients:
    """What one mini-batch says: the loss, the states to carry on, and the gradient of every parameter it touches."""

    loss: Tensor  # scalar, divided by the configured batch size
    states: list[Tensor]  # one (lanes, D_L) a layer, never back-propagated through
    rows: dict[str, tuple[Tensor, Tensor]]  # matrix: (row indices, each once; their gradients)
    whole: dict[str, Tensor]


def step_gradients(
    parameters: dict[str, Tensor],
    supports: Tensor,
    settings: Settings,
    inputs: Tensor,
    targets: Tensor,
    negatives: Tensor,
    states: list[Tensor],
    noise: Noise | None = None,
) -> StepGradients:
    """Forward and backward through one mini-batch.

    `inputs`, `targets` int64 (lanes,), `negatives` int64 (n_sample,), `states` one (lanes, D_L) a layer, `supports`
    (V,). Without noise nothing is dropped.
    """
    columns = torch.cat([targets, negatives])  # (C,) column b is lane b's target
    table = input_table(settings)
    shared = table == ITEMS
    items = TouchedRows(parameters[ITEMS], columns, *([inputs] if shared else []))
    biases = TouchedRows(parameters[BIAS], columns)
    own_inputs = None if shared else TouchedRows(parameters[table], inputs)
    whole = {name: parameters[name].detach().requires_grad_() for name in whole_parameters(settings)}

    input_rows = items.at(1) if own_inputs is None else own_inputs.at(0)  # (lanes, width)
    new_states = advance(whole, input_rows, states, settings, noise)
    scores = new_states[-1] @ items.at(0).T + biases.at(0)  # (lanes, C)
    loss = _loss(scores, columns, supports, settings)

    touched = {ITEMS: items, BIAS: biases} | ({} if own_inputs is None else {table: own_inputs})
    leaves = [part.values for part in touched.values()]
    gradients = torch.autograd.grad(loss, [*leaves, *whole.values()])
    return StepGradients(
        loss.detach(),
        [state.detach() for state in new_states],
        {name: (part.rows, gradient) for (name, part), gradient in zip(touched.items(), gradients, strict=False)},
        dict(zip(whole, gradients[len(touched) :], strict=True)),
    )


def _loss(scores: Tensor, columns: Tensor, supports: Tensor, settings: Settings) -> Tensor:
    batch_size = settings.batch_size
    if settings.loss == "bpr-max":
        return bpr_max(scores, regularisation=settings.regularisation, elu_param=settings.elu, batch_size=batch_size)
    if settings.logq_strength > 0:
        scores = scores - logq_correction(
            columns,
            supports,
            alpha=settings.sample_alpha,
            strength=settings.logq_strength,
            batch_size=batch_size,
        )
    return cross_entropy(scores, batch_size=batch_size)


def update(optimizer: Adagrad, gradients: StepGradients) -> None:
    """Move every touched parameter."""
    for name, (rows, gradient) in gradients.rows.items():
        optimizer.update_rows(name, rows, gradient)
    for name, gradient in gradients.whole.items():
        optimizer.update(name, gradient)
