"""SR-GNN against the graphs and the equations written out in float64, and what must hold of scores and training."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.models import srgnn
from gru4rec_cli.models.neural.causal import ITEMS
from gru4rec_cli.models.neural.objective import Objective
from gru4rec_cli.models.neural.trainer import Trainer
from gru4rec_cli.models.srgnn import Graphs, Prefixes, Settings, graphs_of, take_prefixes
from tests.models import causal
from tests.models.causal import changed, doubles, large, model_of, scores
from tests.worlds import random_sessions, sessions_of

V = 7
CPU = torch.device("cpu")
SMALL = Settings(
    hidden_size=8, length=6, batch_size=16, learning_rate=0.01, epochs=2, n_sample=8, loss="sampled-softmax",
    l2=0.0, lr_decay=0.5, lr_decay_every=1,
)  # fmt: skip
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {
    "steps": ({}, 2),
    "l2": ({}, 0.1),
    "lr_decay": ({}, 0.1),
    "lr_decay_every": ({}, 2),
    "lr_step": ({}, "before"),
}


@pytest.mark.parametrize("check", causal.GENERAL_CHECKS)
def test_general(check: causal.Check):
    check(srgnn, SMALL)


def test_every_event_scored_alone_has_the_same_bits_at_the_published_size():
    causal.check_every_event_scored_alone_has_the_same_bits(srgnn, Settings(steps=2))


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(srgnn, SMALL, FIELDS)


# --- the definition, in plain loops


def sigmoid(x: Float64Array) -> Float64Array:
    out: Float64Array = 1 / (1 + np.exp(-x))
    return out


def plain_step(p: dict[str, Float64Array], goes: Float64Array, h: list[Float64Array]) -> list[Float64Array]:
    """One step on a graph: goes[u, v] is 1 for an edge u → v. The gates stand in the order reset, update, candidate."""
    size, after = len(h[0]), []
    for i in range(len(h)):
        received, received_back = np.zeros(size), np.zeros(size)
        for j in range(len(h)):
            if goes[j, i]:
                received += (p["in.weight"] @ h[j] + p["in.bias"]) / sum(goes[:, i])
            if goes[i, j]:
                received_back += (p["out.weight"] @ h[j] + p["out.bias"]) / sum(goes[i, :])
        a = np.concatenate([received, received_back])
        of_messages = (p["gru.messages.weight"] @ a + p["gru.messages.bias"]).reshape(3, size)
        of_node = (p["gru.nodes.weight"] @ h[i] + p["gru.nodes.bias"]).reshape(3, size)
        reset, update = sigmoid(of_messages[0] + of_node[0]), sigmoid(of_messages[1] + of_node[1])
        candidate = np.tanh(of_messages[2] + reset * of_node[2])
        after.append((1 - update) * candidate + update * h[i])
    return after


def plain_state(p: dict[str, Float64Array], steps: int, clicks: list[int]) -> Float64Array:
    items = sorted(set(clicks))
    goes = np.zeros((len(items), len(items)))
    for one, next_one in pairwise(clicks):
        goes[items.index(one), items.index(next_one)] = 1
    h = [p["items"][item] for item in items]
    for _ in range(steps):
        h = plain_step(p, goes, h)
    of_clicks = [h[items.index(item)] for item in clicks]
    last, attended = of_clicks[-1], np.zeros(len(h[0]))
    for x in of_clicks:
        gate = sigmoid(p["attention.last"] @ last + p["attention.node"] @ x + p["attention.bias"])
        attended += (p["attention.query"] @ gate) * x
    out: Float64Array = p["state.weight"] @ np.concatenate([last, attended]) + p["state.bias"]
    return out


def prefixes_of(histories: list[list[int]]) -> Prefixes:
    lengths = np.array([len(clicks) for clicks in histories])
    stops = np.cumsum(lengths)
    return take_prefixes(graphs_of(np.concatenate(histories), lengths), stops - lengths, stops - 1, CPU)


@pytest.mark.parametrize("steps", [1, 2])
def test_states_and_gradient_are_those_of_the_definition(steps: int):
    settings = Settings(hidden_size=3, steps=steps)
    parameters = doubles(large(srgnn, V, settings))
    histories = [[3, 1, 4, 1, 5, 1, 4], [2], [2, 2, 6], [5, 3, 5, 3, 0]]
    wanted = np.random.default_rng(1).normal(size=(4, 3))  # the gradient is that of the sum of states · wanted

    def plain(arrays: dict[str, Float64Array]) -> Float64Array:
        return np.array([plain_state(arrays, steps, clicks) for clicks in histories])

    states = srgnn.states(parameters, settings, prefixes_of(histories))
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    np.testing.assert_allclose(states.detach().numpy(), plain(arrays), rtol=1e-12, atol=1e-14)
    (states * torch.from_numpy(wanted)).sum().backward()
    causal.assert_gradient_is_the_slope(parameters, lambda arrays: float((plain(arrays) * wanted).sum()))


def test_scores_are_those_of_the_definition_after_the_last_clicks():
    model = model_of(srgnn, V, Settings(hidden_size=4, length=3))
    arrays = {name: value.double().numpy() for name, value in model.parameters.items()}
    session = [3, 1, UNSEEN, 4, 1, 5, UNSEEN, 2, 0]
    for event, row in enumerate(scores(model, sessions_of([session], V))):
        history = [item for item in session[: event + 1] if item != UNSEEN][-3:]
        np.testing.assert_allclose(row, arrays["items"] @ plain_state(arrays, 1, history), rtol=1e-4, atol=1e-4)


# --- graphs


def test_the_graph_of_two_sessions():
    graphs = graphs_of(np.array([7, 5, 7, 5, 5, 9, 5, 5]), np.array([6, 2]))
    assert graphs.items.tolist() == [7, 5, 9, 5]
    assert graphs.node_of.tolist() == [0, 1, 0, 1, 1, 2, 3, 3]
    assert graphs.nodes_until.tolist() == [1, 2, 2, 2, 2, 3, 4, 4]
    assert graphs.edges_until.tolist() == [0, 1, 2, 2, 3, 4, 4, 5]
    assert list(zip(graphs.sources, graphs.ends, strict=True)) == [(0, 1), (1, 0), (1, 1), (1, 2), (3, 3)]


def test_a_prefix_of_a_session_has_the_graph_that_its_clicks_have_alone():
    rng = np.random.default_rng(0)
    sessions = [rng.integers(0, rng.integers(1, 9), rng.integers(1, 20)).tolist() for _ in range(50)]
    lengths = np.array([len(clicks) for clicks in sessions])
    graphs, begins = graphs_of(np.concatenate(sessions), lengths), np.cumsum(lengths) - lengths
    chosen = rng.integers(0, 50, 80)
    depths = rng.integers(1, lengths[chosen] + 1)
    found = take_prefixes(graphs, begins[chosen], begins[chosen] + depths - 1, CPU)
    alone = prefixes_of([sessions[s][:depth] for s, depth in zip(chosen, depths, strict=True)])
    assert [values.tolist() for values in found] == [values.tolist() for values in alone]


# --- training


def observed_epoch(train: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], int]]:
    """The clicks of every prefix that one epoch learns from, and its target, in order."""
    histories: list[list[int]] = []
    targets: list[int] = []

    def seen(graphs: Graphs, firsts: Int64Array, lasts: Int64Array, device: torch.device) -> Prefixes:
        items = graphs.items[graphs.node_of]
        histories.extend(items[first : last + 1].tolist() for first, last in zip(firsts, lasts, strict=True))
        return take_prefixes(graphs, firsts, lasts, device)

    def loss(objective: object, states: Tensor, given: Tensor, *rest: Any) -> Tensor:
        targets.extend(given.tolist())
        return states.sum(1)

    with monkeypatch.context() as patched:
        patched.setattr(srgnn, "take_prefixes", seen)
        patched.setattr(Objective, "__call__", loss)
        learner = srgnn.Model(settings).learner(train, 3)
        learnt = list(learner.epoch(1))
    assert sum(step.events for step in learnt) == learner.n_events == train.n_targets
    assert max(len(step.losses) for step in learnt) > 1
    return list(zip(histories, targets, strict=True))


def plain_examples(train: Sessions, longest: int) -> Iterator[tuple[list[int], int]]:
    """Every prefix of a session is an example, of windows of `longest` clicks where a session is longer."""
    for start, stop in pairwise(train.offsets.tolist()):
        clicks = train.items[start:stop].tolist()
        for n in range(1, len(clicks)):
            yield clicks[(n - 1) // longest * longest : n], clicks[n]


def test_every_prefix_is_an_example(monkeypatch: pytest.MonkeyPatch):
    train = random_sessions(30, 60, seed=1, longest=30)
    expected = list(plain_examples(train, 6))
    assert observed_epoch(train, changed(SMALL, order="time"), monkeypatch) == expected  # type: ignore[arg-type]
    shuffled = observed_epoch(train, SMALL, monkeypatch)
    assert shuffled != expected
    assert Counter(map(str, shuffled)) == Counter(map(str, expected))


@pytest.mark.parametrize(
    ("lr_step", "factors"), [("after", [1, 1, 1, 0.1, 0.1, 0.1, 0.01]), ("before", [1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])]
)
def test_the_learning_rate_falls_every_three_epochs(lr_step: str, factors: list[float]):
    train = sessions_of([[0, 1, 2], [2, 1, 0]], 5)
    learner = srgnn.Model(Settings.model_validate({"lr_step": lr_step})).learner(train, 3)
    rates = []
    for epoch in range(7):
        list(learner.epoch(epoch))
        rates.append(learner.optimizers[0].param_groups[0]["lr"])
    assert rates == pytest.approx([0.001 * factor for factor in factors])


def test_the_penalty_is_a_part_of_the_gradient_that_adam_is_given():
    """Steps by torch's Adam on cross-entropy + l2 / 2 · Σ‖p‖², summed over all parameters."""
    settings = Settings(hidden_size=4, l2=0.3, epochs=3, lr_decay=1.0, learning_rate=0.01)
    learner = srgnn.Model(settings).learner(sessions_of([[0, 1, 2], [3, 1]], 6), 3)
    Trainer(learner, settings, 3).run()

    drawn = srgnn.initial_parameters(6, settings, 3)
    expected = {name: value.double().requires_grad_() for name, value in drawn.items()}
    optimizer = torch.optim.Adam(expected.values(), 0.01)
    prefixes, targets = prefixes_of([[0], [0, 1], [3]]), torch.tensor([1, 2, 1])
    for _ in range(3):
        loss = cross_entropy(srgnn.states(expected, settings, prefixes) @ expected[ITEMS].T, targets)
        penalty = torch.stack([(value**2).sum() for value in expected.values()]).sum()
        optimizer.zero_grad()
        (loss + 0.3 / 2 * penalty).backward()
        optimizer.step()
    for name, value in learner.parameters().items():
        torch.testing.assert_close(value.double(), expected[name].detach(), rtol=1e-4, atol=1e-5, msg=name)


