"""The network of GRU4Rec: its parameters, and the way from inputs to scores.

Three input modes: the rows of the output item matrix (shared), of a matrix of their own (separate), or of the first
layer's input weights (one-hot). B slots of a mini-batch, V items, D units of a layer.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.settings import Settings, TrainingSettings

ITEMS = "output_embedding"  # (V, D), also the input rows where they are shared
BIAS = "output_bias"  # (V,)
SEPARATE = "input_embedding"  # (V, width)
ONE_HOT = "onehot_gru.input"  # (V, 3 D_0): candidate, r, z
ONE_HOT_CELL = ("onehot_gru.recurrent_rz", "onehot_gru.recurrent_h", "onehot_gru.bias")  # (D, 2D), (D, D), (3D,)
GRU_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # PyTorch's layout: gates r, z, n stacked

Parameters = dict[str, Tensor]
Masks = Mapping[str, Tensor]  # factors of every dropout by place, (B, units), 0 where a unit is dropped
NO_MASKS: Masks = {}


def input_table(settings: Settings) -> str:
    """Return the name of the parameter whose rows are the inputs."""
    return {"shared": ITEMS, "none": ONE_HOT}.get(str(settings.embedding), SEPARATE)


def layer_parameters(settings: Settings) -> list[str]:
    """Return the names of the parameters that every step changes as a whole: all but the item matrices."""
    first = [*ONE_HOT_CELL] if settings.embedding == "none" else [f"gru.0.{part}" for part in GRU_CELL]
    return first + [f"gru.{layer}.{part}" for layer in range(1, len(settings.layers)) for part in GRU_CELL]


def check_parameters(parameters: Mapping[str, Any], settings: TrainingSettings) -> None:
    """Check that parameters (tensors or arrays) are those that a network of these settings has, with their shapes.

    Raises:
        ValueError: one is missing, has another shape or is no float32, or there are others.
    """
    n_items = len(parameters[BIAS]) if BIAS in parameters else 0
    expected = parameter_shapes(n_items, settings)
    if parameters.keys() != expected.keys():
        found = ", ".join(sorted(parameters.keys() ^ expected.keys()))
        raise ValueError(f"the parameters are not those of these settings; they differ in {found}")
    for name, shape in expected.items():
        value = parameters[name]
        if tuple(value.shape) != shape or not str(value.dtype).endswith("float32"):
            found = f"{'×'.join(map(str, value.shape))} {str(value.dtype).removeprefix('torch.')}"
            raise ValueError(f"{name} is {found}, and by the settings {'×'.join(map(str, shape))} float32")


def parameter_shapes(n_items: int, settings: TrainingSettings) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every parameter."""
    layers, width = settings.layers, settings.input_width
    shapes: dict[str, tuple[int, ...]] = {ITEMS: (n_items, layers[-1]), BIAS: (n_items,)}
    if settings.embedding not in ("shared", "none"):
        shapes[SEPARATE] = (n_items, width)
    for layer, units in enumerate(layers):
        if layer == 0 and settings.embedding == "none":
            shapes[ONE_HOT] = (n_items, 3 * units)
            shapes |= dict(zip(ONE_HOT_CELL, ((units, 2 * units), (units, units), (3 * units,)), strict=True))
        else:
            cell = ((3 * units, width), (3 * units, units), (3 * units,), (3 * units,))
            shapes |= {f"gru.{layer}.{part}": shape for part, shape in zip(GRU_CELL, cell, strict=True)}
        width = units
    return shapes


def dropout_places(settings: Settings) -> dict[str, tuple[float, int]]:
    """Return rate and units of every dropout that drops, in order.

    "embed" is on the input vector (one-hot: on the first layer's new state), "hidden.L" on layer L's output (one-hot:
    not on the first layer's).
    """
    one_hot = settings.embedding == "none"
    width = settings.layers[0] if one_hot else settings.input_width
    places = {"embed": (settings.dropout_p_embed, width)}
    for layer in range(1 if one_hot else 0, len(settings.layers)):
        places[f"hidden.{layer}"] = settings.dropout_p_hidden, settings.layers[layer]
    return {name: (rate, units) for name, (rate, units) in places.items() if rate > 0}


def initial_parameters(n_items: int, settings: Settings, seed: int, dtype: torch.dtype = torch.float32) -> Parameters:
    """Draw weights uniform in ±sqrt(6 / (rows + columns)), each gate's matrix a block of its own; biases are zero."""
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


def zero_states(slots: int, settings: Settings, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Return the hidden state at the start of a session, one (slots, D_L) a layer."""
    return [torch.zeros(slots, units, dtype=dtype) for units in settings.layers]


class Network:
    """Stacked GRU layers (ICLR 2016, section 3) over given parameters, with dropout after each."""

    def __init__(self, parameters: Parameters, settings: Settings) -> None:
        self.parameters = parameters
        self.n_layers = len(settings.layers)
        self.one_hot = settings.embedding == "none"

    def advance(self, inputs: Tensor, states: list[Tensor], masks: Masks = NO_MASKS) -> list[Tensor]:
        """Return the new state of every layer after one more click.

        `inputs` (B, width) are rows of the input table, `states` one (B, D_L) a layer. The last new state is scored.
        What dropout leaves of a state is what is carried to the next click.
        """
        x = inputs if self.one_hot else _dropped(inputs, masks.get("embed"))
        new_states = []
        for layer, h in enumerate(states):
            if layer == 0 and self.one_hot:
                x = _dropped(self._one_hot_cell(x, h), masks.get("embed"))
            else:
                x = _dropped(self._gru_cell(layer, x, h), masks.get(f"hidden.{layer}"))
            new_states.append(x)
        return new_states

    def scores(self, state: Tensor, items: Tensor, bias: Tensor) -> Tensor:
        """Return h · Wy_j + By_j, (B, C): `state` h (B, D), `items` C rows of Wy (C, D), `bias` as many of By (C,)."""
        return torch.addmm(bias, state, items.T)

    def _gru_cell(self, layer: int, x: Tensor, h: Tensor) -> Tensor:
        """r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)),
        h' = (1 − z) ∘ n + z ∘ h."""
        w, u, b, c = (self.parameters[f"gru.{layer}.{part}"] for part in GRU_CELL)
        units = h.shape[1]
        from_x = torch.addmm(b, x, w.T)  # (B, 3D): r, z, n
        from_h = torch.addmm(c, h, u.T)
        (x_rz, x_n), (h_rz, h_n) = (torch.split(part, [2 * units, units], dim=1) for part in (from_x, from_h))
        r, z = torch.sigmoid(x_rz + h_rz).chunk(2, dim=1)
        n = torch.tanh(torch.addcmul(x_n, r, h_n))
        return torch.lerp(n, h, z)

    def _one_hot_cell(self, x: Tensor, h: Tensor) -> Tensor:
        """r = σ(x_r + h U_r), z = σ(x_z + h U_z), n = tanh((r ∘ h) U_n + x_n), h' = (1 − z) ∘ h + z ∘ n.

        `x` (B, 3D) are rows of the input weights: candidate, r, z. Note that z has the opposite meaning.
        """
        u_rz, u_n, b = (self.parameters[name] for name in ONE_HOT_CELL)
        units = h.shape[1]
        x_n, x_rz = torch.split(x + b, [units, 2 * units], dim=1)
        r, z = torch.sigmoid(torch.addmm(x_rz, h, u_rz)).chunk(2, dim=1)
        n = torch.tanh(torch.addmm(x_n, r * h, u_n))
        return torch.lerp(h, n, z)


def _dropped(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask
