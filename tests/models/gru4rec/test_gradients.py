"""Gradients of every input mode and loss against finite differences, in float64 on tiny sizes."""

from functools import partial

import pytest
import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.network import initial_parameters, input_table, zero_states
from gru4rec_cli.models.gru4rec.stepping import StepGradients, step_gradients

pytestmark = pytest.mark.slow

V = 7
SUPPORTS = torch.tensor([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0], dtype=torch.float64)
# Items repeat within the inputs, between inputs and columns, and among the columns.
INPUTS, TARGETS, NEGATIVES = torch.tensor([1, 4, 1]), torch.tensor([4, 2, 2]), torch.tensor([0, 2, 6, 1, 0])
LOSSES = {
    "cross-entropy": {"loss": "cross-entropy", "logq": 1.0, "sample_alpha": 0.3},
    "cross-entropy without logQ": {"loss": "cross-entropy", "logq": 0.0},
    "bpr-max linear": {"loss": "bpr-max", "bpreg": 0.7, "elu_param": 0.0},
    "bpr-max elu": {"loss": "bpr-max", "bpreg": 1.9, "elu_param": 0.5},
}


def gradients_at(
    parameters: dict[str, Tensor], settings: Settings, states: list[Tensor], *, drop: bool
) -> StepGradients:
    noise = partial(torch.rand, generator=torch.Generator().manual_seed(9)) if drop else None
    return step_gradients(parameters, SUPPORTS, settings, INPUTS, TARGETS, NEGATIVES, states, noise)


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
    parameters = initial_parameters(V, settings, seed=3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    for value in parameters.values():
        value.add_(0.2 * torch.rand(value.shape, dtype=torch.float64, generator=generator))
    states = [torch.rand(3, units, dtype=torch.float64, generator=generator) - 0.5 for units in layers]
    found = gradients_at(parameters, settings, states, drop=drop)
    assert {*found.rows, *found.whole} == set(parameters)
    for name, value in parameters.items():
        expected = torch.zeros_like(value)
        for place in range(value.numel()):
            losses = []
            for shift in (1e-6, -2e-6):
                value.view(-1)[place] += shift
                losses.append(gradients_at(parameters, settings, states, drop=drop).loss)
            value.view(-1)[place] += 1e-6
            expected.view(-1)[place] = (losses[0] - losses[1]) / 2e-6
        if name in found.rows:
            rows, gradient = found.rows[name]
            assert rows.tolist() == sorted(set(rows.tolist()))
            whole = torch.zeros_like(value).index_copy(0, rows, gradient)
        else:
            whole = found.whole[name]
        assert torch.allclose(whole, expected, rtol=2e-5, atol=2e-8), name


def test_only_touched_rows_have_gradients():
    settings = Settings(layers=(3,), embedding="layersize")
    parameters = initial_parameters(V, settings, seed=3)
    found = step_gradients(parameters, SUPPORTS.float(), settings, INPUTS, TARGETS, NEGATIVES, zero_states(3, settings))
    assert found.rows["output_embedding"][0].tolist() == [0, 1, 2, 4, 6]
    assert found.rows["output_bias"][0].tolist() == [0, 1, 2, 4, 6]
    assert found.rows[input_table(settings)][0].tolist() == [1, 4]


def test_the_state_carried_on_is_not_part_of_the_graph():
    settings = Settings(layers=(3,))
    parameters = initial_parameters(V, settings, seed=3)
    found = step_gradients(parameters, SUPPORTS.float(), settings, INPUTS, TARGETS, NEGATIVES, zero_states(3, settings))
    assert not any(state.requires_grad for state in found.states)
