"""A CUDA graph records launches: a step may neither read back from the device nor send to it, nor depend on data.

Without a GPU this is held on torch's `meta` device, where tensors have shapes but no values. What a single operation
does inside is not seen: only a GPU tells whether it can be recorded.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.batches import drawing, mini_batches, walk_sessions
from gru4rec_cli.models.gru4rec.cuda_graph import GraphStep
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.neural.sampling import NegativeSampler
from tests.models.gru4rec.steps import LOSSES
from tests.worlds import random_sessions

META = torch.device("meta")


class Watching(TorchDispatchMode):
    """Notes operations that take or give a tensor of another device: a value on its way between CPU and device."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.crossings: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        self.operations += 1
        tensors: Iterator[Tensor] = (leaf for leaf in tree_leaves((args, kwargs, found)) if isinstance(leaf, Tensor))
        if any(tensor.device != META for tensor in tensors):
            self.crossings.append(str(function))
        return found


def step_of(settings: Settings) -> GraphStep:
    """A step on the device whose first mini-batches are there."""
    train = random_sessions(30, 60, seed=1)
    step = GraphStep(initial_parameters(train.n_items, settings, seed=1), train.supports(), settings, META)
    sampler = NegativeSampler(train.supports(), settings.sample_alpha)
    walks = walk_sessions(train.offsets, settings.batch_size)
    step.begin(min(settings.batch_size, train.n_sessions))
    step.fill(next(mini_batches(train, walks, drawing(sampler, settings, seed=1))))
    return step


@pytest.mark.parametrize("momentum", [0.0, 0.1])
@pytest.mark.parametrize("embedding", ["shared", 3, "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_neither_reads_from_the_device_nor_sends_to_it(loss: str, embedding: str | int, momentum: float):
    given = {**LOSSES[loss], "embedding": embedding, "layers": (4, 5), "momentum": momentum, "n_sample": 6}
    settings = Settings.model_validate(given | {"dropout_p_embed": 0.2, "dropout_p_hidden": 0.3})
    step = step_of(settings)
    step.advance()  # makes what is made once
    with Watching() as seen:
        step.advance()
    assert seen.operations > 50
    assert seen.crossings == []


def test_both_would_be_noticed():
    with Watching() as seen:
        torch.zeros(3, device=META).add_(torch.zeros(3).sum())
    assert "aten.add_.Tensor" in seen.crossings
    with pytest.raises(RuntimeError, match="meta"):
        torch.zeros(3, device=META).nonzero()
