"""Where a step drops units, and the masks that it does it with."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.settings import Settings

Floats = npt.NDArray[np.float32]


def dropout_places(settings: Settings) -> dict[str, tuple[float, int]]:
    """Rate and units of every dropout that drops, in order: "embed" is on the input vector (one-hot: on the first
    layer's new state), "hidden.L" on layer L's (one-hot: not on the first one's)."""
    one_hot = settings.embedding == "none"
    width = settings.layers[0] if one_hot else settings.input_width
    places = {"embed": (settings.dropout_p_embed, width)}
    for layer in range(1 if one_hot else 0, len(settings.layers)):
        places[f"hidden.{layer}"] = settings.dropout_p_hidden, settings.layers[layer]
    return {name: (rate, units) for name, (rate, units) in places.items() if rate > 0}


def masks_of(settings: Settings, noise: Callable[[str, int], Floats]) -> dict[str, Tensor]:
    """Factors of every dropout, 0 where the noise, uniform in [0, 1), is below the rate, else 1 / (1 - rate).

    `noise(name, units)` gives numbers (…, units) of any leading shape, which is the masks' shape.
    """
    return {
        name: torch.from_numpy((noise(name, units) >= rate) * np.float32(1 / (1 - rate)))
        for name, (rate, units) in dropout_places(settings).items()
    }
