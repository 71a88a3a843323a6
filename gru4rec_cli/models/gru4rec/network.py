"""The network: GRU layers over item vectors, scores against the item matrix."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

ITEMS = "output_embedding"  # (V, D), also the input vectors when they are shared
BIAS = "output_bias"  # (V,)


def initial_parameters(n_items: int, layers: Sequence[int], seed: int) -> dict[str, Tensor]:
    """Weights uniform in ±sqrt(6 / (rows + columns)), each gate's matrix a block of its own; biases zero.

    GRU weights are in PyTorch's layout: `gru.L.weight_ih` (3 D_L, D_in), gates r, z, n stacked.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(rows: int, columns: int) -> Tensor:
        bound = math.sqrt(6.0 / (rows + columns))
        return (torch.rand(rows, columns, generator=generator) * 2 - 1) * bound

    parameters = {ITEMS: uniform(n_items, layers[-1]), BIAS: torch.zeros(n_items)}
    width = layers[-1]  # of the input vector: shared with the output
    for layer, units in enumerate(layers):
        parameters[f"gru.{layer}.weight_ih"] = torch.cat([uniform(units, width) for _ in range(3)])
        parameters[f"gru.{layer}.weight_hh"] = torch.cat([uniform(units, units) for _ in range(3)])
        parameters[f"gru.{layer}.bias_ih"] = torch.zeros(3 * units)
        parameters[f"gru.{layer}.bias_hh"] = torch.zeros(3 * units)
        width = units
    return parameters


def gru_names(n_layers: int) -> list[str]:
    """Names of the parameters that every step touches as a whole."""
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [f"gru.{layer}.{part}" for layer in range(n_layers) for part in parts]


def zero_states(lanes: int, layers: Sequence[int]) -> list[Tensor]:
    """The hidden state at the start of a session, one (lanes, D_L) a layer."""
    return [torch.zeros(lanes, units) for units in layers]


def drop(values: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout: each unit is zero with `probability`, the rest are scaled up."""
    if probability == 0 or generator is None:
        return values
    kept = torch.rand(values.shape, generator=generator) >= probability
    return values * (kept / (1 - probability))


def advance(
    parameters: dict[str, Tensor],
    inputs: Tensor,
    states: list[Tensor],
    *,
    dropout_embed: float = 0.0,
    dropout_hidden: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """One click further: the new hidden state of every layer, the last of which is scored.

    `inputs` (lanes, D_in) are the item vectors. r = σ(W_r x + b_r + U_r h + c_r), z likewise,
    n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)), h' = (1 − z) ∘ n + z ∘ h. What dropout leaves is what is carried on.
    Without a generator nothing is dropped.
    """
    values = drop(inputs, dropout_embed, generator)
    new_states = []
    for layer, state in enumerate(states):
        weights = [parameters[f"gru.{layer}.{part}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        values = drop(torch.gru_cell(values, state, *weights), dropout_hidden, generator)
        new_states.append(values)
    return new_states
