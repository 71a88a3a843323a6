"""The torch step: its gradients against finite differences, and what an update may touch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.network import initial_parameters, input_table, zero_states
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.step import TorchStep
from tests.models.gru4rec.steps import (
    EMBEDDINGS,
    LOSSES,
    first_of,
    masks_for,
    one_step,
    perturbed,
    some_states,
    torch_gradients,
    whole_gradients,
)

V = 7
SUPPORTS = np.array([3, 1, 4, 1, 5, 9, 2])
# Items repeat within the inputs, between inputs and columns, and among the columns.
INPUTS, TARGETS, NEGATIVES = np.array([1, 4, 1]), np.array([4, 2, 2]), np.array([0, 2, 6, 1, 0])


def settings_of(loss: str, embedding: str | int, layers: tuple[int, ...], **more: Any) -> Settings:
    return Settings.model_validate({**LOSSES[loss], "embedding": embedding, "layers": layers, "batch_size": 4} | more)


@pytest.mark.slow
@pytest.mark.parametrize("drop", [False, True], ids=["", "dropout"])
@pytest.mark.parametrize("layers", [(4,), (3, 4)], ids=str)
@pytest.mark.parametrize("embedding", ["shared", 2, "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(
    loss: str, embedding: str | int, layers: tuple[int, ...], drop: bool
):
    settings = settings_of(loss, embedding, layers, dropout_p_embed=0.2 * drop, dropout_p_hidden=0.3 * drop)
    parameters = perturbed(initial_parameters(V, settings, seed=3, dtype=torch.float64), seed=4)
    states = some_states(layers, 3, seed=5)
    batch = one_step(INPUTS, TARGETS, NEGATIVES, masks_for(settings, 3))

    def loss_of(changed: dict[str, Tensor]) -> float:
        return torch_gradients(TorchStep(changed, SUPPORTS, settings), batch, states).loss.item()

    found = whole_gradients(torch_gradients(TorchStep(parameters, SUPPORTS, settings), batch, states), parameters)
    assert set(found) == set(parameters)
    for name, value in parameters.items():
        expected = torch.zeros_like(value)
        for place in range(value.numel()):
            losses = []
            for shift in (1e-6, -2e-6):
                value.view(-1)[place] += shift
                losses.append(loss_of(parameters))
            value.view(-1)[place] += 1e-6
            expected.view(-1)[place] = (losses[0] - losses[1]) / 2e-6
        assert torch.allclose(found[name], expected, rtol=2e-5, atol=2e-8), name


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_slots_that_are_gone_change_nothing(loss: str, embedding: str | int):
    settings = settings_of(loss, embedding, (3, 5), batch_size=6, dropout_p_embed=0.3, dropout_p_hidden=0.2)
    parameters = perturbed(initial_parameters(V, settings, seed=3, dtype=torch.float64), seed=4)
    step, masks = TorchStep(parameters, SUPPORTS, settings), masks_for(settings, 3)
    states = some_states((3, 5), 6, seed=5)
    narrow = torch_gradients(step, one_step(INPUTS, TARGETS, NEGATIVES, masks), states)
    wide = torch_gradients(step, one_step(INPUTS, TARGETS, NEGATIVES, masks, gone=3), states)
    torch.testing.assert_close(wide.loss, narrow.loss, rtol=1e-12, atol=0)
    expected = whole_gradients(narrow, parameters)
    for name, gradient in whole_gradients(wide, parameters).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-10, atol=1e-14)
    for state, other in zip(wide.states, narrow.states, strict=True):
        torch.testing.assert_close(state[:3], other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_untouched_rows_and_the_padding_row_stay_as_they_are(embedding: str | int):
    settings = settings_of("cross-entropy", embedding, (3,), n_sample=3, momentum=0.4, dropout_p_hidden=0.0)
    step = TorchStep(perturbed(initial_parameters(9, settings, seed=1), 2), np.arange(1, 10), settings)
    for name, value in step.optimizer.state().items():
        value[: len(value) - 1].fill_(0.5 if name.startswith("momentum") else 1.0)
    before = {name: value.clone() for name, value in step.state().items()}
    step.begin(3)
    step.learn(one_step(np.array([2, 5]), np.array([5, 5]), np.array([0, 5, 0]), gone=1))
    columns, table = {0, 5}, input_table(settings)
    touched = {"output_bias": columns, "output_embedding": columns | {2} if embedding == "shared" else columns}
    touched[table] = touched.get(table, {2, 5})
    for name, rows in touched.items():
        for tensor in (name, f"accumulator.{name}", f"momentum.{name}"):
            changed = (step.state()[tensor].reshape(9, -1) != before[tensor].reshape(9, -1)).any(dim=1)
            assert set(changed.nonzero().flatten().tolist()) == rows, tensor
        for part in (step.values, step.optimizer.accumulators, step.optimizer.momenta):
            assert len(part[name]) == 10
            assert not part[name][9].any()


@hypothesis_settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.sampled_from([0.0, 0.3]))
def test_a_row_that_is_named_several_times_moves_once_by_the_sum(rows: list[int], momentum: float):
    generator = torch.Generator().manual_seed(len(rows))
    start = torch.rand(10, 4, dtype=torch.float64, generator=generator)
    start[9] = 0
    gradient = torch.rand(len(rows), 4, dtype=torch.float64, generator=generator)
    gradient[[place for place, row in enumerate(rows) if row == 9]] = 0
    optimizer = Adagrad({"matrix": start.clone()}, 0.1, momentum)
    for _ in range(2):
        optimizer.update_rows("matrix", torch.tensor(rows), gradient)
    expected = start.clone()
    for row in set(rows):
        summed = sum((gradient[place] for place, named in enumerate(rows) if named == row), torch.zeros(4).double())
        alone = Adagrad({"row": expected[row]}, 0.1, momentum)
        for _ in range(2):
            alone.update("row", summed)
    torch.testing.assert_close(optimizer.parameters["matrix"], expected, rtol=1e-12, atol=1e-14)


def test_adagrad_with_momentum_by_hand():
    optimizer = Adagrad({"p": torch.tensor([1.0], dtype=torch.float64)}, 0.1, 0.5)
    optimizer.update("p", torch.tensor([2.0], dtype=torch.float64))
    first = 0.1 * 2 / np.sqrt(4 + 1e-6)
    assert optimizer.parameters["p"].item() == pytest.approx(1 - first, rel=1e-12)
    optimizer.update("p", torch.tensor([1.0], dtype=torch.float64))
    second = 0.5 * -first - 0.1 * 1 / np.sqrt(5 + 1e-6)
    assert optimizer.parameters["p"].item() == pytest.approx(1 - first + second, rel=1e-12)


def test_only_touched_rows_have_gradients():
    settings = settings_of("cross-entropy", "layersize", (3,), dropout_p_hidden=0.0)
    step = TorchStep(initial_parameters(V, settings, seed=3), SUPPORTS, settings)
    step.states = zero_states(3, settings)
    found = step.gradients(first_of(step, one_step(INPUTS, TARGETS, NEGATIVES)))
    assert set(found.rows["output_embedding"][0].tolist()) == {0, 1, 2, 4, 6}
    assert set(found.rows["output_bias"][0].tolist()) == {0, 1, 2, 4, 6}
    assert set(found.rows[input_table(settings)][0].tolist()) == {1, 4}
