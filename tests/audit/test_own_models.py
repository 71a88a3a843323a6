"""Our kinds of models pass what is checked of how they number items, learn and see, and do not with a planted fault."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gru4rec_cli.audit.check import Choice, Result
from gru4rec_cli.audit.model import audit_model
from gru4rec_cli.audit.own_models import scorer_of
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation.scores import ScoreBlock
from gru4rec_cli.models import markov, registry, stamp
from gru4rec_cli.models.base import FitContext, FitReport
from gru4rec_cli.models.checks import random_sessions, settings_of
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.models.gru4rec.model import Model as GRU4Rec
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.settings import NeuralSettings
from tests.audit.faulty import by_id, wrong
from tests.models.small import GRADIENT, SMALL_GRADIENT

TRAIN = random_sessions(30, 120, seed=1)
HISTORIES = [[3], [5, 7], [7, 5, 5, 11], [29, 2], [8, 8]]
SMALL_GRU4REC: dict[str, Any] = {"layers": [8], "epochs": 1, "batch_size": 16, "n_sample": 8, "dropout_p_embed": 0.2}
CASES: list[tuple[str, dict[str, Any]]] = [
    *((kind, SMALL_GRADIENT) for kind in GRADIENT),
    *(("gru4rec", SMALL_GRU4REC | {"layers": [8, 6], "embedding": embedding}) for embedding in ("none", 5)),
    ("gru4rec", SMALL_GRU4REC | {"embedding": "shared", "loss": "bpr-max"}),
    ("iknn", {"n_sims": 3}),
    *((kind, {"pruning": 2}) for kind in ("ar", "sr")),
    *((kind, {"k": 5, "sample_size": 20}) for kind in ("sknn", "vsknn", "stan", "vstan")),
]
CASES += [(kind, {}) for kind in registry.kinds() if kind not in {"official", "gru4rec", *GRADIENT}]


def checked(kind: str, values: dict[str, Any], model: type[Any] | None = None) -> dict[str, Result]:
    """The checks of a small model of a kind, or of another class in its place."""
    settings = settings_of(kind, values)
    fitted = (model or registry.model_class(kind))(settings)
    fitted.fit(TRAIN, FitContext(seed=7))
    whole = FittedModel(kind, settings, 7, fitted, TRAIN.vocabulary.ids)
    scorer = scorer_of(kind, whole, HISTORIES, lambda: scorer_of(kind, whole, HISTORIES, lambda: plain).score)
    plain = scorer.score
    return by_id(audit_model(scorer, Choice(("M12", "M14", "M15", "M16"))).results)


@pytest.mark.parametrize(("kind", "values"), CASES, ids=str)
def test_every_kind_passes_or_says_why_it_cannot_be_checked(kind: str, values: dict[str, Any]):
    found = checked(kind, values)
    assert wrong(found) == set(), found
    is_neural = issubclass(registry.settings_class(kind), NeuralSettings)
    not_checked = set() if is_neural else {"M15-gradients"}
    not_checked |= {"M14-item-numbers"} if kind == "random" else set()
    assert {name for name, result in found.items() if result.verdict == "NOT CHECKED"} == not_checked


class FirstItemPassedOver(GRU4Rec):
    """Scores as if item 0 were padding."""

    def states(self, sessions: Sessions) -> torch.Tensor:
        return super().states(replace(sessions, items=np.where(sessions.items == 0, UNSEEN, sessions.items)))


class NumberAdded(markov.Model):
    """Lets the number of an item decide between scores that are nearly equal."""

    def score(self, sessions: Sessions) -> Iterator[Any]:
        for block in super().score(sessions):
            yield ScoreBlock(block.start, (block.dense() + 0.01 * np.arange(block.n_items)).astype(np.float32))


@pytest.mark.parametrize(
    ("kind", "values", "model"), [("gru4rec", SMALL_GRU4REC, FirstItemPassedOver), ("markov", {}, NumberAdded)]
)
def test_item_numbers_that_count_are_found(kind: str, values: dict[str, Any], model: type[Any]):
    assert wrong(checked(kind, values, model)) == {"M14-item-numbers"}


def with_parameter(learner: GradientLearner[Any], name: str, value: torch.Tensor, product: float | None) -> Any:
    """The learner with one more parameter, whose product with a number is added to every loss, or that is left out."""
    parameter = value.requires_grad_()
    losses = learner._losses

    def more(batch: Any, generator: np.random.Generator) -> torch.Tensor:
        found = losses(batch, generator)
        return found if product is None else found + product * parameter.sum()

    optimizers = [*learner.optimizers, torch.optim.Adam([parameter], weight_decay=0.1)]
    trained = learner.trained | {name: parameter}
    return GradientLearner(trained, optimizers, learner.n_events, learner._batches, more)


@pytest.mark.parametrize(("product", "idle"), [(None, 1), (0.0, 1), (0.5, 0)])
def test_a_parameter_without_a_gradient_is_found_although_its_weight_decays(product: float | None, idle: int):
    class More(stamp.Model):
        def learner(self, train: Sessions, seed: int) -> GradientLearner[Any]:
            return with_parameter(super().learner(train, seed), "more", torch.ones(3), product)  # type: ignore[no-any-return]

    result = checked("stamp", SMALL_GRADIENT, More)["M15-gradients"]
    assert result.figure == idle
    assert result.evidence.endswith("have no gradient: more" if idle else "have no gradient")


def test_a_row_of_an_item_matrix_that_no_click_reaches_is_found():
    class Swallowing(GRU4Rec):
        def learner(self, train: Sessions, seed: int) -> Any:
            return super().learner(replace(train, items=np.maximum(train.items, 1)), seed)

    result = checked("gru4rec", SMALL_GRU4REC | {"embedding": 5}, Swallowing)["M15-gradients"]
    assert result.verdict == "FAIL"
    assert "input_embedding[0]" in result.evidence
    assert "input_embedding[1]" not in result.evidence


class NextClickAdded(markov.Model):
    """Looks at the click that is to be predicted."""

    def score(self, sessions: Sessions) -> Iterator[Any]:
        scores = np.concatenate([block.dense() for block in super().score(sessions)])
        scores[np.arange(len(scores)), sessions.target_items()] += 50
        yield ScoreBlock(0, scores)


class NextTimeAdded(markov.Model):
    """Looks at the time of that click."""

    def score(self, sessions: Sessions) -> Iterator[Any]:
        scores = np.concatenate([block.dense() for block in super().score(sessions)])
        scores[:, 0] += np.diff(sessions.times)[sessions.input_rows()] / 1e9
        yield ScoreBlock(0, scores)


@pytest.mark.parametrize("model", [NextClickAdded, NextTimeAdded])
def test_a_model_that_sees_the_future_is_found(model: type[Any]):
    assert "M16-future" in wrong(checked("markov", {}, model))


def test_a_network_that_cannot_be_trained_here_says_so():
    class Elsewhere(stamp.Model):
        def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
            report = super().fit(train, context)
            self.settings = self.settings.model_copy(update={"device": "cuda"})
            return report

    if torch.cuda.is_available():
        pytest.skip("there is such a device")
    found = checked("stamp", SMALL_GRADIENT, Elsewhere)["M15-gradients"]
    assert found.verdict == "NOT CHECKED"
    assert "it cannot be trained here" in found.evidence
