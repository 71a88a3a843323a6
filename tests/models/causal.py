"""What holds for models that Adam trains, and what for causal ones, whose module a test gives with small settings.

`parameters` are large, so that everything in the network matters; `doubles` are the same in float64, with gradients.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.neural import causal, gradient, objective
from gru4rec_cli.models.neural import model as neural_model
from gru4rec_cli.models.neural.batches import Batch, batch_of, cut_sessions
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens
from gru4rec_cli.models.neural.gradient import DenseGradient
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.objective import Objective
from gru4rec_cli.models.neural.sampling import no_dropout
from gru4rec_cli.models.neural.settings import GradientSettings
from gru4rec_cli.models.neural.trainer import Trainer
from tests.worlds import random_sessions, sessions_of, with_supports

Check = Callable[[ModuleType, GradientSettings], None]
Fields = dict[str, tuple[dict[str, Any], Any]]  # setting → what else to set for both, another value
SEQUENCES = [[3, 1, 4, 1, 5], [2, 6], [5, 3, 5, 0]]
V = 7


def large(module: ModuleType, n_items: int, settings: GradientSettings, seed: int = 0) -> Parameters:
    """Parameters so large that everything in the network matters."""
    generator = torch.Generator().manual_seed(seed)
    drawn = module.initial_parameters(n_items, settings, seed)
    return {name: value + 0.4 * torch.randn(value.shape, generator=generator) for name, value in drawn.items()}


def doubles(parameters: Parameters) -> Parameters:
    return {name: value.double().requires_grad_() for name, value in parameters.items()}


def small_batch(sequences: list[list[int]] = SEQUENCES, n_items: int = V) -> Batch:
    sessions = sessions_of(sequences, n_items)
    return batch_of(sessions.items, cut_sessions(sessions, 100), np.arange(len(sequences)))


def tokens_of(batch: Batch, *, exact: bool = False) -> Tokens:
    return Tokens(torch.from_numpy(batch.inputs), batch.positions, batch.lengths, exact)


def model_of(module: ModuleType, n_items: int, settings: GradientSettings) -> NeuralModel[Any]:
    model: NeuralModel[Any] = module.Model(settings)
    model.parameters = large(module, n_items, settings)
    return model


def changed(settings: GradientSettings, **changes: Any) -> GradientSettings:
    return type(settings).model_validate(settings.model_dump() | changes)


def scores(model: NeuralModel[Any], sessions: Sessions) -> Float64Array:
    return np.concatenate([block.dense() for block in model.score(sessions)])


def summed_loss(module: ModuleType, settings: GradientSettings, parameters: Parameters, batch: Batch) -> Tensor:
    """The cross-entropy over all items of every event, (N,), without dropout."""
    states = module.states(parameters, settings, tokens_of(batch), no_dropout)
    vectors = getattr(module, "item_vectors", lambda rows, *_: rows)(parameters[ITEMS], no_dropout)
    return cross_entropy(states @ vectors.T, torch.from_numpy(batch.targets), reduction="none")


def check_copies_of_every_prefix_give_the_gradient_of_one_causal_pass(
    module: ModuleType, settings: GradientSettings
) -> None:
    prefixes = [clicks[:length] for clicks in SEQUENCES for length in range(2, len(clicks) + 1)]
    gradients = []
    for sequences in (SEQUENCES, prefixes):
        parameters, batch = doubles(large(module, V, settings)), small_batch(sequences)
        losses = summed_loss(module, settings, parameters, batch)
        if sequences is prefixes:
            losses = losses[np.cumsum(batch.lengths) - 1]
        losses.sum().backward()
        gradients.append([value.grad for value in parameters.values()])
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def check_sequences_beside_a_sequence_change_nothing_in_training(
    module: ModuleType, settings: GradientSettings
) -> None:
    parameters = doubles(large(module, V, settings))
    together = module.states(parameters, settings, tokens_of(small_batch()), no_dropout)
    alone = [module.states(parameters, settings, tokens_of(small_batch([clicks])), no_dropout) for clicks in SEQUENCES]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


def check_scoring_computes_what_training_does(module: ModuleType, settings: GradientSettings) -> None:
    parameters, batch = doubles(large(module, V, settings)), small_batch()
    one, other = (
        module.states(parameters, settings, tokens_of(batch, exact=exact), no_dropout) for exact in (False, True)
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def check_the_sparse_gradient_is_that_of_plain_indexing(module: ModuleType, settings: GradientSettings) -> None:
    these = changed(settings, loss="sampled-softmax", n_sample=5)
    expected = gradient_of_items(module, these, plain=True)
    found = gradient_of_items(module, these, plain=False)
    assert found.is_sparse
    torch.testing.assert_close(found.to_dense(), expected, rtol=1e-12, atol=1e-12)
    dense = DenseGradient(expected)
    dense.of(
        torch.sparse_coo_tensor(
            torch.tensor([[0, 0, V - 1]]),
            torch.ones(3, expected.shape[1]).double(),
            expected.shape,
            check_invariants=True,
        )
    )
    torch.testing.assert_close(dense.of(found), expected, rtol=1e-12, atol=1e-12)  # nothing of the step before is left


def gradient_of_items(module: ModuleType, settings: GradientSettings, *, plain: bool) -> torch.Tensor:
    """Return the gradient of the item matrix by a small batch; `plain`: with matrix[rows] for every lookup."""
    parameters, batch = doubles(large(module, V, settings)), small_batch()
    sampled = Objective(np.ones(V, dtype=np.int64), settings, torch.device("cpu"))
    sampled.log_q = sampled.log_q.double()
    targets, generator = torch.from_numpy(batch.targets), np.random.default_rng(0)
    with ExitStack() as stack:
        for place in (module, objective) if plain else ():
            stack.enter_context(patch.object(place, "embedding", lambda rows, matrix, sparse: matrix[rows]))
        states = module.states(parameters, settings, tokens_of(batch), no_dropout)
        sampled(states, targets, parameters[ITEMS], generator).sum().backward()
    found = parameters[ITEMS].grad
    assert found is not None
    return found


def check_every_event_scored_alone_has_the_same_bits(module: ModuleType, settings: GradientSettings) -> None:
    test = random_sessions(60, 30, seed=2, longest=40)
    for length in (3, 50):
        model = model_of(module, 60, changed(settings, length=length))
        together = scores(model, test)
        sessions, depths = test.event_sessions(), test.event_positions()
        for threads in (1, 2):
            with torch_threads(threads):
                for event in np.random.default_rng(0).choice(test.n_targets, 30, replace=False):
                    start = test.offsets[sessions[event]]
                    items = test.items[start : start + depths[event]].tolist()
                    assert scores(model, sessions_of([[*items, 0]], 60))[-1].tobytes() == together[event].tobytes()
                    cut = sessions_of([[*items[-length:], 0]], 60)  # nothing before the last clicks matters
                    assert scores(model, cut)[-1].tobytes() == together[event].tobytes()


def check_batching_changes_no_bit(module: ModuleType, settings: GradientSettings) -> None:
    test = random_sessions(60, 40, seed=2, longest=30)
    model = model_of(module, 60, changed(settings, length=10))
    expected = model.states(test)
    rng = np.random.default_rng(0)
    for size in (1, 50, 400):
        with patch.object(causal, "_TOKENS_AT_ONCE", size):
            assert torch.equal(model.states(test), expected)
            events = np.split(np.arange(test.n_targets), np.cumsum(test.lengths - 1)[:-1])
            chosen = rng.permutation(test.n_sessions)[: rng.integers(1, 40)]
            assert torch.equal(model.states(test.select(chosen)), expected[np.concatenate([events[s] for s in chosen])])


def check_a_later_click_changes_no_bit_of_an_earlier_score(module: ModuleType, settings: GradientSettings) -> None:
    model = model_of(module, 60, changed(settings, length=5))
    session = np.random.default_rng(0).integers(0, 60, 20).tolist()
    one, other = scores(model, sessions_of([session], 60)), scores(model, sessions_of([[*session[:12], 7, 8]], 60))
    assert one[:12].tobytes() == other[:12].tobytes()
    assert one[12].tobytes() != other[12].tobytes()


def check_unseen_clicks_are_passed_over(module: ModuleType, settings: GradientSettings) -> None:
    model = model_of(module, 60, settings)
    nothing = scores(model, sessions_of([[UNSEEN, UNSEEN, 5, 6], [3, 4]], 60))[:2]
    assert (nothing == (model.parameters[model.bias].numpy() if model.bias else 0)).all()
    with_unseen, without = sessions_of([[4, UNSEEN, 9, 2, 1]], 60), sessions_of([[4, 9, 2, 1]], 60)
    assert scores(model, with_unseen)[-1].tobytes() == scores(model, without)[-1].tobytes()


def check_a_continued_training_equals_an_uninterrupted_one(module: ModuleType, settings: GradientSettings) -> None:
    train = random_sessions(30, 60, seed=1)
    for sparse in (False, True):
        whole = changed(settings, sparse_adam=sparse, epochs=4, loss="sampled-softmax", n_sample=8)
        half = changed(whole, epochs=2)
        model = module.Model(whole)
        uninterrupted = Trainer(model.learner(train, 5), whole, 5)
        uninterrupted.run()
        with tempfile.TemporaryDirectory() as folder:
            Trainer(model.learner(train, 5), half, 5).run(checkpoints=Path(folder))
            continued = Trainer(model.learner(train, 5), whole, 5)
            continued.run(checkpoints=Path(folder))
        assert continued.curve == uninterrupted.curve
        one, other = continued.learner.state(), uninterrupted.learner.state()
        assert one.keys() == other.keys()
        assert all(one[name].numpy().tobytes() == other[name].numpy().tobytes() for name in one)


def check_weights_do_not_depend_on_the_number_of_threads(module: ModuleType, settings: GradientSettings) -> None:
    train = random_sessions(300, 300, seed=1)
    these = changed(settings, epochs=1, n_sample=512, hidden_size=64)
    weights = []
    for threads in (1, 2):
        with torch_threads(threads):
            parameters = Trainer(module.Model(these).learner(train, 3), these, 3).run()
            weights.append({name: value.numpy().tobytes() for name, value in parameters.items()})
    assert weights[0] == weights[1]


def check_every_event_of_an_epoch_is_learnt_from(module: ModuleType, settings: GradientSettings) -> None:
    train = random_sessions(30, 60, seed=1, longest=30)
    learnt: list[Int64Array] = []

    def seen(*given: Any) -> Batch:
        batch = batch_of(*given)
        learnt.append(np.stack([batch.inputs, batch.targets]))
        return batch

    with patch.object(causal, "batch_of", seen), patch.object(gradient, "_STEPS_AT_ONCE", 2):
        learner = module.Model(settings).learner(train, 3)
        assert sum(step.events for step in learner.epoch(1)) == learner.n_events == train.n_targets
    rows = train.input_rows()
    expected = np.stack([train.items[rows], train.items[rows + 1]])
    assert sorted(np.concatenate(learnt, axis=1).T.tolist()) == sorted(expected.T.tolist())


def assert_gradient_is_the_slope(
    parameters: Parameters, loss: Callable[[dict[str, Float64Array]], float], rtol: float = 1e-5
) -> None:
    """Compare every gradient with a central difference of a plain definition of the loss, which takes arrays."""
    arrays = {name: value.detach().numpy().copy() for name, value in parameters.items()}
    step = 1e-6
    for name, array in arrays.items():
        slope = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            at = array[place]
            ends = []
            for moved in (at - step, at + step):
                array[place] = moved
                ends.append(loss(arrays))
            array[place] = at
            slope[place] = (ends[1] - ends[0]) / (2 * step)
        found = parameters[name].grad
        assert found is not None, name
        np.testing.assert_allclose(found.to_dense().numpy(), slope, rtol=rtol, atol=1e-7, err_msg=name)


CAUSAL_CHECKS: list[Check] = [value for name, value in list(globals().items()) if name.startswith("check_")]
# Those that hold for a model with batches and scoring of its own, too.
GENERAL_CHECKS: list[Check] = [
    check_every_event_scored_alone_has_the_same_bits,
    check_batching_changes_no_bit,
    check_a_later_click_changes_no_bit_of_an_earlier_score,
    check_unseen_clicks_are_passed_over,
    check_a_continued_training_equals_an_uninterrupted_one,
    check_weights_do_not_depend_on_the_number_of_threads,
]

# Another value of every setting that all gradient-trained models have, and what else to set for both.
FIELDS: Fields = {
    "epochs": ({}, 3),
    "validate_on": ({"epochs": 6}, "recall@5"),
    "patience": ({"epochs": 6, "validate_on": "recall@5"}, 1),
    "hidden_size": ({}, 4),
    "length": ({}, 4),
    "batch_size": ({}, 8),
    "order": ({}, "time"),
    "learning_rate": ({}, 0.02),
    "lr_decay": ({"lr_decay_every": 1}, 0.5),
    "lr_decay_every": ({"lr_decay": 0.5, "epochs": 3}, 1),
    "beta2": ({}, 0.99),
    "sparse_adam": ({}, True),
    "loss": ({}, "cross-entropy"),
    "n_sample": ({}, 9),
    "negatives": ({}, "own"),
    "sample_alpha": ({}, 0.5),
    "gbce_t": ({"loss": "gbce"}, 0.5),
}


def assert_every_setting_changes_the_scores(
    module: ModuleType, settings: GradientSettings, more_fields: Fields
) -> None:
    """Fit with one value and with another: of every setting but `device`, which changes rounding alone.

    The second of six epochs has a higher value on validation than the first and third, and the fourth has the highest.
    """
    fields = FIELDS | more_fields
    assert set(fields) == set(type(settings).model_fields) - {"device"}
    rng = np.random.default_rng(1)
    clicks = [(40 * rng.random(rng.integers(2, 10)) ** 2).astype(int).tolist() for _ in range(100)]
    train, test = with_supports(sessions_of(clicks, 40), [1] * 40), random_sessions(40, 30, seed=2)
    for field, (both, value) in fields.items():
        found = []
        for more in ({}, {field: value}):
            measured = iter([0.2, 0.5, 0.1, 0.6, 0.1, 0.1])
            model = module.Model(changed(settings, **both | more))
            with patch.object(neural_model, "metric_values", lambda *_, m=measured: np.array([next(m)])):
                model.fit(train, FitContext(valid=random_sessions(40, 30, seed=4), seed=7))
            found.append(scores(model, test).tolist())
        assert found[0] != found[1], field
