"""Compares the scores of `core` with those of RecBole's CORE, with its weights, in float64 but for its softmax.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_core.py
"""

from comparing import random_clicks, recbole_blocks, recbole_model, recbole_scores, report, transposed
from recbole.model.sequential_recommender import CORE

from gru4rec_cli.models import core
from gru4rec_cli.models.neural.causal import ITEMS, Parameters
from gru4rec_cli.models.neural.sampling import no_dropout
from gru4rec_cli.models.neural.transformer import POSITIONS


def parameters_of(theirs: CORE) -> Parameters:
    """Return its weights as ours: matrices transposed, those of keys and values side by side."""
    of = transposed(theirs)
    items = of["item_embedding.weight"].mT[1:]
    if theirs.dnn_type == "ave":
        return {ITEMS: items}
    return {
        ITEMS: items,
        core.LOGIT: of["net.fn.weight"][:, 0],  # its bias changes no softmax
        POSITIONS: of["net.position_embedding.weight"].mT,
        "norm.weight": of["net.LayerNorm.weight"],
        "norm.bias": of["net.LayerNorm.bias"],
        **recbole_blocks(of, "net.trm_encoder"),
    }


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions."""
    for encoder in ("ave", "trm"):
        settings = core.Settings(hidden_size=16, inner_size=24, length=12, encoder=encoder)
        given = {"embedding_size": 16, "inner_size": 24, "dnn_type": encoder, "layer_norm_eps": 1e-5}
        theirs = recbole_model(CORE, **given).double()
        clicks, parameters = random_clicks(), parameters_of(theirs)
        states = core.states(parameters, settings, clicks.tokens(), no_dropout)
        ours = states @ core.item_vectors(parameters[ITEMS], no_dropout).T
        report(f"core, {encoder}", ours, recbole_scores(theirs, clicks))


if __name__ == "__main__":
    main()
