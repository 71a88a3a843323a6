"""The step with fixed shapes against the slow, obvious one, and against the one by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.dropout import masks_of
from gru4rec_cli.models.gru4rec.minibatch import Assembler
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.optimizer import Adagrad
from gru4rec_cli.models.gru4rec.stepping import Stepper
from tests.models.gru4rec import autograd
from tests.models.gru4rec.accelerated.batches import padded_batch, tensor_step
from tests.models.gru4rec.gradients import step_of
from tests.models.gru4rec.test_gradients import LOSSES, noise, perturbed, some_states

EMBEDDINGS = ["shared", "layersize", 3, "none"]


def settings_of(loss: str, embedding: str | int, layers: list[int], batch_size: int, **more: Any) -> Settings:
    given = {**LOSSES[loss], "embedding": embedding, "layers": tuple(layers), "batch_size": batch_size}
    return Settings.model_validate(given | {"dropout_p_embed": 0.3, "dropout_p_hidden": 0.2} | more)


def by_item(rows: Tensor, gradient: Tensor, n_items: int) -> Tensor:
    """Gradients of equal rows summed, one after the other; without the padding row."""
    whole = gradient.new_zeros(n_items + 1, *gradient.shape[1:])
    for row, value in zip(rows.tolist(), gradient, strict=True):
        whole[row] += value
    return whole[:n_items]


@hypothesis_settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(list(LOSSES)),
    st.sampled_from(EMBEDDINGS),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 6),
    st.integers(0, 5),
    st.integers(0, 12),
    st.integers(2, 9),
    st.integers(0, 10**6),
)
def test_its_gradients_are_those_of_autograd_also_where_lanes_are_gone(
    loss: str, embedding: str | int, layers: list[int], lanes: int, gone: int, n_sample: int, n_items: int, seed: int
):
    lanes = lanes if n_sample else lanes + 1  # a lane without any negative has no loss
    batch_size = max(lanes + gone, 2)
    settings = settings_of(loss, embedding, layers, batch_size, n_sample=n_sample)
    rng = np.random.default_rng(seed)
    supports = rng.integers(1, 30, n_items)
    inputs, targets = rng.integers(0, n_items, (2, lanes))
    negatives = rng.integers(0, n_items, n_sample)
    kept, starts = np.sort(rng.choice(batch_size, lanes, replace=False)), rng.random(lanes) < 0.3
    parameters = perturbed(initial_parameters(n_items, settings, seed=seed, dtype=torch.float64), seed)
    before = some_states(tuple(layers), batch_size, seed)

    step = tensor_step(parameters, Adagrad(parameters, 0.1, 0.0), supports, settings)
    for state, value in zip(step.states, before, strict=True):
        state.copy_(value)
    masks = masks_of(settings, lambda name, units: noise(name, units, lanes))
    found = step.gradients(padded_batch(settings, n_items, inputs, targets, negatives, masks, kept, starts))

    expected = autograd.step(
        parameters,
        torch.from_numpy(supports).double(),
        settings,
        torch.from_numpy(inputs),
        torch.from_numpy(targets),
        torch.from_numpy(negatives),
        [state[kept] * ~torch.from_numpy(starts)[:, None] for state in before],
        lambda name, units: torch.from_numpy(noise(name, units, lanes)),
    )
    assert found.loss.item() == pytest.approx(expected.loss, rel=1e-6)
    for state, other in zip(found.states, expected.states, strict=True):
        torch.testing.assert_close(state[:lanes], other, rtol=1e-6, atol=1e-8)
    assert {*found.rows, *found.whole} == set(parameters)
    for name in parameters:
        whole = found.whole[name] if name in found.whole else by_item(*found.rows[name], n_items)
        torch.testing.assert_close(whole, expected.gradients[name], rtol=1e-5, atol=1e-8)


@hypothesis_settings(deadline=None, max_examples=40)
@example("cross-entropy", "layersize", 0.4, 4, 5, 5, 1)  # more distinct inputs than columns, in a table of their own
@given(
    st.sampled_from(list(LOSSES)),
    st.sampled_from(EMBEDDINGS),
    st.sampled_from([0.0, 0.4]),
    st.integers(1, 5),
    st.integers(2, 7),
    st.integers(0, 10**6),
    st.sampled_from([1, 2]),
)
def test_steps_move_everything_as_those_by_hand_do(
    loss: str, embedding: str | int, momentum: float, lanes: int, n_items: int, seed: int, n_threads: int
):
    # With few items every row occurs several times; with momentum a row that is touched for nothing would move too.
    settings = settings_of(
        loss, embedding, [3, 4], 5, n_sample=4, dropout_p_embed=0.0, dropout_p_hidden=0.0, momentum=momentum
    )
    rng = np.random.default_rng(seed)
    supports = rng.integers(1, 30, n_items)
    start = perturbed(initial_parameters(n_items, settings, seed=seed, dtype=torch.float64), seed)
    ours, theirs = ({name: value.clone() for name, value in start.items()} for _ in range(2))
    optimizer = Adagrad(ours, settings.learning_rate, momentum)
    step = tensor_step(ours, optimizer, supports, settings)
    stepper, assembler = Stepper(theirs, settings, n_threads), Assembler(supports, settings, torch.float64)
    for number in range(4):
        inputs, targets = rng.integers(0, n_items, (2, lanes))
        negatives = rng.integers(0, n_items, 4)
        found = step.learn(padded_batch(settings, n_items, inputs, targets, negatives, {}))
        batch = step_of(assembler, inputs, targets, negatives)
        batch.lanes.starts[:] = number == 0
        assert found.item() == pytest.approx(stepper.learn(batch)[0], rel=1e-6)
    step.tables.download()
    for name, value in (ours | optimizer.state()).items():
        torch.testing.assert_close(value, (stepper.parameters | stepper.optimizer.state())[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_untouched_rows_and_the_padding_row_stay_as_they_are(embedding: str | int):
    settings = settings_of("cross-entropy", embedding, [3], 4, n_sample=3, dropout_p_embed=0.0, dropout_p_hidden=0.0)
    parameters = perturbed(initial_parameters(9, settings, seed=1), 2)
    optimizer = Adagrad(parameters, 0.1, 0.4)
    for name, value in optimizer.state().items():
        value.fill_(0.5 if name.startswith("momentum") else 1.0)
    before = {name: value.clone() for name, value in (parameters | optimizer.state()).items()}
    step = tensor_step(parameters, optimizer, np.arange(1, 10), settings)
    inputs, targets, negatives = np.array([2, 5]), np.array([5, 5]), np.array([0, 5, 0])
    step.learn(padded_batch(settings, 9, inputs, targets, negatives, {}))
    step.tables.download()
    columns = {0, 5}
    touched = {"output_bias": columns, "output_embedding": columns | {2} if embedding == "shared" else columns}
    touched[step.table] = touched.get(step.table, {2, 5})
    for name, rows in touched.items():
        for table in (name, f"accumulator.{name}", f"momentum.{name}"):
            after = (parameters | optimizer.state())[table].reshape(9, -1)
            changed = (after != before[table].reshape(9, -1)).any(dim=1)
            assert set(changed.nonzero().flatten().tolist()) == rows, table
        for part in (step.tables.values, step.tables.accumulators, step.tables.momenta):
            assert len(part[name]) == 10
            assert not part[name][9].any()


@hypothesis_settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_of_the_occurrences_of_a_row_one_stands_for_all_and_alone_writes(rows: list[int]):
    settings = settings_of("cross-entropy", "shared", [3], 4)
    parameters = initial_parameters(9, settings, seed=1)
    tables = tensor_step(parameters, Adagrad(parameters, 0.1, 0.0), np.ones(9, dtype=np.int64), settings).tables
    chosen, goals = (found.tolist() for found in tables.occurrences(torch.tensor(rows), 9))
    assert sorted(goal for goal in goals if goal < 9) == sorted({row for row in rows if row < 9})
    for place, (row, goal) in enumerate(zip(rows, goals, strict=True)):
        assert rows[chosen[place]] == row
        assert goal in (row, 9)
        assert goal == 9 or chosen[place] == place
