"""Losses, negatives and updates against plain definitions."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.losses import bpr_max, cross_entropy, logq_correction
from gru4rec_cli.models.gru4rec.negatives import draw_negatives
from gru4rec_cli.models.gru4rec.network import advance, drop, initial_parameters, zero_states
from gru4rec_cli.models.gru4rec.optimizer import Adagrad

SMALL = Settings(layers=(3,), dropout_p_hidden=0.0)


def test_cross_entropy_by_hand():
    scores = torch.log(torch.tensor([[2.0, 1.0, 1.0], [1.0, 3.0, 6.0]], dtype=torch.float64))
    expected = (-np.log(2 / 4) - np.log(3 / 10)) / 8  # divided by the configured batch size, not by the lanes
    assert cross_entropy(scores, batch_size=8).item() == pytest.approx(expected, rel=1e-12)


def test_bpr_max_by_hand():
    scores = torch.tensor([[1.0, 0.0, 2.0]], dtype=torch.float64)  # own score 1, negatives 0 and 2
    first, second = 1 / (1 + math.exp(2)), math.exp(2) / (1 + math.exp(2))  # softmax over the negatives
    likelihood = first / (1 + math.exp(-1)) + second / (1 + math.exp(1))
    expected = (-math.log(likelihood) + 0.5 * (second * 4)) / 4
    assert bpr_max(scores, regularisation=0.5, elu_param=0.0, batch_size=4).item() == pytest.approx(expected, rel=1e-12)


def test_bpr_max_passes_scores_through_the_elu():
    scores = torch.tensor([[-1.0, -2.0, 2.0], [0.5, 3.0, -0.1]], dtype=torch.float64)
    bent = torch.where(scores > 0, scores, 0.7 * (torch.exp(scores) - 1))
    direct = bpr_max(scores, regularisation=1.5, elu_param=0.7, batch_size=2)
    assert direct.item() == pytest.approx(bpr_max(bent, regularisation=1.5, elu_param=0.0, batch_size=2).item())


def test_logq_uses_supports_for_the_first_columns_and_their_power_for_the_rest():
    supports = torch.tensor([1.0, 4.0, 9.0])
    columns = torch.tensor([2, 1, 2, 1])
    found = logq_correction(columns, supports, alpha=0.5, strength=2.0, batch_size=3)
    expected = [2 * np.log(9), 2 * np.log(4), 2 * np.log(9), 2 * np.log(2)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_negatives_come_with_probability_support_to_the_alpha(alpha: float):
    supports = torch.tensor([1.0, 4.0, 0.0, 25.0, 9.0])
    generator = torch.Generator().manual_seed(1)
    draws = draw_negatives(supports, alpha, 1000, generator)
    counts = np.bincount(torch.cat([next(draws) for _ in range(100)]).numpy(), minlength=5)
    weights = supports.numpy() ** alpha
    expected = 100_000 * weights / weights.sum()
    spread = np.sqrt(expected) + 1e-9
    assert (np.abs(counts - expected) < 5 * spread).all()


def test_adagrad_with_momentum_by_hand():
    parameters = {"p": torch.tensor([1.0])}
    optimizer = Adagrad(parameters, learning_rate=0.1, momentum=0.5)
    optimizer.update("p", torch.tensor([2.0]))
    first = 0.1 * 2 / np.sqrt(4 + 1e-6)
    assert parameters["p"].item() == pytest.approx(1 - first, rel=1e-6)
    optimizer.update("p", torch.tensor([1.0]))
    second = 0.5 * -first - 0.1 * 1 / np.sqrt(5 + 1e-6)
    assert parameters["p"].item() == pytest.approx(1 - first + second, rel=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_untouched_rows_keep_weights_accumulators_and_momenta(momentum: float):
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(6, 3, generator=generator)
    by_rows, whole = ({"m": start.clone()} for _ in range(2))
    sparse, dense = Adagrad(by_rows, 0.1, momentum), Adagrad(whole, 0.1, momentum)
    gradient = torch.rand(2, 3, generator=generator)
    full = torch.zeros(6, 3)
    full[[4, 1]] = gradient
    sparse.update_rows("m", torch.tensor([4, 1]), gradient)
    dense.update("m", full)  # from zero accumulators a zero gradient moves nothing
    torch.testing.assert_close(by_rows["m"], whole["m"], rtol=0, atol=0)
    before = {name: value.clone() for name, value in (by_rows | sparse.state()).items()}
    sparse.update_rows("m", torch.tensor([4]), gradient[:1])
    for name, value in (by_rows | sparse.state()).items():
        changed = (value != before[name]).any(dim=1)
        assert changed.tolist() == [False, False, False, False, True, False], name


def test_dropout_drops_the_given_share_and_keeps_the_expectation():
    values = torch.ones(200, 500)
    dropped = drop(values, 0.3, partial(torch.rand, generator=torch.Generator().manual_seed(0)))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert drop(values, 0.3, None) is values


def test_the_gru_cell_is_that_of_the_paper():
    parameters = initial_parameters(5, SMALL, seed=2, dtype=torch.float64)
    biases = torch.Generator().manual_seed(3)
    for name in ("gru.0.bias_ih", "gru.0.bias_hh"):
        parameters[name] = torch.rand(9, dtype=torch.float64, generator=biases)
    x, h = torch.rand(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    (found,) = advance(parameters, x, [h], SMALL)
    from_x = x @ parameters["gru.0.weight_ih"].T + parameters["gru.0.bias_ih"]
    from_h = h @ parameters["gru.0.weight_hh"].T + parameters["gru.0.bias_hh"]
    r, z = torch.sigmoid(from_x[:, :3] + from_h[:, :3]), torch.sigmoid(from_x[:, 3:6] + from_h[:, 3:6])
    n = torch.tanh(from_x[:, 6:] + r * from_h[:, 6:])
    torch.testing.assert_close(found, (1 - z) * n + z * h, rtol=1e-12, atol=1e-12)


def test_initial_weights_stay_within_their_bounds_gate_by_gate():
    parameters = initial_parameters(100, Settings(layers=(8, 12)), seed=1)
    for gate in range(3):
        block = parameters["gru.1.weight_ih"][12 * gate : 12 * (gate + 1)]
        bound = (6 / (12 + 8)) ** 0.5
        assert bound * 0.9 < block.abs().max().item() <= bound
    assert parameters["output_embedding"].shape == (100, 12)
    assert parameters["gru.0.weight_ih"].shape == (24, 12)  # the first layer reads rows of the item matrix
    assert not parameters["gru.0.bias_ih"].any()


def test_the_one_hot_cell_resets_before_the_product_and_keeps_with_1_minus_z():
    settings = Settings(layers=(2,), embedding="none")
    parameters = initial_parameters(4, settings, seed=2, dtype=torch.float64)
    parameters["onehot_gru.bias"] = torch.tensor([0.1, -0.2, 0.3, 0.4, -0.5, 0.6], dtype=torch.float64)
    row, h = parameters["onehot_gru.input"][[1]], torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    (found,) = advance(parameters, row, [h], settings)
    x = row + parameters["onehot_gru.bias"]
    u_rz, u_n = parameters["onehot_gru.recurrent_rz"], parameters["onehot_gru.recurrent_h"]
    r = torch.sigmoid(x[:, 2:4] + h @ u_rz[:, :2])
    z = torch.sigmoid(x[:, 4:] + h @ u_rz[:, 2:])
    n = torch.tanh((r * h) @ u_n + x[:, :2])
    torch.testing.assert_close(found, (1 - z) * h + z * n, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("embedding", "shapes"),
    [
        ("shared", {"gru.0.weight_ih": (12, 6)}),
        ("layersize", {"input_embedding": (9, 4), "gru.0.weight_ih": (12, 4)}),
        (5, {"input_embedding": (9, 5), "gru.0.weight_ih": (12, 5)}),
        ("none", {"onehot_gru.input": (9, 12), "onehot_gru.recurrent_rz": (4, 8), "onehot_gru.recurrent_h": (4, 4)}),
    ],
)
def test_layers_of_any_sizes_stack_in_every_input_mode(embedding: str | int, shapes: dict[str, tuple[int, int]]):
    settings = Settings(layers=(4, 3, 6), embedding=embedding)  # type: ignore[arg-type]
    parameters = initial_parameters(9, settings, seed=1)
    expected = {**shapes, "gru.1.weight_ih": (9, 4), "gru.2.weight_hh": (18, 6), "output_embedding": (9, 6)}
    assert {name: tuple(parameters[name].shape) for name in expected} == expected
    rows = parameters[
        next(name for name in ("onehot_gru.input", "input_embedding", "output_embedding") if name in parameters)
    ]
    states = advance(parameters, rows[:2], zero_states(2, settings), settings)
    assert [tuple(state.shape) for state in states] == [(2, 4), (2, 3), (2, 6)]


def test_dropout_of_one_hot_mode_falls_on_the_first_layers_output():
    base = {"layers": (50, 40), "embedding": "none", "dropout_p_embed": 0.5, "dropout_p_hidden": 0.0}
    settings = Settings.model_validate(base)
    parameters = initial_parameters(9, settings, seed=1)
    rows = parameters["onehot_gru.input"][:4]
    first, second = advance(
        parameters,
        rows,
        zero_states(4, settings),
        settings,
        partial(torch.rand, generator=torch.Generator().manual_seed(1)),
    )
    assert 0.3 < (first == 0).float().mean().item() < 0.7  # what dropout leaves is carried on
    assert (second != 0).all()
