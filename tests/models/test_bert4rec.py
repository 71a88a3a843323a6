"""BERT4Rec against its equations written out in float64, its examples, and what must hold of scores and training."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.models import bert4rec
from gru4rec_cli.models.bert4rec import MASKED, Examples, Settings, mask_counts, masked_places
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens
from gru4rec_cli.models.neural.objective import Objective
from gru4rec_cli.models.neural.sampling import no_dropout
from tests.models import causal
from tests.models.causal import V, doubles, large, model_of, scores
from tests.worlds import random_sessions, sessions_of

M = MASKED
SEQUENCES = [[3, M, 4, M, 5], [2, M], [M, 3, 5, M, M, 0, 5], [M]]
SMALL = Settings(
    hidden_size=8, inner_size=12, length=6, batch_size=16, learning_rate=0.01, epochs=2, dropout=0.1,
    loss="sampled-softmax", n_sample=8,
)  # fmt: skip
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {
    "blocks": ({}, 1),
    "heads": ({}, 1),
    "block": ({}, "pre-norm"),
    "inner_size": ({}, 5),
    "activation": ({}, "relu"),
    "positions": ({}, "none"),
    "scale_embedding": ({}, True),
    "dropout": ({}, 0.5),
    "mask_ratio": ({}, 0.6),
    "dupe_factor": ({}, 2),
    "last_item": ({}, "none"),
    "largest_norm": ({}, 1e-6),
}


def small(**changes: Any) -> Settings:
    return Settings.model_validate(SMALL.model_dump() | changes)


@pytest.mark.parametrize("block", ["post-norm", "pre-norm"])
@pytest.mark.parametrize("check", causal.GENERAL_CHECKS)
def test_general(check: causal.Check, block: str):
    check(bert4rec, small(block=block))


def test_scores_have_the_same_bits_beside_others_at_the_published_size():
    causal.check_every_event_scored_alone_has_the_same_bits(bert4rec, Settings())


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(bert4rec, SMALL, FIELDS)


# --- the definition, in plain loops


def plain_states(
    p: dict[str, Float64Array], settings: Settings, sequence: list[int], drop: Iterator[Float64Array]
) -> list[Float64Array]:
    """The state of every mask of a sequence; `drop` gives the factors of every dropout, (clicks, D) each."""
    size, heads = settings.hidden_size, settings.heads
    places, width = range(len(sequence)), size // heads

    def linear(name: str, x: Float64Array) -> Float64Array:
        out: Float64Array = x @ p[f"{name}.weight"] + p[f"{name}.bias"]
        return out

    def norm(name: str, x: Float64Array) -> Float64Array:
        centred = x - sum(x) / len(x)
        out: Float64Array = centred / math.sqrt(sum(centred**2) / len(x) + 1e-5)
        return out * p[f"{name}.weight"] + p[f"{name}.bias"]

    def gelu(x: Float64Array) -> Float64Array:
        return np.array([number * (1 + math.erf(number / math.sqrt(2))) / 2 for number in x])

    vectors = [p["mask"] if item == M else p["items"][item] for item in sequence]
    factors = next(drop)
    h = [norm("norm", vectors[t] + p["positions"][t]) * factors[t] for t in places]
    for block in range(settings.blocks):
        name = f"blocks.{block}"
        keys_values, factors, after = [linear(f"{name}.key_value", x) for x in h], next(drop), []
        for t in places:
            joined = np.zeros(size)
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                query = linear(f"{name}.query", h[t])[part]
                weights = [math.exp(query @ kv[:size][part] / math.sqrt(width)) for kv in keys_values]
                joined[part] = sum(w * kv[size:][part] for w, kv in zip(weights, keys_values, strict=True))
                joined[part] /= sum(weights)
            after.append(norm(f"{name}.norm1", h[t] + linear(f"{name}.projection", joined) * factors[t]))
        h, factors = after, next(drop)
        inner = [gelu(linear(f"{name}.inner", x)) for x in h]
        h = [norm(f"{name}.norm2", h[t] + linear(f"{name}.outer", inner[t]) * factors[t]) for t in places]
    return [norm("head.norm", gelu(linear("head", h[t]))) for t in places if sequence[t] == M]


def tokens_of(sequences: list[list[int]], *, exact: bool = False) -> Tokens:
    lengths = np.array([len(sequence) for sequence in sequences])
    items = torch.tensor([item for sequence in sequences for item in sequence])
    return Tokens(items, ranges(np.zeros_like(lengths), lengths), lengths, exact)


def arrays_of(parameters: Parameters) -> dict[str, Float64Array]:
    return {name: value.detach().double().numpy().copy() for name, value in parameters.items()}


@pytest.mark.parametrize(
    ("dropout", "changes"),
    [
        (0.0, {"heads": 1, "blocks": 1}),
        (0.4, {"heads": 2, "inner_size": 3}),
        (0.4, {"hidden_size": 6, "heads": 3, "blocks": 1}),
    ],
)
def test_states_and_gradient_are_those_of_the_definition(dropout: float, changes: dict[str, Any]):
    settings = Settings.model_validate({"hidden_size": 4, "inner_size": 6, "length": 8} | changes)
    parameters, tokens, size = doubles(large(bert4rec, V, settings)), tokens_of(SEQUENCES), settings.hidden_size
    rng, n = np.random.default_rng(1), len(tokens.items)
    drawn = [(rng.random((n, size)) >= dropout) / (1 - dropout) for _ in range(1 + 2 * settings.blocks)]
    wanted = rng.normal(size=(7, size))  # the gradient is that of the sum of states · wanted
    bounds = np.cumsum([0, *tokens.lengths]).tolist()

    def plain(arrays: dict[str, Float64Array]) -> Float64Array:
        found: list[Float64Array] = []
        for (start, stop), sequence in zip(pairwise(bounds), SEQUENCES, strict=True):
            found += plain_states(arrays, settings, sequence, iter([factors[start:stop] for factors in drawn]))
        return np.array(found)

    factors = iter(drawn)
    states = bert4rec.states(parameters, settings, tokens, lambda x, _: x * torch.from_numpy(next(factors)))
    assert next(factors, None) is None
    np.testing.assert_allclose(states.detach().numpy(), plain(arrays_of(parameters)), rtol=1e-11, atol=1e-13)
    (states * torch.from_numpy(wanted)).sum().backward()
    parameters.pop(bert4rec.BIAS)  # no part of the states
    causal.assert_gradient_is_the_slope(parameters, lambda arrays: float((plain(arrays) * wanted).sum()), rtol=1e-4)


def test_scores_are_those_of_the_definition_at_a_mask_after_the_last_clicks():
    model = model_of(bert4rec, V, Settings(hidden_size=4, inner_size=6, length=3))
    arrays = arrays_of(model.parameters)
    session = [3, 1, UNSEEN, 4, 1, 5, UNSEEN, 2, 0]
    for event, row in enumerate(scores(model, sessions_of([session], V))):
        history = [item for item in session[: event + 1] if item != UNSEEN][-3:]
        (state,) = plain_states(arrays, model.settings, [*history, M], iter([np.ones((4, 4))] * 5))
        np.testing.assert_allclose(row, arrays["items"] @ state + arrays["bias"], rtol=1e-4, atol=1e-4)


def test_scoring_computes_what_training_does_and_sequences_beside_a_sequence_change_nothing():
    parameters = doubles(large(bert4rec, V, SMALL))
    expected = bert4rec.states(parameters, SMALL, tokens_of(SEQUENCES), no_dropout)
    exact = bert4rec.states(parameters, SMALL, tokens_of(SEQUENCES, exact=True), no_dropout)
    alone = [bert4rec.states(parameters, SMALL, tokens_of([sequence]), no_dropout) for sequence in SEQUENCES]
    for found in (exact, torch.cat(alone)):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


# --- examples


def test_a_fifth_of_the_clicks_is_masked_but_at_least_one_and_never_all():
    lengths = np.arange(2, 21)
    assert mask_counts(lengths, 0.2).tolist() == [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4]
    assert mask_counts(lengths, 0.99).tolist() == [length - 1 for length in lengths]


def test_masks_stand_anywhere_or_at_the_end():
    lengths = np.array([5, 3, 2, 4])
    examples = Examples(np.zeros_like(lengths), lengths, np.array([2, 1, 1, 1]), np.array([False, False, False, True]))
    rng = np.random.default_rng(0)
    drawn = np.array([masked_places(examples, rng) for _ in range(4000)])
    expected = [2 / 5] * 5 + [1 / 3] * 3 + [1 / 2] * 2 + [0, 0, 0, 1]
    np.testing.assert_allclose(drawn.mean(axis=0), expected, atol=0.03)  # 4 standard errors
    counts = np.add.reduceat(drawn, np.cumsum(lengths) - lengths, axis=1)
    assert np.unique(counts, axis=0).tolist() == [[2, 1, 1, 1]]


def observed_epoch(
    train: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[list[int], list[int]]]:
    """The sequence of every example that one epoch learns from, and what stands at its masks, in order."""
    seen: list[tuple[list[int], list[int]]] = []

    def states(parameters: Parameters, given: Settings, tokens: Tokens, drop: object) -> Tensor:
        items = tokens.items.tolist()
        stops = np.cumsum(tokens.lengths)
        seen.extend((items[stop - n : stop], []) for n, stop in zip(tokens.lengths, stops, strict=True))
        return parameters[ITEMS][: int((tokens.items == M).sum())]

    def loss(objective: object, states: Tensor, targets: Tensor, *rest: Any, bias: Tensor) -> Tensor:
        waiting = iter(targets.tolist())
        for sequence, found in seen:
            if not found:
                found += [next(waiting) for item in sequence if item == M]
        assert next(waiting, None) is None
        return (states.sum() + bias.sum()).expand(len(targets)) * 0

    with monkeypatch.context() as patched:
        patched.setattr(bert4rec, "states", states)
        patched.setattr(Objective, "__call__", loss)
        learner = bert4rec.Model(settings).learner(train, 3)
        assert sum(step.events for step in learner.epoch(1)) == learner.n_events
    assert sum(len(found) for _, found in seen) == learner.n_events
    return seen


def filled(sequence: list[int], targets: list[int]) -> list[int]:
    waiting = iter(targets)
    return [next(waiting) if item == M else item for item in sequence]


def plain_windows(train: Sessions, longest: int) -> list[list[int]]:
    """Windows of `longest` events: each begins with the click that the one before it ends with."""
    found = []
    for start, stop in pairwise(train.offsets.tolist()):
        clicks = train.items[start:stop].tolist()
        found += [clicks[first : first + longest + 1] for first in range(0, len(clicks) - 1, longest)]
    return found


@pytest.mark.parametrize("order", ["shuffled", "time"])
def test_an_epoch_masks_every_session_at_random_and_once_at_its_end(order: str, monkeypatch: pytest.MonkeyPatch):
    train = random_sessions(200, 60, seed=1, longest=30)
    windows = plain_windows(train, 6)
    seen = observed_epoch(train, small(dupe_factor=3, last_item="session", batch_size=100, order=order), monkeypatch)
    assert sorted(filled(*example) for example in seen) == sorted(windows * 4)
    sequences = [sequence for sequence, _ in seen]
    for window in windows:
        assert [*window[:-1], M] in sequences


def test_without_last_items_every_mask_is_random(monkeypatch: pytest.MonkeyPatch):
    train = sessions_of([[0, 1, 2]] * 3000, 3)
    seen = observed_epoch(train, small(last_item="none"), monkeypatch)
    places = [sequence.index(M) for sequence, _ in seen]
    np.testing.assert_allclose(np.bincount(places) / 3000, [1 / 3] * 3, atol=0.035)  # 4 standard errors


def test_the_last_masked_click_may_be_that_of_any_prefix(monkeypatch: pytest.MonkeyPatch):
    train = sessions_of([list(range(5))] * 2000, 5)
    seen = observed_epoch(train, small(dupe_factor=0), monkeypatch)
    lengths = [len(sequence) for sequence, _ in seen]
    assert all(sequence == [*range(len(sequence) - 1), M] for sequence, _ in seen)
    np.testing.assert_allclose(np.bincount(lengths, minlength=6) / 2000, [0, 0, 0.25, 0.25, 0.25, 0.25], atol=0.04)


def test_sessions_of_one_click_and_no_example_at_all():
    assert bert4rec.Model(SMALL).learner(sessions_of([[1], [2], [3, 4]], 5), 3).n_events == 2
    with pytest.raises(ValueError, match=r"dupe_factor: 0 leaves no example; set last_item: prefix"):
        Settings(dupe_factor=0, last_item="none")


# --- losses


def loss_of(settings: Settings, parameters: Parameters, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The loss of every mask of the sequences, with every item once as a negative."""
    objective = Objective(np.ones(V, dtype=np.int64), settings, torch.device("cpu"))
    objective.log_q = objective.log_q.double()
    monkeypatch.setattr(objective.sampler, "draw", lambda *_: np.arange(V))
    states = bert4rec.states(parameters, settings, tokens_of(SEQUENCES), no_dropout)
    targets = torch.tensor([1, 1, 6, 2, 0, 0, 4])
    return objective(states, targets, parameters[ITEMS], np.random.default_rng(0), bias=parameters[bert4rec.BIAS])


