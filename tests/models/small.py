"""Small settings of every neural kind that Adam trains, found by its settings: a new one is tested on arrival."""

from typing import Any

from gru4rec_cli.models import registry
from gru4rec_cli.models.neural.settings import GradientSettings

GRADIENT = [kind for kind in registry.kinds() if issubclass(registry.settings_class(kind), GradientSettings)]
SMALL_GRADIENT: dict[str, Any] = {
    "hidden_size": 16,
    "length": 6,
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.005,
    "loss": "sampled-softmax",
    "n_sample": 8,
}
