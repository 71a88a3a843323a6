"""Compares the scores of `srgnn` with those of RecBole's SR-GNN, with its weights, in float32: its graphs are.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_srgnn.py
"""

import numpy as np
import torch
from comparing import random_clicks, recbole_model, recbole_scores, report
from recbole.model.sequential_recommender import SRGNN

from gru4rec_cli.models import srgnn
from gru4rec_cli.models.neural.causal import ITEMS, Parameters


def parameters_of(theirs: SRGNN) -> Parameters:
    """Return its weights as ours: biases that are added up, z turned into 1 − z, parts in the paper's order."""
    of = {name: value.detach() for name, value in theirs.named_parameters()}
    turned = torch.ones(3, theirs.embedding_size)
    turned[1] = -1  # σ(−x) = 1 − σ(x)
    rows = turned.flatten()
    of_messages = torch.cat([of["gnn.b_iah"], of["gnn.b_ioh"]])
    return {
        ITEMS: of["item_embedding.weight"][1:],
        "in.weight": of["gnn.linear_edge_in.weight"],
        "in.bias": of["gnn.linear_edge_in.bias"],
        "out.weight": of["gnn.linear_edge_out.weight"],
        "out.bias": of["gnn.linear_edge_out.bias"],
        "gru.messages.weight": of["gnn.w_ih"] * rows[:, None],
        "gru.messages.bias": (of["gnn.b_ih"] + of["gnn.w_ih"] @ of_messages) * rows,
        "gru.nodes.weight": of["gnn.w_hh"] * rows[:, None],
        "gru.nodes.bias": of["gnn.b_hh"] * rows,
        "attention.last": of["linear_one.weight"],
        "attention.node": of["linear_two.weight"],
        "attention.bias": of["linear_one.bias"] + of["linear_two.bias"],
        "attention.query": of["linear_three.weight"][0],
        "state.weight": of["linear_transform.weight"].roll(theirs.embedding_size, 1),  # it joins [global; last]
        "state.bias": of["linear_transform.bias"],
    }


def main() -> None:
    """Print the largest difference between the scores of all prefixes of random sessions."""
    theirs = recbole_model(SRGNN, embedding_size=16, step=2)
    clicks, parameters = random_clicks(10), parameters_of(theirs)  # few items, so that nodes are clicked again
    firsts = np.repeat(np.cumsum(clicks.lengths) - clicks.lengths, clicks.lengths)
    graphs = srgnn.graphs_of(clicks.items.numpy(), clicks.lengths)
    prefixes = srgnn.take_prefixes(graphs, firsts, np.arange(len(clicks.items)), torch.device("cpu"))
    states = srgnn.states(parameters, srgnn.Settings(hidden_size=16, steps=2), prefixes)
    report("srgnn", states @ parameters[ITEMS].T, recbole_scores(theirs, clicks))


if __name__ == "__main__":
    main()
