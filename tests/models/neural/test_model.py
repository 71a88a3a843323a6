"""Neural models in programs that use torch for something else."""

from typing import Any

import pytest
import torch

from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.neural.model import NeuralModel
from tests.worlds import random_sessions

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("gru4rec", {"layers": (4,), "epochs": 1, "batch_size": 8, "n_sample": 4, "step": "torch"}),
    ("gru4rec", {"layers": (4,), "epochs": 1, "batch_size": 8, "n_sample": 4, "step": "compiled"}),
    ("sasrec", {"hidden_size": 4, "epochs": 1, "batch_size": 8, "n_sample": 4}),
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
