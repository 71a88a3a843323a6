"""A single step on the CPU, and what it computes before it changes anything, taken out of its room."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.cells import NO_MASKS, Masks
from gru4rec_cli.models.gru4rec.lanes import LaneStep
from gru4rec_cli.models.gru4rec.minibatch import Assembler, MiniBatches
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, input_table
from gru4rec_cli.models.gru4rec.stepping import Stepper


@dataclass(frozen=True)
class StepGradients:
    """The loss, the states to carry on, and the gradient of every parameter that the step touches."""

    loss: float  # divided by the configured batch size
    states: list[Tensor]  # one (lanes, D_L) a layer
    rows: dict[str, tuple[Int64Array, npt.NDArray[np.floating]]]  # matrix: (row indices, each once; their gradients)
    whole: dict[str, Tensor]


def gradients_of(stepper: Stepper, batch: MiniBatches, states: list[Tensor]) -> StepGradients:
    """Of a single step whose lanes go on from `states` (lanes, D_L)."""
    room, form = stepper.room, stepper.form
    starts = form.batch_size * (np.cumsum(form.units) - form.units)
    for start, state in zip(starts, states, strict=True):
        room.after[start : start + state.numel()] = state.reshape(-1).numpy()
    batch.lanes.starts[:] = False
    (loss,) = stepper.learn(batch, update=False)
    new = [
        torch.from_numpy(room.after[start : start + state.numel()].reshape(state.shape).copy())
        for start, state in zip(starts, states, strict=True)
    ]
    n_items, alone, n_inputs = batch.sizes[0].tolist()
    rows = {
        ITEMS: (batch.rows[0, :n_items], room.gradients[:n_items].copy()),
        BIAS: (batch.rows[0, alone:n_items], room.bias_gradients[alone:n_items].copy()),
    }
    if not form.shared:
        rows[input_table(stepper.settings)] = batch.input_rows[0, :n_inputs], room.own_inputs[:n_inputs].copy()
    whole, _ = stepper.views(room.cells.copy())
    return StepGradients(float(loss), new, rows, whole)


def step_of(
    assembler: Assembler, inputs: Int64Array, targets: Int64Array, negatives: Int64Array, masks: Masks = NO_MASKS
) -> MiniBatches:
    """A single step of item indices, whose lanes all begin a session; `masks` (lanes, units)."""
    clicks = np.stack([inputs, targets], axis=1).reshape(-1)
    rows = np.arange(0, len(clicks), 2)
    lanes = LaneStep(rows, np.ones_like(rows, dtype=bool), rows // 2)
    by_step = {name: mask[None] for name, mask in masks.items()}
    return assembler.chunk(clicks, lanes.alone(), negatives[None, :], by_step)
