"""SASRec against a slow float64 definition, and what must hold of its scores and its training bit for bit."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.models import sasrec
from gru4rec_cli.models.neural.causal import ITEMS
from gru4rec_cli.models.neural.trainer import Trainer
from gru4rec_cli.models.sasrec import Settings, attend_in_batch, attend_reproducibly
from tests.models import causal
from tests.models.causal import SEQUENCES, V, doubles, large, model_of, scores, small_batch, tokens_of
from tests.worlds import sessions_of

SMALL = Settings(hidden_size=8, heads=2, length=6, dropout=0.1, batch_size=16, learning_rate=0.01, n_sample=8, epochs=2)
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {"blocks": ({}, 1), "heads": ({}, 1), "dropout": ({}, 0.5)}


@pytest.mark.parametrize("check", causal.CAUSAL_CHECKS)
def test_causal(check: causal.Check):
    check(sasrec, SMALL)


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(sasrec, SMALL, FIELDS)


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


# --- the network


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_states_and_gradient_are_those_of_the_definition(heads: int, dropout: float):
    settings = Settings(hidden_size=4, blocks=2, heads=heads, length=5)
    parameters, batch = doubles(large(sasrec, V, settings)), small_batch()
    rng, n = np.random.default_rng(1), len(batch.inputs)
    drawn = [(rng.random((n, 4)) >= dropout) / (1 - dropout) for _ in range(1 + 2 * settings.blocks)]
    wanted = rng.normal(size=(n, 4))  # the gradient is that of the sum of states · wanted
    bounds = np.cumsum([0, *batch.lengths]).tolist()
    of_sequence = [[mask[start:stop] for mask in drawn] for start, stop in pairwise(bounds)]

    def plain(arrays: dict[str, Float64Array]) -> Float64Array:
        states = [
            plain_states(arrays, settings, clicks[:-1], iter(drop))
            for clicks, drop in zip(SEQUENCES, of_sequence, strict=True)
        ]
        return np.array([state for of_clicks in states for state in of_clicks])

    masks = iter(drawn)
    states = sasrec.states(parameters, settings, tokens_of(batch), lambda x, _: x * torch.from_numpy(next(masks)))
    assert next(masks, None) is None
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    np.testing.assert_allclose(states.detach().numpy(), plain(arrays), rtol=1e-12, atol=1e-14)
    (states * torch.from_numpy(wanted)).sum().backward()
    causal.assert_gradient_is_the_slope(parameters, lambda arrays: float((plain(arrays) * wanted).sum()))


@pytest.mark.parametrize("heads", [1, 4])
def test_the_attention_of_scoring_is_that_of_training(heads: int):
    lengths = np.array([3, 20, 1, 7])
    positions = np.concatenate([np.arange(length) for length in lengths])
    q, k, v = torch.randn(3, len(positions), heads, 16 // heads, generator=torch.Generator().manual_seed(0))
    device = torch.device("cpu")
    one, other = attend_in_batch(lengths, device)(q, k, v), attend_reproducibly(positions, 25, device)(q, k, v)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_scores_are_those_of_the_definition_after_the_last_clicks():
    model = model_of(sasrec, V, Settings(hidden_size=4, heads=2, length=3))
    arrays = {name: value.double().numpy() for name, value in model.parameters.items()}
    session = [3, 1, UNSEEN, 4, 1, 5, UNSEEN, 2, 0]
    found = scores(model, sessions_of([session], V))
    for event, row in enumerate(found):
        history = [item for item in session[: event + 1] if item != UNSEEN][-3:]
        *_, state = plain_states(arrays, model.settings, history, iter([np.ones((3, 4))] * 5))
        np.testing.assert_allclose(row, arrays["items"] @ state, rtol=1e-4, atol=1e-4)


def test_sparse_adam_leaves_items_that_no_step_touches():
    train = sessions_of([[0, 1, 2], [2, 1, 0]] * 20, 200)
    settings = SMALL.model_copy(update={"sparse_adam": True, "sample_alpha": 1.0})  # draws seen items alone
    learner = sasrec.Model(settings).learner(train, 3)
    before = learner.parameters()[ITEMS].clone()
    Trainer(learner, settings, 3).run()
    moved = (learner.parameters()[ITEMS] != before).any(dim=1)
    assert moved.tolist() == [True] * 3 + [False] * 197


def test_heads_that_do_not_divide_the_hidden_size_are_refused():
    with pytest.raises(ValueError, match="hidden_size 10 is not a multiple of 4"):
        Settings(hidden_size=10, heads=4)
