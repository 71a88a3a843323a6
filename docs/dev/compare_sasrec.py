"""Compares the scores of `sasrec` with those of RecTools' transformers, with their weights, in float64.

pip install 'rectools[torch]==0.19.0' beside this package, then: python docs/dev/compare_sasrec.py
The block post-norm is RecBole's: see compare_core.py.
"""

from typing import Any

import numpy as np
import torch
from comparing import LONGEST, Clicks, V, report, transposed
from rectools.models.nn.transformers.ligr import LiGRLayers
from rectools.models.nn.transformers.net_blocks import LearnableInversePositionalEncoding, PreLNTransformerLayers
from rectools.models.nn.transformers.sasrec import SASRecTransformerLayers
from rectools.models.nn.transformers.similarity import DistanceSimilarityModule
from rectools.models.nn.transformers.torch_backbone import TransformerTorchBackbone
from torch import Tensor, nn

from gru4rec_cli.models import sasrec
from gru4rec_cli.models.neural.causal import ITEMS, Parameters
from gru4rec_cli.models.neural.sampling import no_dropout
from gru4rec_cli.models.neural.transformer import POSITIONS

_SIZE, _HEADS, _BLOCKS = 16, 2, 2
_CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [  # their blocks, what else they are given, our settings
    (SASRecTransformerLayers, {}, {"block": "original"}),
    (PreLNTransformerLayers, {}, {"block": "pre-norm", "inner_size": 4 * _SIZE, "activation": "gelu"}),
    (LiGRLayers, {"bias_in_ff": True}, {"block": "ligr", "inner_size": 4 * _SIZE}),
]
_OURS = {  # name of a layer there: name here
    "multi_head_attn.out_proj": "projection",
    "q_layer_norm": "norm1",
    "layer_norm_1": "norm1",
    "ff_layer_norm": "norm2",
    "layer_norm_2": "norm2",
    "feed_forward.ff_linear_1": "inner",
    "feed_forward.ff_linear_2": "outer",
    "gating_linear_1": "attention_gate",
    "gating_linear_2": "feed_forward_gate",
}


class _Items(nn.Module):
    """Item vectors, that of item 0 for padding, as RecTools asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(V + 1, _SIZE))

    def get_all_embeddings(self) -> Tensor:
        """Return all of them."""
        return self.vectors


class _Layers(nn.Module):
    """Blocks, and the layer normalisation after them that in RecTools only the original ones have."""

    def __init__(self, blocks: Any) -> None:
        super().__init__()
        self.blocks = blocks
        self.norm = getattr(blocks, "last_layernorm", nn.LayerNorm(_SIZE))
        self.norm.eps = 1e-5
        blocks.last_layernorm = nn.Identity()

    def forward(self, *given: Any, **more: Any) -> Tensor:
        """Return the states, normalised."""
        states: Tensor = self.norm(self.blocks(*given, **more))
        return states


def parameters_of(theirs: TransformerTorchBackbone) -> Parameters:
    """Return its weights as ours: matrices transposed, positions from the first click on."""
    parameters = {
        ITEMS: theirs.item_model.vectors.detach()[1:],
        POSITIONS: theirs.pos_encoding_layer.pos_emb.weight.detach().flip(0),
        "norm.weight": theirs.transformer_layers.norm.weight.detach(),
        "norm.bias": theirs.transformer_layers.norm.bias.detach(),
    }
    for number, block in enumerate(theirs.transformer_layers.blocks.transformer_blocks):
        of = transposed(block)
        for part in ("weight", "bias"):
            layers = {ours: of[f"{name}.{part}"] for name, ours in _OURS.items() if f"{name}.{part}" in of}
            attention = of[f"multi_head_attn.in_proj_{part}"]
            layers["query"], layers["key_value"] = attention.split([_SIZE, 2 * _SIZE], dim=-1)
            if f"feed_forward.ff_linear_3.{part}" in of:  # SwiGLU: gate, value
                layers["inner"] = torch.cat([layers["inner"], of[f"feed_forward.ff_linear_3.{part}"]], dim=-1)
            parameters |= {f"blocks.{number}.{name}.{part}": value for name, value in layers.items()}
    return parameters


def main() -> None:
    """Print the largest difference between the scores after every click of random sessions of 12 clicks."""
    for blocks, given, changes in _CASES:
        torch.manual_seed(0)
        layers = _Layers(blocks(n_blocks=_BLOCKS, n_factors=_SIZE, n_heads=_HEADS, dropout_rate=0.0, **given))
        positions = LearnableInversePositionalEncoding(True, LONGEST, _SIZE, use_scale_factor=True)
        theirs = TransformerTorchBackbone(_HEADS, 0.0, _Items(), positions, layers, DistanceSimilarityModule())
        for value in theirs.parameters():
            nn.init.normal_(value, std=0.5)
        theirs, sessions = theirs.double().eval(), torch.randint(V, (40, LONGEST))
        settings = sasrec.Settings(hidden_size=_SIZE, heads=_HEADS, blocks=_BLOCKS, length=LONGEST, **changes)
        parameters = parameters_of(theirs)
        clicks = Clicks(sessions.flatten(), np.tile(np.arange(LONGEST), 40), np.full(40, LONGEST))
        with torch.no_grad():
            scores = theirs({"x": sessions + 1})[:, :, 1:].flatten(0, 1)
            ours = sasrec.states(parameters, settings, clicks.tokens(), no_dropout) @ parameters[ITEMS].T
        report(f"sasrec, {settings.block}", ours, scores)


if __name__ == "__main__":
    main()
