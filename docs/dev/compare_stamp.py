"""Compares the scores of `stamp` with those of RecBole's STAMP, with its weights, in float64.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_stamp.py
"""

from comparing import random_clicks, recbole_model, recbole_scores, report, transposed
from recbole.model.sequential_recommender import STAMP

from gru4rec_cli.models import stamp
from gru4rec_cli.models.neural.causal import ITEMS, Parameters
from gru4rec_cli.models.neural.sampling import no_dropout


def parameters_of(theirs: STAMP) -> Parameters:
    """Return its weights as ours: matrices transposed."""
    of = transposed(theirs)
    return {
        ITEMS: of["item_embedding.weight"].mT[1:],
        stamp.EACH: of["w1.weight"],
        stamp.LAST: of["w2.weight"],
        stamp.MEAN: of["w3.weight"],
        stamp.BIAS: of["b_a"],
        stamp.WEIGHT: of["w0.weight"][:, 0],
        f"{stamp.SESSION}.weight": of["mlp_a.weight"],
        f"{stamp.SESSION}.bias": of["mlp_a.bias"],
        f"{stamp.CLICK}.weight": of["mlp_b.weight"],
        f"{stamp.CLICK}.bias": of["mlp_b.bias"],
    }


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions."""
    theirs = recbole_model(STAMP, embedding_size=16).double()
    clicks, parameters = random_clicks(), parameters_of(theirs)
    states = stamp.states(
        parameters, stamp.Settings(hidden_size=16, largest_item_norm=1e9), clicks.tokens(), no_dropout
    )
    report("stamp", states @ parameters[ITEMS].T, recbole_scores(theirs, clicks))


if __name__ == "__main__":
    main()
