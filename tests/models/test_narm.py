"""NARM against a slow float64 definition in plain loops, and what must hold of every causal model."""

import math

import numpy as np
import pytest
import torch

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.models import narm
from gru4rec_cli.models.narm import Settings
from gru4rec_cli.models.neural.causal import sigmoid
from tests.models import causal
from tests.models.causal import SEQUENCES, V, doubles, large, model_of, scores, small_batch, tokens_of
from tests.worlds import sessions_of

SMALL = Settings(
    hidden_size=12,
    gru_size=8,
    length=6,
    batch_size=16,
    learning_rate=0.01,
    loss="sampled-softmax",
    n_sample=8,
    epochs=2,
)
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {"gru_size": ({}, 5), "dropout_p_embed": ({}, 0.0), "dropout_p_hidden": ({}, 0.0)}


@pytest.mark.parametrize("check", causal.CAUSAL_CHECKS)
def test_causal(check: causal.Check):
    check(narm, SMALL)


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(narm, SMALL, FIELDS)


# --- the definition, in plain loops


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def plain_state(
    p: dict[str, Float64Array], clicks: list[int], embed_mask: Float64Array, hidden_mask: Float64Array
) -> Float64Array:
    """The state after the last click; masks are the factors of dropout: (clicks, D), and (2H,) of the last click."""
    size = len(p["gru.recurrent"])
    reset, update, new = ([part * size + unit for unit in range(size)] for part in range(3))
    hidden = [np.zeros(size)]
    for item, mask in zip(clicks, embed_mask, strict=True):
        x, before, after = p["items"][item] * mask, hidden[-1], np.zeros(size)
        for unit in range(size):
            of_input = [x @ p["gru.input"][:, gate[unit]] for gate in (reset, update, new)]
            of_state = [before @ p["gru.recurrent"][:, gate[unit]] for gate in (reset, update, new)]
            r, z = logistic(of_input[0] + of_state[0]), logistic(of_input[1] + of_state[1])
            after[unit] = (1 - z) * before[unit] + z * math.tanh(of_input[2] + r * of_state[2])
        hidden.append(after)
    last, local = hidden[-1], np.zeros(size)
    for h in hidden[1:]:
        both = last @ p["attention.query"] + h @ p["attention.key"]
        local += sum(v * logistic(value) for v, value in zip(p["attention.weight"], both, strict=True)) * h
    state: Float64Array = (np.concatenate([last, local]) * hidden_mask) @ p["decoder"]
    return state


# --- the network


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_states_and_gradient_are_those_of_the_definition(dropout: float, exact: bool):
    settings = Settings(hidden_size=3, gru_size=4)
    parameters, batch = doubles(large(narm, V, settings)), small_batch()
    rng, n = np.random.default_rng(1), len(batch.inputs)
    embed, hidden = ((rng.random((n, size)) >= dropout) / (1 - dropout) for size in (3, 8))
    wanted = rng.normal(size=(n, 3))  # the gradient is that of the sum of states · wanted

    def plain(arrays: dict[str, Float64Array]) -> Float64Array:
        found, start = [], 0
        for sequence in SEQUENCES:
            clicks = sequence[:-1]
            for stop in range(1, len(clicks) + 1):
                masks = embed[start : start + stop], hidden[start + stop - 1]
                found.append(plain_state(arrays, clicks[:stop], *masks))
            start += len(clicks)
        return np.array(found)

    masks = {0.25: embed, 0.5: hidden}  # by the settings' rates
    states = narm.states(
        parameters, settings, tokens_of(batch, exact=exact), lambda x, rate: x * torch.from_numpy(masks.pop(rate))
    )
    assert not masks
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    np.testing.assert_allclose(states.detach().numpy(), plain(arrays), rtol=1e-12, atol=1e-14)
    (states * torch.from_numpy(wanted)).sum().backward()
    causal.assert_gradient_is_the_slope(parameters, lambda arrays: float((plain(arrays) * wanted).sum()))


def test_scores_are_those_of_the_definition_after_the_last_clicks():
    model = model_of(narm, V, Settings(hidden_size=4, gru_size=5, length=3))
    arrays = {name: value.double().numpy() for name, value in model.parameters.items()}
    session = [3, 1, UNSEEN, 4, 1, 5, UNSEEN, 2, 0]
    found = scores(model, sessions_of([session], V))
    for event, row in enumerate(found):
        history = [item for item in session[: event + 1] if item != UNSEEN][-3:]
        state = plain_state(arrays, history, np.ones((len(history), 4)), np.ones(10))
        np.testing.assert_allclose(row, arrays["items"] @ state, rtol=1e-4, atol=1e-4)


def test_published_sizes_round_alike_whatever_is_beside_a_sequence():
    """The sizes decide how products and functions are cut into vectors; those of the other tests are small."""
    causal.check_batching_changes_no_bit(narm, Settings())
    causal.check_every_event_scored_alone_has_the_same_bits(narm, Settings())


def test_the_logistic_function_has_the_same_bits_wherever_a_value_stands():
    x = torch.randn(300, 37, generator=torch.Generator().manual_seed(0)) * 5
    torch.testing.assert_close(sigmoid(x), torch.sigmoid(x), rtol=1e-5, atol=1e-7)
    whole = sigmoid(x)
    assert all(torch.equal(sigmoid(x[first:stop]), whole[first:stop]) for first in (0, 7) for stop in range(8, 300))
