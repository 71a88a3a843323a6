"""SASRec against a slow float64 definition, and what must hold of its scores and its training bit for bit."""

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.models import sasrec
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.neural import gradient
from gru4rec_cli.models.neural.batches import Batch, batch_of, cut_sessions
from gru4rec_cli.models.neural.trainer import Trainer
from gru4rec_cli.models.sasrec import (
    ITEMS,
    Model,
    Network,
    Parameters,
    Settings,
    attend_in_batch,
    attend_reproducibly,
    event_losses,
    initial_parameters,
    log_q,
    training,
)
from tests.worlds import random_sessions, sessions_of, with_supports

SMALL = Settings(hidden_size=8, heads=2, length=6, dropout=0.1, batch_size=16, learning_rate=0.01, n_sample=8, epochs=2)
# Another value of every setting, and what else to set for both.
FIELDS: dict[str, tuple[dict[str, Any], Any]] = {
    "epochs": ({}, 3),
    "validate_on": ({"epochs": 6, "learning_rate": 0.3}, "recall@5"),
    "patience": ({"epochs": 9, "learning_rate": 0.3, "validate_on": "recall@5"}, 1),
    "hidden_size": ({}, 4),
    "blocks": ({}, 1),
    "heads": ({}, 1),
    "length": ({}, 4),
    "dropout": ({}, 0.5),
    "batch_size": ({}, 8),
    "order": ({}, "time"),
    "learning_rate": ({}, 0.02),
    "beta2": ({}, 0.999),
    "sparse_adam": ({}, True),
    "n_sample": ({}, 9),
    "sample_alpha": ({}, 0.5),
}
SEQUENCES = [[3, 1, 4, 1, 5], [2, 6], [5, 3, 5, 0]]
NEGATIVES = np.array([0, 4, 4, 6, 1])
V = 7


# --- the definition, in plain loops


def plain_norm(x: Float64Array, weight: Float64Array, bias: Float64Array) -> Float64Array:
    centred = x - sum(x) / len(x)
    out: Float64Array = centred / math.sqrt(sum(centred**2) / len(x) + 1e-5) * weight + bias
    return out


def plain_states(
    p: dict[str, Float64Array], settings: Settings, clicks: list[int], drop: Iterator[Float64Array]
) -> list[Float64Array]:
    """The state after every click of one sequence; `drop` gives the factors of every dropout, (clicks, D) each."""
    size, heads = settings.hidden_size, settings.heads
    width = size // heads

    def linear(name: str, x: Float64Array) -> Float64Array:
        out: Float64Array = x @ p[f"{name}.weight"] + p[f"{name}.bias"]
        return out

    def norm(name: str, x: Float64Array) -> Float64Array:
        return plain_norm(x, p[f"{name}.weight"], p[f"{name}.bias"])

    mask = next(drop)
    stream = [(p["items"][item] * math.sqrt(size) + p["positions"][t]) * mask[t] for t, item in enumerate(clicks)]
    for block in range(settings.blocks):
        name = f"blocks.{block}"
        qkv = [linear(f"{name}.attention", norm(f"{name}.norm1", x)) for x in stream]
        mask, inner_mask = next(drop), next(drop)
        after = []
        for t, x in enumerate(stream):
            joined = np.zeros(size)
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                query = qkv[t][:size][part]
                weights = [math.exp(query @ qkv[s][size : 2 * size][part] / math.sqrt(width)) for s in range(t + 1)]
                for s in range(t + 1):
                    joined[part] += weights[s] / sum(weights) * qkv[s][2 * size :][part]
            y = x + linear(f"{name}.projection", joined) * mask[t]
            inner = np.maximum(linear(f"{name}.inner", norm(f"{name}.norm2", y)), 0)
            after.append(y + linear(f"{name}.outer", inner) * inner_mask[t])
        stream = after
    return [norm("norm", x) for x in stream]


def plain_loss(
    p: dict[str, Float64Array], settings: Settings, log_q: Float64Array, masks: list[list[Float64Array]]
) -> list[float]:
    """The loss of every event of SEQUENCES: all clicks but the last are inputs."""
    losses = []
    for clicks, drop in zip(SEQUENCES, masks, strict=True):
        for state, target in zip(plain_states(p, settings, clicks[:-1], iter(drop)), clicks[1:], strict=True):
            others = [p["items"][j] @ state - log_q[j] for j in NEGATIVES if j != target]
            own = p["items"][target] @ state
            losses.append(math.log(sum(math.exp(score) for score in [own, *others])) - own)
    return losses


