"""Compares the scores of `srgnn` with those of RecBole's SR-GNN, with its weights, in float32: its graphs are.

pip install recbole==1.2.1 'numpy<2' beside this package, then: python docs/dev/compare_srgnn.py
"""

import numpy as np
import torch
from recbole.config import Config
from recbole.model.sequential_recommender import SRGNN

from gru4rec_cli.models import srgnn
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters

_V, _LONGEST = 50, 12


class _Items:
    """What RecBole's model asks of a dataset: the number of items, of which item 0 is padding."""

    def num(self, field: str) -> int:
        return _V + 1


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
    """Print the largest difference between the scores of all prefixes of random sessions, and the largest score."""
    torch.manual_seed(0)
    settings = srgnn.Settings(hidden_size=16, steps=2)
    given = {"embedding_size": 16, "step": 2, "loss_type": "CE", "MAX_ITEM_LIST_LENGTH": _LONGEST}
    given |= {"train_neg_sample_args": None, "use_gpu": False}
    theirs = SRGNN(Config(model="SRGNN", dataset="none", config_dict=given), _Items()).eval()
    for value in theirs.parameters():
        torch.nn.init.normal_(value, std=0.5)
    lengths = np.random.default_rng(0).integers(1, _LONGEST + 1, 40)
    places = ranges(np.zeros_like(lengths), lengths)
    clicks = torch.randint(10, places.shape)  # few items, so that nodes are clicked again
    with torch.no_grad():
        parameters = parameters_of(theirs)
        firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        graphs = srgnn.graphs_of(clicks.numpy(), lengths)
        prefixes = srgnn.take_prefixes(graphs, firsts, np.arange(len(clicks)), torch.device("cpu"))
        ours = srgnn.states(parameters, settings, prefixes) @ parameters[ITEMS].T
        padded = torch.zeros(len(clicks), _LONGEST, dtype=torch.int64)
        for token, place in enumerate(places):
            padded[token, : place + 1] = clicks[token - place : token + 1] + 1
        history = {"item_id_list": padded, "item_length": torch.from_numpy(places + 1)}
        scores = theirs.full_sort_predict(history)[:, 1:]
    print(f"largest difference {(scores - ours).abs().max():.1e}, largest score {scores.abs().max():.1f}")


if __name__ == "__main__":
    main()
