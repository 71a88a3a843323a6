"""The step by hand: its gradients against finite differences on tiny sizes, and against autograd on random ones."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.dropout import masks_of
from gru4rec_cli.models.gru4rec.minibatch import Assembler
from gru4rec_cli.models.gru4rec.network import initial_parameters, input_table, zero_states
from gru4rec_cli.models.gru4rec.stepping import Stepper
from tests.models.gru4rec import autograd
from tests.models.gru4rec.gradients import StepGradients, gradients_of, step_of

V = 7
SUPPORTS = np.array([3, 1, 4, 1, 5, 9, 2])
# Items repeat within the inputs, between inputs and columns, and among the columns.
INPUTS, TARGETS, NEGATIVES = np.array([1, 4, 1]), np.array([4, 2, 2]), np.array([0, 2, 6, 1, 0])
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {"loss": "cross-entropy", "logq": 1.0, "sample_alpha": 0.3},
    "cross-entropy without logQ": {"loss": "cross-entropy", "logq": 0.0},
    "bpr-max linear": {"loss": "bpr-max", "bpreg": 0.7, "elu_param": 0.0},
    "bpr-max elu": {"loss": "bpr-max", "bpreg": 1.9, "elu_param": 0.5},
}


def noise(name: str, units: int, lanes: int = 3) -> Any:
    """Uniform numbers that the place decides."""
    return np.random.default_rng(sum(map(ord, name))).random((lanes, units))


def gradients_at(parameters: dict[str, Tensor], settings: Settings, states: list[Tensor]) -> StepGradients:
    batch = step_of(Assembler(SUPPORTS, settings, torch.float64), INPUTS, TARGETS, NEGATIVES, masks_of(settings, noise))
    return gradients_of(Stepper(parameters, settings), batch, states)


def perturbed(parameters: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Biases too are then not zero."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.2 * torch.rand(value.shape, dtype=value.dtype, generator=generator)
        for name, value in parameters.items()
    }


def some_states(layers: tuple[int, ...], lanes: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(lanes, units, dtype=torch.float64, generator=generator) - 0.5 for units in layers]


def whole_gradient(found: StepGradients, name: str, value: Tensor) -> Tensor:
    """The gradient as large as the parameter."""
    if name in found.whole:
        return found.whole[name]
    rows, gradient = found.rows[name]
    assert len(set(rows.tolist())) == len(rows)
    return torch.zeros_like(value).index_copy(0, torch.from_numpy(rows), torch.from_numpy(gradient))


@pytest.mark.slow
@pytest.mark.parametrize("drop", [False, True], ids=["", "dropout"])
@pytest.mark.parametrize("layers", [(4,), (3, 4)], ids=str)
@pytest.mark.parametrize("embedding", ["shared", 2, "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(
    loss: str, embedding: str | int, layers: tuple[int, ...], drop: bool
):
    settings = Settings.model_validate(
        {**LOSSES[loss], "embedding": embedding, "layers": layers, "batch_size": 4}
        | {"dropout_p_embed": 0.2 * drop, "dropout_p_hidden": 0.3 * drop}
    )
    parameters = perturbed(initial_parameters(V, settings, seed=3, dtype=torch.float64), seed=4)
    states = some_states(layers, 3, seed=5)
    found = gradients_at(parameters, settings, states)
    assert {*found.rows, *found.whole} == set(parameters)
    for name, value in parameters.items():
        whole = whole_gradient(found, name, value).clone()
        expected = torch.zeros_like(value)
        for place in range(value.numel()):
            losses = []
            for shift in (1e-6, -2e-6):
                value.view(-1)[place] += shift
                losses.append(gradients_at(parameters, settings, states).loss)
            value.view(-1)[place] += 1e-6
            expected.view(-1)[place] = (losses[0] - losses[1]) / 2e-6
        assert torch.allclose(whole, expected, rtol=2e-5, atol=2e-8), name


@hypothesis_settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(list(LOSSES)),
    st.sampled_from(["shared", "layersize", 3, "none"]),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 6),
    st.integers(1, 12),
    st.integers(2, 9),
    st.integers(0, 10**6),
    st.sampled_from([1, 2]),
)
def test_a_step_is_that_of_autograd(
    loss: str,
    embedding: str | int,
    layers: list[int],
    lanes: int,
    n_sample: int,
    n_items: int,
    seed: int,
    n_threads: int,
):
    settings = Settings.model_validate(
        {**LOSSES[loss], "embedding": embedding, "layers": tuple(layers), "batch_size": max(lanes, 3)}
        | {"dropout_p_embed": 0.3, "dropout_p_hidden": 0.2}
    )
    rng = np.random.default_rng(seed)
    supports = rng.integers(1, 30, n_items)
    inputs, targets = rng.integers(0, n_items, (2, lanes))
    negatives = rng.integers(0, n_items, n_sample)
    parameters = perturbed(initial_parameters(n_items, settings, seed=seed, dtype=torch.float64), seed)
    states = some_states(tuple(layers), lanes, seed)
    masks = masks_of(settings, lambda name, units: noise(name, units, lanes))
    batch = step_of(Assembler(supports, settings, torch.float64), inputs, targets, negatives, masks)
    found = gradients_of(Stepper(parameters, settings, n_threads), batch, states)
    expected = autograd.step(
        parameters,
        torch.from_numpy(supports).double(),
        settings,
        torch.from_numpy(inputs),
        torch.from_numpy(targets),
        torch.from_numpy(negatives),
        states,
        lambda name, units: torch.from_numpy(noise(name, units, lanes)),
    )
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    for state, other in zip(found.states, expected.states, strict=True):
        torch.testing.assert_close(state, other, rtol=1e-6, atol=1e-8)
    for name, value in parameters.items():
        whole = whole_gradient(found, name, value)
        torch.testing.assert_close(whole, expected.gradients[name], rtol=1e-5, atol=1e-8)


def test_only_touched_rows_have_gradients():
    settings = Settings(layers=(3,), embedding="layersize", dropout_p_hidden=0.0)
    parameters = initial_parameters(V, settings, seed=3, dtype=torch.float64)
    found = gradients_at(parameters, settings, zero_states(3, settings, torch.float64))
    assert set(found.rows["output_embedding"][0].tolist()) == {0, 1, 2, 4, 6}
    assert set(found.rows["output_bias"][0].tolist()) == {0, 1, 2, 4, 6}
    assert set(found.rows[input_table(settings)][0].tolist()) == {1, 4}
