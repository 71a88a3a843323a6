"""SASRec against a slow float64 definition, and what must hold of its scores and its training bit for bit."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.models import sasrec
from gru4rec_cli.models.neural.causal import ITEMS
from gru4rec_cli.models.neural.trainer import Trainer
from gru4rec_cli.models.neural.transformer import TransformerSettings
from gru4rec_cli.models.sasrec import Settings
from tests.models import causal
from tests.models.causal import SEQUENCES, V, doubles, large, model_of, scores, small_batch, tokens_of
from tests.worlds import sessions_of

SMALL = Settings(hidden_size=8, heads=2, length=6, dropout=0.1, batch_size=16, learning_rate=0.01, n_sample=8, epochs=2)
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {
    "blocks": ({}, 1),
    "heads": ({}, 1),
    "block": ({}, "original"),
    "inner_size": ({}, 5),
    "activation": ({}, "gelu"),
    "positions": ({}, "none"),
    "scale_embedding": ({}, False),
    "dropout": ({}, 0.5),
}


BLOCKS: list[dict[str, Any]] = [
    {"block": "pre-norm"},
    {"block": "post-norm", "activation": "gelu"},
    {"block": "original", "positions": "none"},
    {"block": "ligr", "inner_size": 13, "hidden_size": 14},  # odd sizes
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["block"])
@pytest.mark.parametrize("check", causal.CAUSAL_CHECKS)
def test_causal(check: causal.Check, block: dict[str, Any]):
    check(sasrec, causal.changed(SMALL, **block))


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(sasrec, SMALL, FIELDS)


# --- the definition, in plain loops


def plain_norm(x: Float64Array, weight: Float64Array, bias: Float64Array) -> Float64Array:
    centred = x - sum(x) / len(x)
    out: Float64Array = centred / math.sqrt(sum(centred**2) / len(x) + 1e-5) * weight + bias
    return out


def sigmoid(x: Float64Array) -> Float64Array:
    return np.array([1 / (1 + math.exp(-number)) for number in x])


def gelu(x: Float64Array) -> Float64Array:
    return np.array([number * (1 + math.erf(number / math.sqrt(2))) / 2 for number in x])


def plain_states(
    p: dict[str, Float64Array], settings: TransformerSettings, clicks: list[int], drop: Iterator[Float64Array]
) -> list[Float64Array]:
    """The state after every click of one sequence; `drop` gives the factors of every dropout, (clicks, D) each."""
    size, heads = settings.hidden_size, settings.heads
    width = size // heads

    def linear(name: str, x: Float64Array) -> Float64Array:
        out: Float64Array = x @ p[f"{name}.weight"] + p[f"{name}.bias"]
        return out

    def norm(name: str, x: Float64Array) -> Float64Array:
        return plain_norm(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def attention(name: str, asking: list[Float64Array], asked: list[Float64Array]) -> list[Float64Array]:
        mask, out = next(drop), []
        for t in range(len(clicks)):
            joined = np.zeros(size)
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                query = linear(f"{name}.query", asking[t])[part]
                keys = [linear(f"{name}.key_value", asked[s])[:size][part] for s in range(t + 1)]
                values = [linear(f"{name}.key_value", asked[s])[size:][part] for s in range(t + 1)]
                weights = [math.exp(query @ key / math.sqrt(width)) for key in keys]
                joined[part] = sum(w / sum(weights) * value for w, value in zip(weights, values, strict=True))
            out.append(linear(f"{name}.projection", joined) * mask[t])
        return out

    def feed_forward(name: str, xs: list[Float64Array]) -> list[Float64Array]:
        mask, out = next(drop), []
        for t, x in enumerate(xs):
            inner = linear(f"{name}.inner", x)
            if settings.block == "ligr":
                gate, value = inner[: len(inner) // 2], inner[len(inner) // 2 :]
                inner = gate * sigmoid(gate) * value
            else:
                inner = np.maximum(inner, 0) if settings.activation == "relu" else gelu(inner)
            out.append(linear(f"{name}.outer", inner) * mask[t])
        return out

    def norms(name: str, xs: list[Float64Array]) -> list[Float64Array]:
        return [norm(name, x) for x in xs]

    def added(xs: list[Float64Array], ys: list[Float64Array]) -> list[Float64Array]:
        return [x + y for x, y in zip(xs, ys, strict=True)]

    def gated(name: str, xs: list[Float64Array], ys: list[Float64Array]) -> list[Float64Array]:
        return [sigmoid(linear(name, x)) * y for x, y in zip(xs, ys, strict=True)]

    stream = [p["items"][item] * (math.sqrt(size) if settings.scale_embedding else 1) for item in clicks]
    if settings.positions == "learned":
        stream = [x + p["positions"][t] for t, x in enumerate(stream)]
    if settings.block == "post-norm":
        stream = norms("norm", stream)
    mask = next(drop)
    stream = [x * mask[t] for t, x in enumerate(stream)]
    for block in range(settings.blocks):
        name = f"blocks.{block}"
        norm1, norm2 = f"{name}.norm1", f"{name}.norm2"
        if settings.block == "pre-norm":
            stream = added(stream, attention(name, norms(norm1, stream), norms(norm1, stream)))
            stream = added(stream, feed_forward(name, norms(norm2, stream)))
        elif settings.block == "post-norm":
            stream = norms(norm1, added(stream, attention(name, stream, stream)))
            stream = norms(norm2, added(stream, feed_forward(name, stream)))
        elif settings.block == "original":
            queries = norms(norm1, stream)
            stream = norms(norm2, added(queries, attention(name, queries, stream)))
            stream = added(stream, feed_forward(name, stream))
        else:
            read = norms(norm1, stream)
            stream = added(stream, gated(f"{name}.attention_gate", stream, attention(name, read, read)))
            into = feed_forward(name, norms(norm2, stream))
            stream = added(stream, gated(f"{name}.feed_forward_gate", stream, into))
    return stream if settings.block == "post-norm" else norms("norm", stream)


# --- the network


@pytest.mark.parametrize(
    ("dropout", "changes"),
    [
        (0.0, {"heads": 1, "blocks": 2}),
        (0.4, {"blocks": 2}),
        (0.4, {"activation": "gelu", "positions": "none"}),
        (0.4, {"block": "post-norm", "blocks": 2, "inner_size": 3}),
        (0.4, {"block": "original", "blocks": 2}),
        (0.4, {"block": "ligr", "blocks": 2, "inner_size": 3, "scale_embedding": False}),
    ],
)
def test_states_and_gradient_are_those_of_the_definition(dropout: float, changes: dict[str, Any]):
    settings = Settings.model_validate({"hidden_size": 4, "blocks": 1, "heads": 2, "length": 5} | changes)
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
