"""Compares the scores of `narm` with those of RecBole's NARM, with its weights, in float64.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_narm.py
"""

import numpy as np
import torch
from recbole.config import Config
from recbole.model.sequential_recommender import NARM

from gru4rec_cli.models import narm
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens
from gru4rec_cli.models.neural.sampling import no_dropout

_V, _LONGEST = 50, 12


class _Items:
    """What RecBole's model asks of a dataset: the number of items, of which item 0 is padding."""

    def num(self, field: str) -> int:
        return _V + 1


def parameters_of(theirs: NARM) -> Parameters:
    """Return its weights as ours: matrices transposed, z turned into 1 − z, parts in the paper's order."""
    of = {name: value.detach().T for name, value in theirs.named_parameters()}
    turned = torch.ones(3, theirs.hidden_size, dtype=torch.float64)
    turned[1] = -1  # σ(−x) = 1 − σ(x)
    return {
        ITEMS: of["item_embedding.weight"].T[1:],
        narm.INPUT: of["gru.weight_ih_l0"] * turned.flatten(),
        narm.RECURRENT: of["gru.weight_hh_l0"] * turned.flatten(),
        narm.QUERY: of["a_2.weight"],
        narm.KEY: of["a_1.weight"],
        narm.WEIGHT: of["v_t.weight"][:, 0],
        narm.DECODER: of["b.weight"].roll(theirs.hidden_size, 0),  # it joins [local; global]
    }


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions, and the largest score."""
    torch.manual_seed(0)
    settings = narm.Settings(hidden_size=16, gru_size=24)
    given = {"embedding_size": 16, "hidden_size": 24, "n_layers": 1, "dropout_probs": [0.25, 0.5], "loss_type": "CE"}
    given |= {"MAX_ITEM_LIST_LENGTH": _LONGEST, "train_neg_sample_args": None, "use_gpu": False}
    theirs = NARM(Config(model="NARM", dataset="none", config_dict=given), _Items()).double().eval()
    for value in theirs.parameters():
        torch.nn.init.normal_(value, std=0.5)
    lengths = np.random.default_rng(0).integers(1, _LONGEST + 1, 40)
    places = ranges(np.zeros_like(lengths), lengths)
    clicks = torch.randint(_V, places.shape)
    with torch.no_grad():
        parameters = parameters_of(theirs)
        states = narm.states(parameters, settings, Tokens(clicks, places, lengths, exact=True), no_dropout)
        ours = states @ parameters[ITEMS].T
        prefixes = torch.zeros(len(clicks), _LONGEST, dtype=torch.int64)
        for token, place in enumerate(places):
            prefixes[token, : place + 1] = clicks[token - place : token + 1] + 1
        history = {"item_id_list": prefixes, "item_length": torch.from_numpy(places + 1)}
        scores = theirs.full_sort_predict(history)[:, 1:]
    print(f"largest difference {(scores - ours).abs().max():.1e}, largest score {scores.abs().max():.1f}")


if __name__ == "__main__":
    main()
