"""Single training steps with items of a test's own, by either kind of step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import BoolArray, Int64Array
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.batches import MiniBatches, Walk
from gru4rec_cli.models.gru4rec.compiled import CompiledStep
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, dropout_places, input_table
from gru4rec_cli.models.gru4rec.step import Batch, Gradients, TorchStep, batch_of
from gru4rec_cli.models.neural.sampling import mask_of

LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {"loss": "cross-entropy", "logq": 1.0, "sample_alpha": 0.3},
    "cross-entropy without logQ": {"loss": "cross-entropy", "logq": 0.0},
    "bpr-max linear": {"loss": "bpr-max", "bpreg": 0.7, "elu_param": 0.0},
    "bpr-max elu": {"loss": "bpr-max", "bpreg": 1.9, "elu_param": 0.5},
}
EMBEDDINGS: list[str | int] = ["shared", "layersize", 3, "none"]


def one_step(
    inputs: Int64Array,
    targets: Int64Array,
    negatives: Int64Array,
    masks: Mapping[str, Tensor] | None = None,
    *,
    gone: int = 0,
    previous: Int64Array | None = None,
    starts: BoolArray | None = None,
) -> MiniBatches:
    """A step of these items, (slots,), with `gone` slots behind them; the slots go on where `previous` were."""
    width = len(inputs)

    def wide(values: Any, fill: int = 0) -> Any:
        return np.append(values, np.full(gone, fill, dtype=values.dtype))[None, :]

    walk = Walk(
        wide(np.zeros(width, dtype=np.int64)),
        wide(np.zeros(width, dtype=bool) if starts is None else starts),
        wide(np.arange(width) if previous is None else previous),
        np.array([width]),
    )
    padded = {name: torch.cat([mask, mask.new_ones(gone, mask.shape[1])])[None] for name, mask in (masks or {}).items()}
    return MiniBatches(walk, wide(inputs), wide(targets), negatives[None, :], padded)


def masks_for(settings: Settings, slots: int) -> dict[str, Tensor]:
    """Dropout that the place decides, float64."""
    masks = {}
    for name, (rate, units) in dropout_places(settings).items():
        uniform = np.random.default_rng(sum(map(ord, name))).random((slots, units), dtype=np.float32)
        masks[name] = mask_of(uniform, rate).double()
    return masks


def perturbed(parameters: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Parameters whose biases too are not zero."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.2 * torch.rand(value.shape, dtype=value.dtype, generator=generator)
        for name, value in parameters.items()
    }


def some_states(layers: tuple[int, ...], slots: int, seed: int) -> list[Tensor]:
    """Hidden states of every layer, (slots, D_L) each, float64."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(slots, units, dtype=torch.float64, generator=generator) - 0.5 for units in layers]


def copied(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies, since the compiled step changes item matrices in place."""
    return {name: value.clone() for name, value in parameters.items()}


def torch_gradients(step: TorchStep, batches: MiniBatches, states: list[Tensor]) -> Gradients:
    """Gradients of a single step whose slots go on from `states`."""
    step.states = [state.clone() for state in states]
    return step.gradients(first_of(step, batches))


def first_of(step: TorchStep, batches: MiniBatches) -> Batch:
    """The first mini-batch."""
    return batch_of({name: values[0] for name, values in step.tensors(batches).items()})


def whole_gradients(found: Gradients, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of every parameter, as large as the parameter, summed row by row; without the padding row."""
    whole = found.layers | {name: gradient[:-1] for name, gradient in found.matrices.items()}
    for name, (rows, gradient) in found.rows.items():
        summed = gradient.new_zeros(len(parameters[name]) + 1, *gradient.shape[1:])
        for row, value in zip(rows.tolist(), gradient, strict=True):
            summed[row] += value
        whole[name] = summed[:-1]
    assert set(whole) == set(parameters)
    return whole


def compiled_gradients(
    step: CompiledStep, batches: MiniBatches, states: list[Tensor]
) -> tuple[float, list[Tensor], dict[str, Tensor]]:
    """Loss, new states and the gradient of every parameter, as large as it is, of a single step."""
    work, shapes = step.work, step.shapes
    starts = shapes.batch_size * (np.cumsum(shapes.units) - shapes.units)
    for start, state in zip(starts, states, strict=True):
        work.after[start : start + state.numel()] = state.reshape(-1).numpy()
    assembled, (loss,) = step.gradients(batches)
    width = int(assembled.widths[0])
    new = [
        torch.from_numpy(work.after[start : start + width * units].reshape(width, units).copy())
        for start, units in zip(starts, shapes.units.tolist(), strict=True)
    ]
    n_items, alone, n_inputs = assembled.sizes[0].tolist()
    rows = {
        ITEMS: (assembled.rows[0, :n_items], work.gradients[:n_items]),
        BIAS: (assembled.rows[0, alone:n_items], work.bias_gradients[alone:n_items]),
    }
    if not shapes.shared:
        rows[input_table(step.settings)] = assembled.input_rows[0, :n_inputs], work.own_inputs[:n_inputs]
    whole = {name: value.clone() for name, value in step.views(work.cells.copy())[0].items()}
    for name, (indices, gradient) in rows.items():
        assert len(set(indices.tolist())) == len(indices), name
        value = torch.zeros_like(step.parameters()[name])
        whole[name] = value.index_copy(0, torch.from_numpy(indices.copy()), torch.from_numpy(gradient.copy()))
    return loss, new, whole
