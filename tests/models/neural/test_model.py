"""Neural models in programs that use torch for something else."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import Block
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.neural.model import NeuralModel
from tests.models.small import GRADIENT, SMALL_GRADIENT
from tests.worlds import random_sessions

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("gru4rec", {"layers": (4,), "epochs": 1, "batch_size": 8, "n_sample": 4, "step": "torch"}),
    ("gru4rec", {"layers": (4,), "epochs": 1, "batch_size": 8, "n_sample": 4, "step": "compiled"}),
    *((kind, SMALL_GRADIENT | {"epochs": 1}) for kind in GRADIENT),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_a_model_learns_the_same_where_gradients_are_switched_off(kind: str, settings: dict[str, Any]):
    def fitted() -> NeuralModel[Any]:
        model = registry.model_class(kind)(registry.settings_class(kind)(**settings))
        assert isinstance(model, NeuralModel)
        model.fit(random_sessions(20, 50, seed=1), FitContext(seed=3))
        return model

    expected = fitted()
    with torch.no_grad():
        found = fitted()
    assert set(found.parameters) == set(expected.parameters)
    assert all(torch.equal(value, expected.parameters[name]) for name, value in found.parameters.items())


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_a_recommendation_is_computed_on_one_thread(
    kind: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """Fault 13: it takes a few milliseconds on a busy machine, too, if it need not wait for other threads."""
    model = registry.model_class(kind)(registry.settings_class(kind)(**settings))
    model.fit(random_sessions(20, 50, seed=1), FitContext(seed=3))
    score, threads = model.score, []

    def observed(sessions: Sessions) -> Iterator[Block]:
        threads.append(torch.get_num_threads())
        yield from score(sessions)

    monkeypatch.setattr(model, "score", observed)
    with torch_threads(2):
        model.recommend([1, 2], 5)
        assert threads == [1]
        assert torch.get_num_threads() == 2