# --- helpers


def large(n_items: int, settings: Settings, seed: int = 0) -> Parameters:
    """Parameters so large that everything in the network matters."""
    generator = torch.Generator().manual_seed(seed)
    drawn = initial_parameters(n_items, settings, seed)
    return {name: value + 0.4 * torch.randn(value.shape, generator=generator) for name, value in drawn.items()}


def doubles(parameters: Parameters) -> Parameters:
    return {name: value.double().requires_grad_() for name, value in parameters.items()}


def small_batch(sequences: list[list[int]] = SEQUENCES) -> Batch:
    sessions = sessions_of(sequences, V)
    windows = cut_sessions(sessions, 100)
    return batch_of(sessions.items, windows, np.arange(len(sequences)))


def model_of(n_items: int, **changes: Any) -> Model:
    model = Model(Settings(**changes))
    model.parameters = large(n_items, model.settings)
    return model


def scores(model: Model, sessions: Sessions) -> Float64Array:
    return np.concatenate([block.dense() for block in model.score(sessions)])


def trained(train: Sessions, settings: Settings, seed: int = 3) -> dict[str, bytes]:
    parameters = Trainer(training(train, settings, seed), settings, seed).run()
    return {name: value.numpy().tobytes() for name, value in parameters.items()}


# --- the network and the loss


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_loss_and_gradient_are_those_of_the_definition(heads: int, dropout: float):
    settings = Settings(hidden_size=4, blocks=2, heads=heads, length=5)
    parameters = doubles(large(V, settings))
    weights = log_q(np.array([5, 1, 2, 8, 3, 3, 1]), 0.5).double()
    rng, n_events = np.random.default_rng(1), sum(len(clicks) - 1 for clicks in SEQUENCES)
    drawn = [(rng.random((n_events, 4)) >= dropout) / (1 - dropout) for _ in range(1 + 2 * settings.blocks)]
    bounds = np.cumsum([0, *(len(clicks) - 1 for clicks in SEQUENCES)]).tolist()
    of_sequence = [[mask[start:stop] for mask in drawn] for start, stop in pairwise(bounds)]

    masks = iter(drawn)
    losses = event_losses(
        parameters, settings, small_batch(), NEGATIVES, weights, lambda x: x * torch.from_numpy(next(masks))
    )
    assert next(masks, None) is None
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    expected = plain_loss(arrays, settings, weights.numpy(), of_sequence)
    np.testing.assert_allclose(losses.detach().numpy(), expected, rtol=1e-12)

    losses.sum().backward()
    step = 1e-6
    for name, array in arrays.items():
        slope = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            at = array[place]
            ends = []
            for moved in (at - step, at + step):
                array[place] = moved
                ends.append(sum(plain_loss(arrays, settings, weights.numpy(), of_sequence)))
            array[place] = at
            slope[place] = (ends[1] - ends[0]) / (2 * step)
        gradient = parameters[name].grad
        assert gradient is not None
        np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-5, atol=1e-7, err_msg=name)


def test_the_sparse_gradient_is_the_dense_one():
    gradients = []
    for sparse in (False, True):
        settings = Settings(hidden_size=4, length=5, sparse_adam=sparse)
        parameters = doubles(large(V, settings))
        event_losses(parameters, settings, small_batch(), NEGATIVES, torch.zeros(V).double()).sum().backward()
        gradient = parameters[ITEMS].grad
        assert gradient is not None
        assert gradient.is_sparse == sparse
        gradients.append(gradient.to_dense() if sparse else gradient)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_the_loss_with_all_items_as_negatives_is_the_cross_entropy_over_all_items():
    settings = Settings(hidden_size=4, length=5)
    parameters, batch = doubles(large(V, settings)), small_batch()
    losses = event_losses(parameters, settings, batch, np.arange(V), torch.zeros(V).double())
    states = states_of(parameters, settings, batch)
    full = cross_entropy(states @ parameters[ITEMS].T, torch.from_numpy(batch.targets), reduction="none")
    torch.testing.assert_close(losses, full, rtol=1e-12, atol=1e-12)


