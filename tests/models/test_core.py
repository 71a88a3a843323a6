"""CORE against a slow float64 definition in plain loops, and what must hold of every causal model."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.models import core
from gru4rec_cli.models.core import Settings
from gru4rec_cli.models.neural.causal import ITEMS
from gru4rec_cli.models.neural.sampling import no_dropout
from tests.models import causal
from tests.models.causal import SEQUENCES, V, changed, doubles, large, model_of, scores, small_batch, tokens_of
from tests.models.test_sasrec import plain_states
from tests.worlds import sessions_of

SMALL = Settings(
    hidden_size=8, inner_size=12, length=6, batch_size=16, learning_rate=0.01, loss="sampled-softmax", n_sample=8,
    dropout=0.1, epochs=2,
)  # fmt: skip
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {
    "encoder": ({}, "ave"),
    "temperature": ({}, 0.5),
    "dropout_p_session": ({}, 0.0),
    "dropout_p_item": ({}, 0.0),
    "blocks": ({}, 1),
    "heads": ({}, 1),
    "block": ({}, "pre-norm"),
    "inner_size": ({}, 5),
    "activation": ({}, "relu"),
    "positions": ({}, "none"),
    "scale_embedding": ({}, True),
    "dropout": ({}, 0.5),
}


@pytest.mark.parametrize("encoder", ["trm", "ave"])
@pytest.mark.parametrize("check", causal.CAUSAL_CHECKS)
def test_causal(check: causal.Check, encoder: str):
    check(core, changed(SMALL, encoder=encoder))


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(core, SMALL, FIELDS)


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_published_sizes_round_alike_whatever_is_beside_a_sequence(encoder: str):
    settings = changed(Settings(), encoder=encoder)
    causal.check_batching_changes_no_bit(core, settings)
    causal.check_every_event_scored_alone_has_the_same_bits(core, settings)


# --- the definition, in plain loops


def unit(x: Float64Array) -> Float64Array:
    out: Float64Array = x / math.sqrt(sum(number * number for number in x))
    return out


def plain_state(
    p: dict[str, Float64Array],
    settings: Settings,
    clicks: list[int],
    of_session: Float64Array,
    drop: Iterator[Float64Array],
) -> Float64Array:
    """The state after the last click; factors of dropout, (clicks, D) each: of items, and in the transformer."""
    x = [p["items"][item] * mask for item, mask in zip(clicks, of_session, strict=True)]
    weights = [1 / len(x)] * len(x)
    if settings.encoder == "trm":
        network = p | {"items": np.array(x)}
        logits = [h @ p["logit"] for h in plain_states(network, settings, list(range(len(x))), drop)]
        weights = [math.exp(logit) / sum(math.exp(other) for other in logits) for logit in logits]
        assert sum(weights) == pytest.approx(1)
    return unit(sum(w * each for w, each in zip(weights, x, strict=True))) / settings.temperature


# --- the network


@pytest.mark.parametrize(
    ("dropout", "changes"),
    [
        (0.0, {"encoder": "ave"}),
        (0.3, {"encoder": "ave"}),
        (0.0, {"heads": 1}),
        (0.3, {}),
        (0.3, {"block": "pre-norm", "activation": "relu", "positions": "none", "scale_embedding": True}),
    ],
)
@pytest.mark.parametrize("exact", [False, True])
def test_states_and_gradient_are_those_of_the_definition(dropout: float, changes: dict[str, Any], exact: bool):
    settings = Settings.model_validate({"hidden_size": 4, "inner_size": 3, "length": 5, "temperature": 0.4} | changes)
    parameters, batch = doubles(large(core, V, settings)), small_batch()
    rng, n = np.random.default_rng(1), len(batch.inputs)
    n_masks = 1 if settings.encoder == "ave" else 2 + 2 * settings.blocks
    drawn = [(rng.random((n, 4)) >= dropout) / (1 - dropout) for _ in range(n_masks)]
    wanted = rng.normal(size=(n, 4))  # the gradient is that of the sum of states · wanted
    bounds = np.cumsum([0, *batch.lengths]).tolist()

    def plain(arrays: dict[str, Float64Array]) -> Float64Array:
        found = []
        for sequence, (start, end) in zip(SEQUENCES, pairwise(bounds), strict=True):
            for stop in range(start + 1, end + 1):
                of_session, *others = (mask[start:stop] for mask in drawn)
                found.append(plain_state(arrays, settings, sequence[: stop - start], of_session, iter(others)))
        return np.array(found)

    masks, rates = iter(drawn), []

    def drop(x: torch.Tensor, rate: float) -> torch.Tensor:
        rates.append(rate)
        return x * torch.from_numpy(next(masks))

    states = core.states(parameters, settings, tokens_of(batch, exact=exact), drop)
    assert rates == [settings.dropout_p_session, *[settings.dropout] * (n_masks - 1)]
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    np.testing.assert_allclose(states.detach().numpy(), plain(arrays), rtol=1e-10, atol=1e-12)
    (states * torch.from_numpy(wanted)).sum().backward()
    causal.assert_gradient_is_the_slope(parameters, lambda arrays: float((plain(arrays) * wanted).sum()))


@pytest.mark.parametrize("encoder", ["trm", "ave"])
def test_scores_are_cosines_over_the_temperature_after_the_last_clicks(encoder: str):
    settings = Settings.model_validate({"hidden_size": 4, "length": 3, "temperature": 0.2, "encoder": encoder})
    model = model_of(core, V, settings)
    arrays = {name: value.double().numpy() for name, value in model.parameters.items()}
    session = [3, 1, UNSEEN, 4, 1, 5, UNSEEN, 2, 0]
    found = scores(model, sessions_of([session], V))
    for event, row in enumerate(found):
        history = [item for item in session[: event + 1] if item != UNSEEN][-3:]
        state = plain_state(arrays, settings, history, np.ones((len(history), 4)), iter([np.ones((3, 4))] * 5))
        np.testing.assert_allclose(row, [state @ unit(item) for item in arrays["items"]], rtol=1e-4, atol=1e-4)


def test_large_logits_overflow_nowhere():
    """Only differences of logits count, however large they are, and only the largest one where they differ much."""
    settings = Settings(hidden_size=4, temperature=1.0)
    parameters = large(core, V, settings)
    parameters[core.LOGIT] *= 1e4
    found = core.states(parameters, settings, tokens_of(small_batch()), no_dropout)
    assert found.isfinite().all()
    units = torch.nn.functional.normalize(parameters[ITEMS], dim=1)
    nearest = (found @ units.T).max(dim=1).values
    torch.testing.assert_close(nearest, torch.ones(len(found)))


def test_item_vectors_have_length_1_after_dropout():
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    kept = core.item_vectors(rows, lambda x, rate: x * torch.tensor([1.0, 0.0]) if rate == 0.2 else x, 0.2)
    torch.testing.assert_close(kept, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(core.item_vectors(rows, no_dropout), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
