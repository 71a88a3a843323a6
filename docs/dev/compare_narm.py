"""Compares the scores of `narm` with those of RecBole's NARM, with its weights, in float64.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_narm.py
"""

import torch
from comparing import random_clicks, recbole_model, recbole_scores, report, transposed
from recbole.model.sequential_recommender import NARM

from gru4rec_cli.models import narm
from gru4rec_cli.models.neural.causal import ITEMS, Parameters
from gru4rec_cli.models.neural.sampling import no_dropout


def parameters_of(theirs: NARM) -> Parameters:
    """Return its weights as ours: matrices transposed, z turned into 1 − z, parts in the paper's order."""
    of = transposed(theirs)
    turned = torch.ones(3, theirs.hidden_size, dtype=torch.float64)
    turned[1] = -1  # σ(−x) = 1 − σ(x)
    return {
        ITEMS: of["item_embedding.weight"].mT[1:],
        narm.INPUT: of["gru.weight_ih_l0"] * turned.flatten(),
        narm.RECURRENT: of["gru.weight_hh_l0"] * turned.flatten(),
        narm.QUERY: of["a_2.weight"],
        narm.KEY: of["a_1.weight"],
        narm.WEIGHT: of["v_t.weight"][:, 0],
        narm.DECODER: of["b.weight"].roll(theirs.hidden_size, 0),  # it joins [local; global]
    }


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions."""
    theirs = recbole_model(NARM, embedding_size=16, hidden_size=24, n_layers=1, dropout_probs=[0.25, 0.5]).double()
    clicks, parameters = random_clicks(), parameters_of(theirs)
    states = narm.states(parameters, narm.Settings(hidden_size=16, gru_size=24), clicks.tokens(), no_dropout)
    report("narm", states @ parameters[ITEMS].T, recbole_scores(theirs, clicks))


if __name__ == "__main__":
    main()
