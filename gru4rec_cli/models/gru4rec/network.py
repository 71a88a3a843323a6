"""The parameters of the network: an input row for every item, GRU layers, scores against the item matrix.

Three input modes: the rows of the output item matrix (shared), of a matrix of their own (separate), or of the first
layer's input weights (one-hot).
"""

import math

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.settings import Settings

ITEMS = "output_embedding"  # (V, D), also the input rows where they are shared
BIAS = "output_bias"  # (V,)
SEPARATE = "input_embedding"  # (V, width)
ONE_HOT = "onehot_gru.input"  # (V, 3 D_0): candidate, r, z
ONE_HOT_CELL = ("onehot_gru.recurrent_rz", "onehot_gru.recurrent_h", "onehot_gru.bias")  # (D, 2D), (D, D), (3D,)
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
