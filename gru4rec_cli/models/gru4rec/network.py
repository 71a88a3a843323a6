"""The network: an input row for every item, GRU layers, scores against the item matrix.

Three input modes: the rows of the output item matrix (shared), of a matrix of their own (separate), or of the first
layer's input weights (one-hot).
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.settings import Settings

ITEMS = "output_embedding"  # (V, D), also the input rows where they are shared
BIAS = "output_bias"  # (V,)
SEPARATE = "input_embedding"  # (V, width)
ONE_HOT = "onehot_gru.input"  # (V, 3 D_0): candidate, r, z
ONE_HOT_CELL = ("onehot_gru.recurrent_rz", "onehot_gru.recurrent_h", "onehot_gru.bias")  # (D, 2D), (D, D), (3D,)
Noise = Callable[[torch.Size], Tensor]  # uniform numbers in [0, 1) of a shape: what dropout is decided by
GRU_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # PyTorch's layout: gates r, z, n stacked


def input_table(settings: Settings) -> str:
    """The parameter whose rows are the inputs."""
    return {"shared": ITEMS, "none": ONE_HOT}.get(str(settings.embedding), SEPARATE)


def whole_parameters(settings: Settings) -> list[str]:
    """Names of the parameters that every step touches as a whole: all but the item matrices."""
    first = [*ONE_HOT_CELL] if settings.embedding == "none" else [f"gru.0.{part}" for part in GRU_CELL]
    return first + [f"gru.{layer}.{part}" for layer in range(1, len(settings.layers)) for part in GRU_CELL]


def initial_parameters(
    n_items: int, settings: Settings, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Weights uniform in ±sqrt(6 / (rows + columns)), each gate's matrix a block of its own; biases zero."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(rows: int, columns: int) -> Tensor:
        bound = math.sqrt(6.0 / (rows + columns))
        return (torch.rand(rows, columns, generator=generator, dtype=dtype) * 2 - 1) * bound

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=dtype)

    layers = settings.layers
    parameters = {ITEMS: uniform(n_items, layers[-1]), BIAS: zeros(n_items)}
    width = settings.input_width
    if input_table(settings) == SEPARATE:
        parameters[SEPARATE] = uniform(n_items, width)
    for layer, units in enumerate(layers):
        if layer == 0 and settings.embedding == "none":
            parameters[ONE_HOT] = torch.cat([uniform(n_items, units) for _ in range(3)], dim=1)
            parameters[ONE_HOT_CELL[0]] = torch.cat([uniform(units, units) for _ in range(2)], dim=1)
            parameters[ONE_HOT_CELL[1]] = uniform(units, units)
            parameters[ONE_HOT_CELL[2]] = zeros(3 * units)
        else:
            parameters[f"gru.{layer}.weight_ih"] = torch.cat([uniform(units, width) for _ in range(3)])
            parameters[f"gru.{layer}.weight_hh"] = torch.cat([uniform(units, units) for _ in range(3)])
            parameters[f"gru.{layer}.bias_ih"] = zeros(3 * units)
            parameters[f"gru.{layer}.bias_hh"] = zeros(3 * units)
        width = units
    return parameters


def zero_states(lanes: int, settings: Settings, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """The hidden state at the start of a session, one (lanes, D_L) a layer."""
    return [torch.zeros(lanes, units, dtype=dtype) for units in settings.layers]


def drop(values: Tensor, probability: float, noise: Noise | None) -> Tensor:
    """Inverted dropout: each unit is zero with `probability`, the rest are scaled up."""
    if probability == 0 or noise is None:
        return values
    kept = noise(values.shape) >= probability
    return values * (kept / (1 - probability))


def one_hot_cell(inputs: Tensor, state: Tensor, recurrent_rz: Tensor, recurrent_h: Tensor, bias: Tensor) -> Tensor:
    """The GRU cell of one-hot inputs, `inputs` (lanes, 3D) being rows of the input weights.

    r = σ(x_r + h U_r), z = σ(x_z + h U_z), n = tanh((r ∘ h) U_n + x_n), h' = (1 − z) ∘ h + z ∘ n: the reset gate acts
    before the recurrent product, and z has the opposite meaning of the other cell's.
    """
    x_n, x_r, x_z = (inputs + bias).chunk(3, dim=1)
    h_r, h_z = (state @ recurrent_rz).chunk(2, dim=1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh((r * state) @ recurrent_h + x_n)
    return (1 - z) * state + z * n


def advance(
    parameters: Mapping[str, Tensor],
    inputs: Tensor,
    states: list[Tensor],
    settings: Settings,
    noise: Noise | None = None,
) -> list[Tensor]:
    """One click further: the new hidden state of every layer, the last of which is scored.

    `inputs` (lanes, width) are rows of the input table. Layers other than a one-hot first one are GRU cells with two
    biases: r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)),
    h' = (1 − z) ∘ n + z ∘ h. What dropout leaves is what is carried on. Without noise nothing is dropped.
    """
    one_hot = settings.embedding == "none"
    values = inputs if one_hot else drop(inputs, settings.dropout_p_embed, noise)
    new_states = []
    for layer, state in enumerate(states):
        if layer == 0 and one_hot:
            cell = one_hot_cell(values, state, *(parameters[name] for name in ONE_HOT_CELL))
            values = drop(cell, settings.dropout_p_embed, noise)
        else:
            cell = torch.gru_cell(values, state, *(parameters[f"gru.{layer}.{part}"] for part in GRU_CELL))
            values = drop(cell, settings.dropout_p_hidden, noise)
        new_states.append(values)
    return new_states