def states_of(parameters: Parameters, settings: Settings, batch: Batch) -> Tensor:
    vectors = embedding(torch.from_numpy(batch.inputs), parameters[ITEMS])
    attend = attend_in_batch(batch.lengths, torch.device("cpu"))
    return Network(parameters, settings).states(vectors, torch.from_numpy(batch.positions), attend)


def test_copies_of_every_prefix_give_the_gradient_of_one_causal_pass():
    settings = Settings(hidden_size=4, heads=2, length=5)
    prefixes = [clicks[:length] for clicks in SEQUENCES for length in range(2, len(clicks) + 1)]
    gradients = []
    for sequences in (SEQUENCES, prefixes):
        parameters, batch = doubles(large(V, settings)), small_batch(sequences)
        losses = event_losses(parameters, settings, batch, NEGATIVES, torch.zeros(V).double())
        if sequences is prefixes:
            losses = losses[np.cumsum(batch.lengths) - 1]
        losses.sum().backward()
        gradients.append([value.grad for value in parameters.values()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_sequences_beside_a_sequence_change_nothing_in_training():
    settings = Settings(hidden_size=4, heads=2, length=5)
    parameters = doubles(large(V, settings))
    together = states_of(parameters, settings, small_batch())
    alone = torch.cat([states_of(parameters, settings, small_batch([clicks])) for clicks in SEQUENCES])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 4])
