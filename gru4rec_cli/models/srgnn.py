"""SR-GNN (Wu et al., AAAI 2019): a gated graph network on the items of a session, then soft attention over its clicks.

A graph has a node for each item that was clicked, and an edge u → v where v was clicked right after u. Every prefix of
a session is an example with a graph of its own. Nodes and edges of a session are numbered in the order in which its
clicks bring them up, so that a prefix has the first ones of them.

The graphs of P prefixes lie one after the other, without padding: N nodes, E edges. D is the hidden size, V the items.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import embedding, linear

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import cut_sessions, ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, sigmoid, states_of_histories, sum_over
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.gradient import GradientLearner, adam
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.objective import Objective
from gru4rec_cli.models.neural.scoring import MIN_ROWS
from gru4rec_cli.models.neural.settings import GradientSettings, with_default


class Settings(GradientSettings):
    """Settings of SR-GNN, with the published defaults; published without `length`, which cuts few sessions."""

    steps: int = Field(1, ge=1, description="steps in which the nodes of a graph pass messages along its edges")
    hidden_size: int = with_default(GradientSettings, "hidden_size", 100)
    length: int = with_default(GradientSettings, "length", 100)
    epochs: int = with_default(GradientSettings, "epochs", 30)
    batch_size: int = Field(100, ge=1, description="prefixes of training sessions in a training step")
    order: Literal["shuffled", "time"] = Field(
        "shuffled", description="order of the prefixes in training: shuffled: new in every epoch; time: as in the data"
    )
    loss: Literal["cross-entropy", "sampled-softmax", "bce", "gbce"] = with_default(
        GradientSettings, "loss", "cross-entropy"
    )
    l2: float = Field(
        1e-5,
        ge=0,
        description="L2 penalty l2 / 2 · ‖p‖² on all parameters, as a part of the gradient that Adam is given",
    )
    lr_decay: float = with_default(GradientSettings, "lr_decay", 0.1)
    lr_step: Literal["after", "before"] = Field(
        "after",
        description="when an epoch counts for lr_decay_every: after: once it is over, as the paper says; before: as it "
        "begins, as in the published program with torch 1.1 or later, so that the full rate lasts an epoch less",
    )

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many."""
        of_step = 16 * self.hidden_size  # messages, gates and candidate of one node at least, kept for the gradient
        weights = 16 * self.hidden_size * (n_items + 15 * self.hidden_size)
        return super().memory_needed(n_items) | {"hidden_size": weights, "steps": self.steps * of_step}

    def rate_factor(self, epoch: int) -> float:
        """Return the factor on the learning rate in epoch 1, 2, …"""
        return super().rate_factor(epoch if self.lr_step == "after" else epoch + 1)

    @model_validator(mode="after")
    def _sparse_without_penalty(self) -> Self:
        if self.sparse_adam and self.l2:
            raise ValueError("sparse_adam: l2 changes every item in every step; set l2: 0, or sparse_adam: false")
        return self


class Graphs(NamedTuple):
    """The graphs of some sessions with C clicks, one after the other."""

    items: Int64Array  # (N,) item of each node
    node_of: Int64Array  # (C,) node of each click
    nodes_until: Int64Array  # (C,) nodes that this click and all before it have brought up
    edges_until: Int64Array  # (C,) the same of edges
    sources: Int64Array  # (E,) node that an edge leaves
    ends: Int64Array  # (E,) node that it comes to


def graphs_of(items: Int64Array, lengths: Int64Array) -> Graphs:
    """Return the graphs of sessions of the given lengths, whose clicks `items` (C,) lie one after the other."""
    sessions = np.repeat(np.arange(len(lengths)), lengths)  # (C,)
    first_click = _first_equal(sessions * (items.max(initial=0) + 1) + items)  # (C,) of the item in its session
    is_node = first_click == np.arange(len(items))
    nodes_until = np.cumsum(is_node)
    node_of = nodes_until[first_click] - 1

    moves = np.flatnonzero(np.diff(sessions) == 0) + 1  # (M,) clicks that follow another of their session
    sources, ends = node_of[moves - 1], node_of[moves]
    is_new = _first_equal(sources * is_node.sum() + ends) == np.arange(len(moves))
    edges_until = np.cumsum(np.bincount(moves[is_new], minlength=len(items)))
    return Graphs(items[is_node], node_of, nodes_until, edges_until, sources[is_new], ends[is_new])


