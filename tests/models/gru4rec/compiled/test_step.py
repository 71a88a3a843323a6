"""The compiled step against the torch step, which is its definition."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.compiled import CompiledStep
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.step import TorchStep
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.neural.trainer import Trainer
from tests.models.gru4rec.steps import (
    EMBEDDINGS,
    LOSSES,
    compiled_gradients,
    copied,
    masks_for,
    one_step,
    perturbed,
    some_states,
    torch_gradients,
    whole_gradients,
)
from tests.worlds import random_sessions


def settings_of(loss: str, embedding: str | int, layers: list[int], batch_size: int, **more: Any) -> Settings:
    given = {**LOSSES[loss], "embedding": embedding, "layers": tuple(layers), "batch_size": batch_size}
    return Settings.model_validate(given | {"dropout_p_embed": 0.3, "dropout_p_hidden": 0.2} | more)


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
    st.sampled_from([1, 2]),
)
def test_its_gradients_are_those_of_the_torch_step_also_where_slots_are_gone(
    loss: str,
    embedding: str | int,
    layers: list[int],
    slots: int,
    gone: int,
    n_sample: int,
    n_items: int,
    seed: int,
    n_threads: int,
):
    slots = slots if n_sample else slots + 1  # a slot without any negative has no loss
    batch_size = max(slots + gone, 2)
    settings = settings_of(loss, embedding, layers, batch_size, n_sample=n_sample)
    rng = np.random.default_rng(seed)
    supports = rng.integers(1, 30, n_items)
    inputs, targets = rng.integers(0, n_items, (2, slots))
    negatives = rng.integers(0, n_items, n_sample)
    previous, starts = np.sort(rng.choice(batch_size, slots, replace=False)), rng.random(slots) < 0.3
    parameters = perturbed(initial_parameters(n_items, settings, seed=seed, dtype=torch.float64), seed)
    before = some_states(tuple(layers), batch_size, seed)
    masks = masks_for(settings, slots)
    batch = one_step(inputs, targets, negatives, masks, gone=gone, previous=previous, starts=starts)
    expected = torch_gradients(TorchStep(parameters, supports, settings), batch, before)
    loss_, states, found = compiled_gradients(
        CompiledStep(copied(parameters), supports, settings, n_threads), batch, before
    )
    assert loss_ == pytest.approx(expected.loss.item(), rel=1e-6)
    for state, other in zip(states, expected.states, strict=True):
        torch.testing.assert_close(state, other[:slots], rtol=1e-6, atol=1e-8)
    whole = whole_gradients(expected, parameters)
    assert set(found) == set(whole) == set(parameters)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-5, atol=1e-8)


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
def test_steps_move_everything_as_the_torch_step_does(
    loss: str, embedding: str | int, momentum: float, slots: int, n_items: int, seed: int, n_threads: int
):
    # With few items every row occurs several times; with momentum a row that is touched for nothing would move too.
    settings = settings_of(
        loss, embedding, [3, 4], 5, n_sample=4, dropout_p_embed=0.0, dropout_p_hidden=0.0, momentum=momentum
    )
    rng = np.random.default_rng(seed)
    supports = rng.integers(1, 30, n_items)
    start = perturbed(initial_parameters(n_items, settings, seed=seed, dtype=torch.float64), seed)
    ours, expected = (
        CompiledStep(copied(start), supports, settings, n_threads),
        TorchStep(start, supports, settings),
    )
    for step in (ours, expected):
        step.begin(slots)
    for number in range(4):
        inputs, targets = rng.integers(0, n_items, (2, slots))
        starts = np.full(slots, number == 0)
        batch = one_step(inputs, targets, rng.integers(0, n_items, 4), starts=starts)
        assert ours.learn(batch) == pytest.approx(expected.learn(batch), rel=1e-6)
    state = expected.state()
    assert set(state) == set(ours.state())
    for name, value in ours.state().items():
        torch.testing.assert_close(value, state[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
def test_whole_trainings_draw_the_same_numbers_and_agree_in_float32(loss: str, embedding: str | int):
    train = random_sessions(30, 60, seed=1)
    given = {"loss": loss, "embedding": embedding, "layers": (6, 5), "epochs": 3, "batch_size": 8, "n_sample": 4}
    trained = {}
    for kind in ("torch", "compiled"):
        settings = Settings.model_validate(given | {"momentum": 0.1, "dropout_p_embed": 0.2, "step": kind})
        trainer = Trainer(Training(train, settings, seed=5), settings, seed=5)
        trained[kind] = trainer.run(), [row["loss"] for row in trainer.curve]
    assert trained["compiled"][1] == pytest.approx(trained["torch"][1], rel=2e-5)
    for name, value in trained["compiled"][0].items():
        torch.testing.assert_close(value, trained["torch"][0][name], rtol=0, atol=2e-4)


@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
def test_the_weights_do_not_depend_on_the_number_of_threads(loss: str):
    train = random_sessions(30, 60, seed=1)
    settings = Settings.model_validate(
        {"loss": loss, "layers": (6, 5), "epochs": 2, "batch_size": 8, "n_sample": 4, "step": "compiled"}
    )
    one, two = (Trainer(Training(train, settings, seed=5, n_threads=threads), settings, seed=5) for threads in (1, 2))
    weights = one.run(), two.run()
    assert one.curve == two.curve
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_at_a_score_of_0_the_elu_has_the_slope_that_torch_gives_it():
    # A query whose units are all dropped scores 0 wherever the bias is 0: the two slopes of the ELU meet there.
    settings = settings_of("bpr-max elu", "shared", [3], 2, n_sample=3, dropout_p_embed=0.0)
    parameters = initial_parameters(5, settings, seed=1, dtype=torch.float64)
    supports, masks = np.ones(5, dtype=np.int64), {"hidden.0": torch.zeros(2, 3, dtype=torch.float64)}
    batch = one_step(np.array([0, 1]), np.array([1, 2]), np.array([3, 4, 1]), masks)
    states = some_states((3,), 2, seed=1)
    expected = whole_gradients(torch_gradients(TorchStep(parameters, supports, settings), batch, states), parameters)
    _, _, found = compiled_gradients(CompiledStep(copied(parameters), supports, settings), batch, states)
    assert expected["output_bias"].any()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)