def test_the_attention_of_scoring_is_that_of_training(heads: int):
    lengths = np.array([3, 20, 1, 7])
    positions = np.concatenate([np.arange(length) for length in lengths])
    q, k, v = torch.randn(3, len(positions), heads, 16 // heads, generator=torch.Generator().manual_seed(0))
    device = torch.device("cpu")
    one, other = attend_in_batch(lengths, device)(q, k, v), attend_reproducibly(positions, 25, device)(q, k, v)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_log_q_makes_up_for_how_often_a_negative_is_drawn():
    supports, values = np.array([5, 1, 2, 8, 3]), np.random.default_rng(0).normal(size=5)
    q = supports**0.7 / sum(supports**0.7)
    expected = sum(q * np.exp(values - log_q(supports, 0.7).numpy()))
    assert expected == pytest.approx(np.exp(values).mean(), rel=1e-6)
    assert log_q(supports, 0.0).tolist() == [0.0] * 5


# --- scores


@pytest.mark.parametrize("length", [3, 50])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_event_scored_alone_has_the_same_bits(length: int, threads: int):
    test = random_sessions(60, 30, seed=2, longest=40)
    model = model_of(60, length=length, heads=2)
    together = scores(model, test)
    sessions, depths = test.event_sessions(), test.event_positions()
    with torch_threads(threads):
        for event in np.random.default_rng(0).choice(test.n_targets, 60, replace=False):
            start = test.offsets[sessions[event]]
            items = test.items[start : start + depths[event]].tolist()
            assert scores(model, sessions_of([[*items, 0]], 60))[-1].tobytes() == together[event].tobytes()
            cut = sessions_of([[*items[-length:], 0]], 60)  # nothing before the last clicks matters
            assert scores(model, cut)[-1].tobytes() == together[event].tobytes()


def test_scores_are_those_of_the_definition_after_the_last_clicks():
    model = model_of(V, hidden_size=4, heads=2, length=3)
    arrays = {name: value.double().numpy() for name, value in model.parameters.items()}
    session = [3, 1, UNSEEN, 4, 1, 5, UNSEEN, 2, 0]
    found = scores(model, sessions_of([session], V))
    for event, row in enumerate(found):
        history = [item for item in session[: event + 1] if item != UNSEEN][-3:]
        *_, state = plain_states(arrays, model.settings, history, iter([np.ones((3, 4))] * 5))
        np.testing.assert_allclose(row, arrays["items"] @ state, rtol=1e-4, atol=1e-4)


def test_batching_and_parts_of_the_tokens_change_no_bit(monkeypatch: pytest.MonkeyPatch):
    test = random_sessions(60, 40, seed=2, longest=30)
    model = model_of(60, length=10)
    expected = model.states(test)
    rng = np.random.default_rng(0)
    for size in (1, 50, 400):
        monkeypatch.setattr(sasrec, "_TOKENS_AT_ONCE", size)
        assert torch.equal(model.states(test), expected)
        events = np.split(np.arange(test.n_targets), np.cumsum(test.lengths - 1)[:-1])
        chosen = rng.permutation(test.n_sessions)[: rng.integers(1, 40)]
        assert torch.equal(model.states(test.select(chosen)), expected[np.concatenate([events[s] for s in chosen])])


def test_a_later_click_changes_no_bit_of_an_earlier_score():
    model = model_of(60, length=5)
    session = np.random.default_rng(0).integers(0, 60, 20).tolist()
    one, other = scores(model, sessions_of([session], 60)), scores(model, sessions_of([[*session[:12], 7, 8]], 60))
    assert one[:12].tobytes() == other[:12].tobytes()
    assert one[12].tobytes() != other[12].tobytes()


def test_after_unseen_clicks_alone_all_items_tie():
    model = model_of(60)
    assert scores(model, sessions_of([[UNSEEN, UNSEEN, 5, 6], [3, 4]], 60))[:2].any() == False  # noqa: E712


# --- training


@pytest.mark.parametrize("sparse", [False, True])
def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit(sparse: bool, tmp_path: Path):
    train, settings = random_sessions(30, 60, seed=1), SMALL.model_copy(update={"sparse_adam": sparse, "epochs": 4})
    uninterrupted = Trainer(training(train, settings, 5), settings, 5)
    uninterrupted.run()
    half = settings.model_copy(update={"epochs": 2})
    Trainer(training(train, half, 5), half, 5).run(checkpoints=tmp_path)
    continued = Trainer(training(train, settings, 5), settings, 5)
    continued.run(checkpoints=tmp_path)
    assert continued.curve == uninterrupted.curve
    one, other = continued.learner.state(), uninterrupted.learner.state()
    assert one.keys() == other.keys()
    assert all(one[name].numpy().tobytes() == other[name].numpy().tobytes() for name in one)


def test_weights_do_not_depend_on_the_number_of_threads():
    train = random_sessions(300, 300, seed=1)
    settings = Settings(epochs=1, n_sample=512)
    weights = []
    for threads in (1, 2):
        with torch_threads(threads):
            weights.append(trained(train, settings))
    assert weights[0] == weights[1]


def test_sparse_adam_leaves_items_that_no_step_touches():
    train = sessions_of([[0, 1, 2], [2, 1, 0]] * 20, 200)
    settings = SMALL.model_copy(update={"sparse_adam": True, "sample_alpha": 1.0})  # draws seen items alone
    learner = training(train, settings, 3)
    before = learner.parameters()[ITEMS].clone()
    Trainer(learner, settings, 3).run()
    moved = (learner.parameters()[ITEMS] != before).any(dim=1)
    assert moved.tolist() == [True] * 3 + [False] * 197


def test_every_event_of_an_epoch_is_learnt_from(monkeypatch: pytest.MonkeyPatch):
    train = random_sessions(30, 60, seed=1, longest=30)
    learnt: list[Int64Array] = []

    def seen(*given: Any) -> Tensor:
        learnt.append(np.stack([given[2].inputs, given[2].targets]))
        return event_losses(*given)

    monkeypatch.setattr(sasrec, "event_losses", seen)
    monkeypatch.setattr(gradient, "_STEPS_AT_ONCE", 2)
    learner = training(train, SMALL, 3)
    assert sum(step.events for step in learner.epoch(1)) == learner.n_events == train.n_targets
    rows = train.input_rows()
    expected = np.stack([train.items[rows], train.items[rows + 1]])
    assert sorted(np.concatenate(learnt, axis=1).T.tolist()) == sorted(expected.T.tolist())


def test_every_setting_changes_the_scores():
    assert set(FIELDS) == set(Settings.model_fields) - {"device"}
    train, test = with_supports(skewed(seed=1), [1] * 40), random_sessions(40, 30, seed=2)
    for field, (both, value) in FIELDS.items():
        found = []
        for more in ({}, {field: value}):
            model = Model(Settings.model_validate(SMALL.model_dump() | both | more))
            model.fit(train, FitContext(valid=random_sessions(40, 30, seed=4), seed=7))
            found.append(scores(model, test).tolist())
        assert found[0] != found[1], field


def skewed(seed: int) -> Sessions:
    rng = np.random.default_rng(seed)
    return sessions_of([(40 * rng.random(rng.integers(2, 10)) ** 2).astype(int).tolist() for _ in range(100)], 40)


def test_heads_that_do_not_divide_the_hidden_size_are_refused():
    with pytest.raises(ValueError, match="hidden_size 10 is not a multiple of 4"):
        Settings(hidden_size=10, heads=4)