def _first_equal(keys: Int64Array) -> Int64Array:
    """Return the first place where each key stands."""
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    places: Int64Array = first[which]
    return places


class Prefixes(NamedTuple):
    """The graphs of P prefixes, each of which has all nodes and edges of its own."""

    items: Tensor  # (N,) item of each node
    owners: Tensor  # (N,) prefix of each node
    clicks: Tensor  # (N, 1) clicks on each node's item
    last: Tensor  # (P,) node of the last click
    sources: Tensor  # (E,) node that an edge leaves
    ends: Tensor  # (E,) node that it comes to
    in_degrees: Tensor  # (N, 1) edges that come to a node, but at least 1
    out_degrees: Tensor  # (N, 1) edges that leave it, but at least 1


def take_prefixes(graphs: Graphs, firsts: Int64Array, lasts: Int64Array, device: torch.device) -> Prefixes:
    """Return the graphs of prefixes: of the clicks `firsts[p] … lasts[p]`, the first being that of a session."""
    first_nodes = graphs.node_of[firsts]  # (P,)
    n_nodes = graphs.nodes_until[lasts] - first_nodes
    shifts = np.cumsum(n_nodes) - n_nodes - first_nodes  # (P,) from a node's number in `graphs` to that in the batch
    first_edges = graphs.edges_until[firsts]
    n_edges = graphs.edges_until[lasts] - first_edges
    n_clicks = lasts - firsts + 1

    edges, edge_shifts = ranges(first_edges, n_edges), np.repeat(shifts, n_edges)
    sources, ends = graphs.sources[edges] + edge_shifts, graphs.ends[edges] + edge_shifts
    nodes = graphs.node_of[ranges(firsts, n_clicks)] + np.repeat(shifts, n_clicks)
    total = int(n_nodes.sum())
    counts = [np.bincount(of, minlength=total)[:, None] for of in (nodes, ends, sources)]
    clicks, in_degrees, out_degrees = (np.maximum(count, 1).astype(np.float32) for count in counts)
    items = graphs.items[ranges(first_nodes, n_nodes)]
    owners = np.repeat(np.arange(len(firsts)), n_nodes)
    last = graphs.node_of[lasts] + shifts
    arrays = (items, owners, clicks, last, sources, ends, in_degrees, out_degrees)
    return Prefixes(*(torch.from_numpy(values).to(device) for values in arrays))


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw all parameters, biases too, uniform in ±1/√D."""
    generator = torch.Generator().manual_seed(seed)
    size = settings.hidden_size
    shapes = {
        ITEMS: (n_items, size),
        "in.weight": (size, size),
        "in.bias": (size,),
        "out.weight": (size, size),
        "out.bias": (size,),
        "gru.messages.weight": (3 * size, 2 * size),
        "gru.messages.bias": (3 * size,),
        "gru.nodes.weight": (3 * size, size),
        "gru.nodes.bias": (3 * size,),
        "attention.last": (size, size),
        "attention.node": (size, size),
        "attention.bias": (size,),
        "attention.query": (size,),
        "state.weight": (size, 2 * size),
        "state.bias": (size,),
    }
    return {name: (2 * torch.rand(*shape, generator=generator) - 1) * size**-0.5 for name, shape in shapes.items()}


def states(parameters: Parameters, settings: Settings, prefixes: Prefixes) -> Tensor:
    """Return the state of every prefix, (P, D)."""
    vectors = embedding(prefixes.items, parameters[ITEMS], sparse=True)
    for _ in range(settings.steps):
        vectors = _pass_messages(parameters, prefixes, vectors)
    return _read_out(parameters, prefixes, vectors)


def _pass_messages(p: Parameters, prefixes: Prefixes, h: Tensor) -> Tensor:
    """Return the vectors of the nodes, (N, D), after one step (equations 1–5).

    a_i = [mean over edges u → i of W_in h_u + b_in ; mean over edges i → v of W_out h_v + b_out], 0 without edges;
    h_i' = GRU(a_i, h_i), with torch's equations.
    """
    sent_on = linear(h, p["in.weight"], p["in.bias"]).index_select(0, prefixes.sources)  # (E, D)
    sent_back = linear(h, p["out.weight"], p["out.bias"]).index_select(0, prefixes.ends)
    received = sum_over(prefixes.ends, sent_on, len(h)) / prefixes.in_degrees
    received_back = sum_over(prefixes.sources, sent_back, len(h)) / prefixes.out_degrees
    return torch.gru_cell(
        torch.cat([received, received_back], dim=1),
        h,
        p["gru.messages.weight"],
        p["gru.nodes.weight"],
        p["gru.messages.bias"],
        p["gru.nodes.bias"],
    )


def _read_out(p: Parameters, prefixes: Prefixes, h: Tensor) -> Tensor:
    """Return the states of the prefixes, (P, D) (equations 6 and 7).

    α_i = q · σ(W_1 h_last + W_2 h_i + c), s_g = Σ over clicks of α_i h_i, state = W_3 [h_last ; s_g] + b.
    """
    last = h.index_select(0, prefixes.last)  # (P, D)
    of_last = linear(last, p["attention.last"], p["attention.bias"]).index_select(0, prefixes.owners)  # (N, D)
    gates = sigmoid(of_last + linear(h, p["attention.node"]))
    weights = prefixes.clicks * (gates * p["attention.query"]).sum(1, keepdim=True)  # (N, 1)
    everything = sum_over(prefixes.owners, weights * h, len(last))
    return linear(torch.cat([last, everything], dim=1), p["state.weight"], p["state.bias"])


class Model(NeuralModel[Settings]):
    """SR-GNN: score_j = state · item_j, with the state of the graph of the history's last clicks."""

    description: ClassVar[str] = (
        "SR-GNN: a graph network on the items of a session, and attention over them; its state is scored against every "
        "item."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True
    item_matrix = ITEMS

    def learner(self, train: Sessions, seed: int) -> GradientLearner[Int64Array]:
        """Return a training that has not begun; a batch are the numbers of its prefixes."""
        settings, device = self.settings, find_device(self.settings.device)
        drawn = initial_parameters(train.n_items, settings, seed)
        parameters = {name: value.to(device).requires_grad_() for name, value in drawn.items()}
        objective = Objective(train.supports(), settings, device)
        windows = cut_sessions(train, settings.length)
        rows = ranges(windows.firsts, windows.lengths)  # (C,) of the clicks that end a prefix: all but the last ones
        graphs = graphs_of(train.items[rows].astype(np.int64), windows.lengths)
        firsts = np.repeat(np.cumsum(windows.lengths) - windows.lengths, windows.lengths)  # (C,)
        targets = torch.from_numpy(train.items[rows + 1].astype(np.int64)).to(device)

        def batches(generator: np.random.Generator) -> Iterator[Int64Array]:
            prefixes = generator.permutation(len(rows)) if settings.order == "shuffled" else np.arange(len(rows))
            for start in range(0, len(rows), settings.batch_size):
                yield prefixes[start : min(start + settings.batch_size, len(rows))]

        def losses(batch: Int64Array, generator: np.random.Generator) -> Tensor:
            found = states(parameters, settings, take_prefixes(graphs, firsts[batch], batch, device))
            return objective(found, targets[torch.from_numpy(batch).to(device)], parameters[ITEMS], generator)

        optimizers = adam(parameters, settings, settings.l2)
        return GradientLearner(parameters, optimizers, train.n_targets, batches, losses, factor=settings.rate_factor)

    def states(self, sessions: Sessions) -> Tensor:
        """Return the state after every event's history, (n_targets, D), in event order; zero for an empty history."""
        return states_of_histories(sessions, self.settings, self.parameters[ITEMS], self._states_of)

    def _states_of(self, items: Int64Array, lengths: Int64Array) -> Tensor:
        """Return the states of complete histories, and of some more, (P + 32, D)."""
        lengths = np.append(lengths, np.ones(MIN_ROWS, dtype=np.int64))
        graphs = graphs_of(np.pad(items, (0, MIN_ROWS)), lengths)
        stops = np.cumsum(lengths)
        prefixes = take_prefixes(graphs, stops - lengths, stops - 1, self.parameters[ITEMS].device)
        with torch_threads(1):  # small products, whose threads would wait for each other
            return states(self.parameters, self.settings, prefixes)
