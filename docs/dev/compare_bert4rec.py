"""Compares the scores of `bert4rec` with those of RecBole's BERT4Rec, with its weights, in float64.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_bert4rec.py
"""

import numpy as np
import torch
from comparing import LONGEST, V, recbole_blocks, recbole_model, report, transposed
from recbole.model.sequential_recommender import BERT4Rec

from gru4rec_cli.models import bert4rec
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens
from gru4rec_cli.models.neural.sampling import no_dropout
from gru4rec_cli.models.neural.transformer import POSITIONS


def parameters_of(theirs: BERT4Rec) -> Parameters:
    """Return its weights as ours: matrices transposed, those of keys and values joined, item 0 left out."""
    of = transposed(theirs)

    def renamed(new: str, old: str) -> Parameters:
        return {f"{new}.{part}": of[f"{old}.{part}"] for part in ("weight", "bias")}

    return {
        ITEMS: of["item_embedding.weight"].mT[1:-1],
        bert4rec.MASK: of["item_embedding.weight"].mT[-1],
        bert4rec.BIAS: of["output_bias"][1:],
        POSITIONS: of["position_embedding.weight"].mT,
        **renamed("norm", "LayerNorm"),
        **renamed(bert4rec.HEAD, "output_ffn"),
        **renamed(bert4rec.HEAD_NORM, "output_ln"),
        **recbole_blocks(of, "trm_encoder"),
    }


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions, and the largest score."""
    settings = bert4rec.Settings(hidden_size=16, inner_size=24, length=LONGEST - 1)
    given = {"hidden_size": 16, "inner_size": 24, "n_layers": 2, "n_heads": 2, "hidden_act": "gelu"}
    given |= dict.fromkeys(("MASK_ITEM_SEQ", "POS_ITEMS", "NEG_ITEMS", "MASK_INDEX"), "of training")
    theirs = recbole_model(BERT4Rec, std=1.0, layer_norm_eps=1e-5, **given).double()
    lengths = np.random.default_rng(0).integers(1, LONGEST, 40)
    depths = ranges(np.ones_like(lengths), lengths)  # clicks of every prefix
    clicks = torch.randint(V, depths.shape)
    # RecBole leaves out the first click of every history, so its histories have one more before it.
    histories = torch.zeros(len(depths), LONGEST, dtype=torch.int64)
    histories[:, 0] = 1
    tokens = torch.full((len(depths), LONGEST), bert4rec.MASKED)
    for row, depth in enumerate(depths):
        prefix = clicks[row - depth + 1 : row + 1]
        histories[row, 1 : depth + 1] = prefix + 1
        tokens[row, :depth] = prefix
    used = torch.arange(LONGEST) <= torch.from_numpy(depths)[:, None]
    places = ranges(np.zeros_like(depths), depths + 1)
    with torch.no_grad():
        parameters = parameters_of(theirs)
        prefixes = Tokens(tokens[used], places, depths + 1, exact=True)
        ours = bert4rec.states(parameters, settings, prefixes, no_dropout) @ parameters[ITEMS].T
        ours += parameters[bert4rec.BIAS]
        scores = theirs.full_sort_predict({"item_id_list": histories, "item_length": torch.from_numpy(depths + 1)})
    report("bert4rec", ours, scores[:, 1:])


if __name__ == "__main__":
    main()