def test_parameters_are_drawn_uniformly_within_one_over_the_root_of_the_size():
    for name, value in srgnn.initial_parameters(300, Settings(hidden_size=100), 1).items():
        assert value.abs().max() <= 0.1, name
        assert abs(value.mean()) < 5 * 0.1 / math.sqrt(3 * value.numel()), name
        assert value.std() == pytest.approx(0.1 / math.sqrt(3), rel=5 / math.sqrt(value.numel())), name


def test_the_sparse_gradient_is_that_of_plain_indexing():
    gradients = []
    for plain in (False, True):
        settings = Settings(hidden_size=4, loss="sampled-softmax", l2=0.0)
        parameters = doubles(large(srgnn, V, settings))
        with patch.object(srgnn, "embedding", lambda rows, matrix, sparse: matrix[rows]) if plain else nullcontext():
            srgnn.states(parameters, settings, prefixes_of([[3, 1, 3], [1], [2, 6]])).sum().backward()
        gradient = parameters[ITEMS].grad
        assert gradient is not None
        assert gradient.is_sparse != plain
        gradients.append(gradient.to_dense())
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_sparse_adam_with_a_penalty_is_refused():
    with pytest.raises(ValueError, match=r"sparse_adam: l2 changes every item in every step; set l2: 0"):
        Settings(sparse_adam=True, loss="sampled-softmax")