def test_the_loss_against_all_items_is_the_cross_entropy_and_has_its_gradient(monkeypatch: pytest.MonkeyPatch):
    losses, gradients = [], []
    for more in ({"loss": "cross-entropy"}, {}, {"sparse_adam": True}):
        settings = small(**more)
        parameters = doubles(large(bert4rec, V, settings))
        losses.append(loss_of(settings, parameters, monkeypatch))
        losses[-1].sum().backward()
        found = [value.grad for value in parameters.values()]
        gradients.append([value.to_dense() for value in found if value is not None])
        assert len(gradients[-1]) == len(parameters)
    for of_loss, of_gradient in zip(losses[1:], gradients[1:], strict=True):
        torch.testing.assert_close(of_loss, losses[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(of_gradient, gradients[0], rtol=1e-9, atol=1e-11)


def test_an_epoch_on_two_sessions_is_adams_step_on_the_cross_entropy_of_the_definition():
    """Clicks 0 1 and 3 2, of which the last are masked."""
    settings = Settings(hidden_size=4, heads=1, inner_size=6, dupe_factor=0, dropout=0.0, epochs=1, largest_norm=1e9)
    learner = bert4rec.Model(settings).learner(sessions_of([[0, 1], [3, 2]], 5), 3)
    expected = {
        name: value.double().requires_grad_() for name, value in bert4rec.initial_parameters(5, settings, 3).items()
    }
    (step,) = learner.epoch(1)
    states = bert4rec.states(expected, settings, tokens_of([[0, M], [3, M]]), no_dropout)
    loss = cross_entropy(states @ expected[ITEMS].T + expected[bert4rec.BIAS], torch.tensor([1, 2]))
    assert step.losses == [pytest.approx(2 * loss.item(), rel=1e-5)]
    loss.backward()
    torch.optim.Adam(expected.values(), 0.001).step()
    for name, value in learner.parameters().items():
        moved = expected[name].detach()
        gradient = expected[name].grad
        assert gradient is not None
        used = gradient.abs() > 1e-6  # elsewhere Adam's step has the sign of a rounding error
        torch.testing.assert_close(value.double()[used], moved[used], rtol=1e-3, atol=1e-6, msg=name)
