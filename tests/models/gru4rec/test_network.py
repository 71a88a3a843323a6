"""The network of GRU4Rec: cells, initial weights, places of dropout."""

import numpy as np
import pytest
import torch

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.network import Network, dropout_places, initial_parameters, zero_states
from gru4rec_cli.models.neural.sampling import dropout_mask

SMALL = Settings(layers=(3,), dropout_p_hidden=0.0)


def test_the_gru_cell_is_that_of_the_paper():
    parameters = initial_parameters(5, SMALL, seed=2, dtype=torch.float64)
    biases = torch.Generator().manual_seed(3)
    for name in ("gru.0.bias_ih", "gru.0.bias_hh"):
        parameters[name] = torch.rand(9, dtype=torch.float64, generator=biases)
    x, h = torch.rand(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    (found,) = Network(parameters, SMALL).advance(x, [h])
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
    (found,) = Network(parameters, settings).advance(row, [h])
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
    states = Network(parameters, settings).advance(rows[:2], zero_states(2, settings))
    assert [tuple(state.shape) for state in states] == [(2, 4), (2, 3), (2, 6)]


def test_dropout_of_one_hot_mode_falls_on_the_first_layers_output():
    base = {"layers": (50, 40), "embedding": "none", "dropout_p_embed": 0.5, "dropout_p_hidden": 0.0}
    settings = Settings.model_validate(base)
    parameters = initial_parameters(9, settings, seed=1)
    rows = parameters["onehot_gru.input"][:4]
    assert dropout_places(settings) == {"embed": (0.5, 50)}
    masks = {"embed": dropout_mask(np.random.default_rng(1), 0.5, 4, 50)}
    first, second = Network(parameters, settings).advance(rows, zero_states(4, settings), masks)
    assert 0.3 < (first == 0).float().mean().item() < 0.7  # what dropout leaves is carried on
    assert (second != 0).all()


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"dropout_p_hidden": 0.0}, {}),
        ({"dropout_p_hidden": 0.3}, {"hidden.0": (0.3, 4), "hidden.1": (0.3, 6)}),
        ({"dropout_p_embed": 0.2, "dropout_p_hidden": 0.0}, {"embed": (0.2, 6)}),
        (
            {"dropout_p_embed": 0.2, "dropout_p_hidden": 0.3, "embedding": "none"},
            {"embed": (0.2, 4), "hidden.1": (0.3, 6)},
        ),
    ],
)
def test_places_of_dropout(given: dict[str, object], places: dict[str, tuple[float, int]]):
    assert dropout_places(Settings.model_validate({"layers": (4, 6), **given})) == places
