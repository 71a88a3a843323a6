"""STAMP against a slow float64 definition in plain loops, and what must hold of every causal model."""

import math

import numpy as np
import pytest
import torch

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.models import stamp
from gru4rec_cli.models.neural.gradient import shorten_gradients
from gru4rec_cli.models.neural.sampling import no_dropout
from gru4rec_cli.models.stamp import Settings
from tests.models import causal
from tests.models.causal import SEQUENCES, V, doubles, large, small_batch, tokens_of

SMALL = Settings(
    hidden_size=8, length=6, batch_size=16, learning_rate=0.01, loss="sampled-softmax", n_sample=8, epochs=2
)
# Another value of every setting, and what else to set for both.
FIELDS: causal.Fields = {
    "add_mean": ({}, False),
    "largest_item_norm": ({}, 1e-3),
    "largest_norm": ({}, 1e-6),
}


@pytest.mark.parametrize("check", causal.CAUSAL_CHECKS)
def test_causal(check: causal.Check):
    check(stamp, SMALL)


def test_every_setting_changes_the_scores():
    causal.assert_every_setting_changes_the_scores(stamp, SMALL, FIELDS)


def shortened(x: Float64Array, largest: float) -> Float64Array:
    norm = math.sqrt(sum(number * number for number in x))
    return x * largest / norm if norm > largest else x


def plain_state(p: dict[str, Float64Array], settings: Settings, clicks: list[int]) -> Float64Array:
    """The state after the last click."""
    x = [shortened(p["items"][item], settings.largest_item_norm) for item in clicks]
    mean = sum(x) / len(x)
    attended = np.zeros(len(x[0]))
    for each in x:
        inner = each @ p["attention.each"] + x[-1] @ p["attention.last"] + mean @ p["attention.mean"]
        inner += p["attention.bias"]
        attended += (
            sum(w / (1 + math.exp(-value)) for w, value in zip(p["attention.weight"], inner, strict=True)) * each
        )
    attended = attended + mean if settings.add_mean else attended
    of_session = np.tanh(attended @ p["session.weight"] + p["session.bias"])
    state: Float64Array = of_session * np.tanh(x[-1] @ p["click.weight"] + p["click.bias"])
    return state


@pytest.mark.parametrize("add_mean", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_states_and_gradient_are_those_of_the_definition(exact: bool, add_mean: bool):
    settings = Settings(hidden_size=4, add_mean=add_mean, largest_item_norm=0.5)
    parameters, batch = doubles(large(stamp, V, settings)), small_batch()
    wanted = np.random.default_rng(1).normal(size=(len(batch.inputs), 4))

    def plain(arrays: dict[str, Float64Array]) -> Float64Array:
        prefixes = [clicks[:stop] for clicks in SEQUENCES for stop in range(1, len(clicks))]
        return np.array([plain_state(arrays, settings, prefix) for prefix in prefixes])

    states = stamp.states(parameters, settings, tokens_of(batch, exact=exact), no_dropout)
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    np.testing.assert_allclose(states.detach().numpy(), plain(arrays), rtol=1e-12, atol=1e-14)
    (states * torch.from_numpy(wanted)).sum().backward()
    causal.assert_gradient_is_the_slope(parameters, lambda arrays: float((plain(arrays) * wanted).sum()))


def test_published_sizes_round_alike_whatever_is_beside_a_sequence():
    causal.check_batching_changes_no_bit(stamp, Settings())
    causal.check_every_event_scored_alone_has_the_same_bits(stamp, Settings())


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_shortened_to_the_largest_norm_together(sparse: bool):
    table, other = torch.zeros(4, 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    rows = torch.tensor([2, 2, 0])  # row 2 twice: its gradient is 1 + 2
    for largest, factor in ((100.0, 1.0), (6.5, 0.5)):  # the norm of (3, 4, 12) is 13
        table.grad = other.grad = None
        looked_up = torch.nn.functional.embedding(rows, table, sparse=sparse)[:, 0]
        (looked_up @ torch.tensor([1.0, 2.0, 4.0]) + 12 * other.sum()).backward()
        shorten_gradients([table, other], largest)
        assert table.grad is not None
        assert other.grad is not None
        expected = torch.tensor([4.0, 0, 3, 0])[:, None] * factor
        torch.testing.assert_close(table.grad.to_dense(), expected)
        torch.testing.assert_close(other.grad, torch.tensor([12 * factor]))
