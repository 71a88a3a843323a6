"""States for ranking: their bits depend on a history alone, at sizes where torch's rounding depends on the place."""

import numpy as np
import pytest
import torch

from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.settings import Settings
from tests.worlds import random_sessions, sessions_of

V = 50


@pytest.mark.parametrize(("layers", "embedding"), [((100,), "shared"), ((7, 9), "none")])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_history_alone_has_the_same_bits_as_among_others(layers: tuple[int, ...], embedding: str, threads: int):
    """torch.sigmoid rounds the last values of each thread's part of an array in another way than the others."""
    settings = Settings.model_validate({"layers": layers, "embedding": embedding})
    model = Model(settings)
    generator = torch.Generator().manual_seed(0)
    drawn = initial_parameters(V, settings, seed=0)
    model.parameters = {
        name: value + 0.4 * torch.randn(value.shape, generator=generator) for name, value in drawn.items()
    }
    test = random_sessions(V, 203, seed=1)
    with torch_threads(threads):
        together = model.states(test)
    events = np.concatenate([[0], np.cumsum(test.lengths - 1)])
    for session in range(test.n_sessions):
        clicks = test.items[test.offsets[session] : test.offsets[session + 1]].tolist()
        alone = model.states(sessions_of([clicks], V))
        assert torch.equal(alone, together[events[session] : events[session + 1]]), session
