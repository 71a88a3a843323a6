"""Compares the scores of `bert4rec` with those of RecBole's BERT4Rec, with its weights, in float64.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_bert4rec.py
"""

import numpy as np
import torch
from recbole.config import Config
from recbole.model.sequential_recommender import BERT4Rec

from gru4rec_cli.models import bert4rec
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens
from gru4rec_cli.models.neural.sampling import no_dropout
from gru4rec_cli.models.neural.transformer import POSITIONS

_V, _LONGEST = 50, 12  # items, places

_LAYERS = {  # RecBole's name of a layer in a block → ours
    "multi_head_attention.query": "query",
    "multi_head_attention.dense": "projection",
    "multi_head_attention.LayerNorm": "norm1",
    "feed_forward.dense_1": "inner",
    "feed_forward.dense_2": "outer",
    "feed_forward.LayerNorm": "norm2",
}


class _Items:
    """What RecBole's model asks of a dataset: the number of items, of which item 0 is padding."""

    def num(self, field: str) -> int:
        return _V + 1


def parameters_of(theirs: BERT4Rec) -> Parameters:
    """Return its weights as ours: matrices transposed, those of keys and values joined, item 0 left out."""
    of = {name: value.detach() for name, value in theirs.named_parameters()}
    of |= {name: value.T for name, value in of.items() if value.dim() == 2}

    def renamed(new: str, old: str) -> Parameters:
        return {f"{new}.{part}": of[f"{old}.{part}"] for part in ("weight", "bias")}

    found = {
        ITEMS: of["item_embedding.weight"].T[1:-1],
        bert4rec.MASK: of["item_embedding.weight"].T[-1],
        bert4rec.BIAS: of["output_bias"][1:],
        POSITIONS: of["position_embedding.weight"].T,
        **renamed("norm", "LayerNorm"),
        **renamed(bert4rec.HEAD, "output_ffn"),
        **renamed(bert4rec.HEAD_NORM, "output_ln"),
    }
    for block in range(theirs.n_layers):
        layer, attention = f"trm_encoder.layer.{block}", f"trm_encoder.layer.{block}.multi_head_attention"
        for old, new in _LAYERS.items():
            found |= renamed(f"blocks.{block}.{new}", f"{layer}.{old}")
        for part in ("weight", "bias"):
            both = [of[f"{attention}.{name}.{part}"] for name in ("key", "value")]
            found[f"blocks.{block}.key_value.{part}"] = torch.cat(both, dim=-1)
    return found


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions, and the largest score."""
    torch.manual_seed(0)
    settings = bert4rec.Settings(hidden_size=16, inner_size=24, length=_LONGEST - 1)
    given = {"hidden_size": 16, "inner_size": 24, "n_layers": 2, "n_heads": 2, "hidden_act": "gelu", "loss_type": "CE"}
    given |= {"layer_norm_eps": 1e-5, "MAX_ITEM_LIST_LENGTH": _LONGEST, "train_neg_sample_args": None, "use_gpu": False}
    given |= dict.fromkeys(("MASK_ITEM_SEQ", "POS_ITEMS", "NEG_ITEMS", "MASK_INDEX"), "of training")
    theirs = BERT4Rec(Config(model="BERT4Rec", dataset="none", config_dict=given), _Items()).double().eval()
    for value in theirs.parameters():
        torch.nn.init.normal_(value, std=1.0)
    lengths = np.random.default_rng(0).integers(1, _LONGEST, 40)
    depths = ranges(np.ones_like(lengths), lengths)  # clicks of every prefix
    clicks = torch.randint(_V, depths.shape)
    # RecBole leaves out the first click of every history, so its histories have one more before it.
    histories = torch.zeros(len(depths), _LONGEST, dtype=torch.int64)
    histories[:, 0] = 1
    tokens = torch.full((len(depths), _LONGEST), bert4rec.MASKED)
    for row, depth in enumerate(depths):
        prefix = clicks[row - depth + 1 : row + 1]
        histories[row, 1 : depth + 1] = prefix + 1
        tokens[row, :depth] = prefix
    used = torch.arange(_LONGEST) <= torch.from_numpy(depths)[:, None]
    places = ranges(np.zeros_like(depths), depths + 1)
    with torch.no_grad():
        parameters = parameters_of(theirs)
        prefixes = Tokens(tokens[used], places, depths + 1, exact=True)
        ours = bert4rec.states(parameters, settings, prefixes, no_dropout) @ parameters[ITEMS].T
        ours += parameters[bert4rec.BIAS]
        scores = theirs.full_sort_predict({"item_id_list": histories, "item_length": torch.from_numpy(depths + 1)})
    difference = (scores[:, 1:] - ours).abs().max()
    print(f"largest difference {difference:.1e}, largest score {scores.abs().max():.1f}")


if __name__ == "__main__":
    main()
