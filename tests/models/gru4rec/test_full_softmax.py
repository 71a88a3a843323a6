"""GRU4Rec with the softmax over all items: held to the sampled step where the samples are all other items."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gru4rec_cli.models.gru4rec import Model, Settings
from gru4rec_cli.models.gru4rec.batches import MiniBatches
from gru4rec_cli.models.gru4rec.full_softmax import FullSoftmaxStep
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.step import TorchStep
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.official.settings import Settings as AuthorSettings
from tests.models.gru4rec.steps import (
    EMBEDDINGS,
    masks_for,
    one_step,
    perturbed,
    some_states,
    torch_gradients,
    whole_gradients,
)
from tests.worlds import random_sessions, sessions_of

V = 7
SUPPORTS = np.array([3, 1, 4, 1, 5, 9, 2])
INPUTS, TARGETS, NO_NEGATIVES = np.array([1, 4, 1]), np.array([4, 2, 2]), np.zeros(0, dtype=np.int64)


def settings_of(embedding: str | int, **more: Any) -> Settings:
    both = {"layers": (3, 5), "batch_size": 4, "dropout_p_embed": 0.3, "dropout_p_hidden": 0.2}
    return Settings.model_validate({"embedding": embedding, "n_sample": "all"} | both | more)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_gradients_are_those_of_each_slot_alone_against_all_other_items(embedding: str | int):
    settings = settings_of(embedding)
    parameters = perturbed(initial_parameters(V, settings, seed=3, dtype=torch.float64), seed=4)
    states, masks = some_states((3, 5), 3, seed=5), masks_for(settings, 3)
    together = torch_gradients(
        FullSoftmaxStep(parameters, SUPPORTS, settings), one_step(INPUTS, TARGETS, NO_NEGATIVES, masks), states
    )
    sampled = settings_of(embedding, n_sample=V - 1, logq=0.0)
    alone = []
    for slot in range(3):
        own = slice(slot, slot + 1)
        others = np.delete(np.arange(V), TARGETS[slot])
        step = one_step(INPUTS[own], TARGETS[own], others, {name: mask[own] for name, mask in masks.items()})
        alone.append(torch_gradients(TorchStep(parameters, SUPPORTS, sampled), step, [state[own] for state in states]))
    torch.testing.assert_close(together.loss, sum(found.loss for found in alone), rtol=1e-12, atol=0)
    torch.testing.assert_close(together.states, [torch.cat(of) for of in zip(*(f.states for f in alone), strict=True)])
    whole = [whole_gradients(found, parameters) for found in alone]
    for name, gradient in whole_gradients(together, parameters).items():
        expected = sum(gradients[name] for gradients in whole)
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14, msg=name)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_slots_that_are_gone_change_nothing(embedding: str | int):
    settings = settings_of(embedding, batch_size=6)
    parameters = perturbed(initial_parameters(V, settings, seed=3, dtype=torch.float64), seed=4)
    step, masks, states = (
        FullSoftmaxStep(parameters, SUPPORTS, settings),
        masks_for(settings, 3),
        some_states((3, 5), 6, seed=5),
    )
    narrow, wide = (
        torch_gradients(step, one_step(INPUTS, TARGETS, NO_NEGATIVES, masks, gone=gone), states) for gone in (0, 3)
    )
    torch.testing.assert_close(wide.loss, narrow.loss, rtol=1e-12, atol=0)
    expected = whole_gradients(narrow, parameters)
    for name, gradient in whole_gradients(wide, parameters).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-10, atol=1e-14)


def test_a_step_moves_every_item_by_the_same_distance_and_no_padding_row():
    """Adagrad's first step is the learning rate for every gradient that is not tiny, whatever its size."""
    settings = settings_of("shared", layers=(5,), dropout_p_embed=0.0, dropout_p_hidden=0.0, learning_rate=0.1)
    before = perturbed(initial_parameters(V, settings, seed=3, dtype=torch.float64), seed=4)
    step = FullSoftmaxStep(before, SUPPORTS, settings)
    step.begin(4)
    step.learn(one_step(INPUTS, TARGETS, NO_NEGATIVES, gone=1))
    moved = (step.parameters()["output_bias"] - before["output_bias"]).abs().flatten()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1), rtol=1e-3, atol=0)
    assert (step.parameters()["output_embedding"] != before["output_embedding"]).all()
    assert not step.values["output_embedding"][V].any()
    assert not step.values["output_bias"][V].any()


def test_nothing_is_drawn_and_no_event_is_left_out(monkeypatch: pytest.MonkeyPatch):
    train = random_sessions(30, 60, seed=1)
    training = Training(train, settings_of("shared", layers=(5,)), seed=1)
    assert isinstance(training.step, FullSoftmaxStep)
    drawn: list[int] = []

    def learn(batches: MiniBatches) -> list[float]:
        drawn.append(batches.negatives.shape[1])
        return FullSoftmaxStep.learn(step, batches)

    step = training.step
    monkeypatch.setattr(step, "learn", learn)
    events = sum(learned.events for learned in training.epoch(1))
    assert events == train.n_targets
    assert set(drawn) == {0}


def test_it_learns_a_cycle():
    cycle = [[(start + place) % 12 for place in range(5)] for start in range(12)] * 10
    train = sessions_of(cycle, 12)
    model = Model(Settings(n_sample="all", layers=(16,), batch_size=8, epochs=5, dropout_p_hidden=0.0))
    model.fit(train)
    assert [model.recommend([item], 1)[0] for item in range(12)] == [(item + 1) % 12 for item in range(12)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "bpr-max"}, "n_sample: all is for the loss cross-entropy, but the loss is bpr-max"),
        ({"logq": 1.0}, "logq corrects for sampling, but with n_sample: all nothing is sampled; leave logq out"),
        ({"step": "compiled"}, "step: the softmax over all items has no compiled form; set step to torch or auto"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        Settings(n_sample="all", **given)


def test_the_authors_code_has_no_softmax_over_all_items():
    with pytest.raises(ValidationError, match="n_sample: all: the author's code has no softmax over all items"):
        AuthorSettings(n_sample="all")
