"""Conversion between the author's weights and ours."""

import numpy as np
import torch

from gru4rec_cli.base.arrays import AnyArray, Float32Array, Int64Array

BY_ITEM = ("output_embedding", "output_bias", "input_embedding", "onehot_gru.input")
_RENAMED = {
    "Wy.weight": "output_embedding",
    "By.weight": "output_bias",
    "E.weight": "input_embedding",
    "GE.Wx0.weight": "onehot_gru.input",
    "GE.Wrz0": "onehot_gru.recurrent_rz",
    "GE.Wh0": "onehot_gru.recurrent_h",
    "GE.Bh0": "onehot_gru.bias",
}


def our_name(name: str) -> str:
    """Return our name of one of the author's parameters, such as `gru.0.weight_ih` for `G.0.weight_ih`."""
    return _RENAMED.get(name) or f"gru.{name.removeprefix('G.')}"


def extract(network: torch.nn.Module, author_index: Int64Array) -> dict[str, Float32Array]:
    """Return all weights by our names, rows of items in our order.

    `author_index` (V,) holds the author's index of every item of ours, or -1 for an item that no training session
    has: its score is then below all others.
    """
    weights: dict[str, Float32Array] = {}
    known = author_index >= 0
    for name, value in network.state_dict().items():
        array = value.detach().cpu().float().numpy()
        ours = our_name(name)
        if ours == "output_bias":
            array = array.reshape(-1)
        if ours in BY_ITEM:
            table = np.zeros((len(author_index), *array.shape[1:]), dtype=np.float32)
            table[known] = array[author_index[known]]
            array = table
        weights[ours] = array.copy()
    weights["output_bias"][~known] = np.finfo(np.float32).min
    return weights


def install(network: torch.nn.Module, weights: dict[str, AnyArray]) -> None:
    """Load our weights into a network of the author's; items stay in our order."""
    state = network.state_dict()
    renamed = {
        name: torch.from_numpy(np.array(weights[our_name(name)], dtype=np.float32)).reshape(value.shape)
        for name, value in state.items()
    }
    network.load_state_dict(renamed)
