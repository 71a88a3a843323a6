"""The author's code, loaded and patched to run with current versions of its libraries.

Each function patches one fault in memory; no file is changed. docs/official.md lists the faults and their reasons.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

OnStep = Callable[[int], None]  # called after a training step with its number of events

_NAMES = ("gru4rec_pytorch", "evaluation")


class AuthorCode:
    """The fetched modules, patched."""

    def __init__(self, checkout: Path, on_step: OnStep) -> None:
        self.gru = _load(checkout, _NAMES[0])
        _draw_float32(self.gru.GRU4RecModel)
        _stack_one_hot(self.gru.GRU4RecModel)
        _read_series(self.gru)
        _narrow_batches(self.gru.SessionDataIterator, on_step)
        self.evaluation = _load(checkout, _NAMES[1])  # after the patches: it takes names from the first


def _load(checkout: Path, name: str) -> ModuleType:
    """Run one fetched file as a module: these very bytes, no search path and no cached bytecode."""
    path = checkout / f"{name}.py"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _draw_float32(network: Any) -> None:
    """NumPy 2 keeps float64 where NumPy 1 gave float32, and the weights refuse it."""
    draw = network._init_numpy_weights

    @wraps(draw)
    def draw_float32(self: Any, shape: tuple[int, int]) -> Any:
        return draw(self, shape).astype(np.float32)

    network._init_numpy_weights = draw_float32


def _stack_one_hot(network: Any) -> None:
    """Layers behind a one-hot first layer are stored from index 0 and looked up from index 1: fill index 0."""
    create = network.__init__

    @wraps(create)
    def create_aligned(self: Any, *arguments: Any, **named: Any) -> None:
        create(self, *arguments, **named)
        if self.start == 1 and len(self.G):
            self.G.insert(0, torch.nn.Identity())
            self.D.insert(0, torch.nn.Identity())

    network.__init__ = create_aligned


def _read_series(module: ModuleType) -> None:
    """A tensor is made directly from a pandas Series, which torch reads by label, not by position."""
    module.torch = _TorchReadingSeries("torch")  # type: ignore[attr-defined]


class _TorchReadingSeries(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def tensor(data: Any, *arguments: Any, **named: Any) -> torch.Tensor:
        return torch.tensor(data.to_numpy(copy=True) if isinstance(data, pd.Series) else data, *arguments, **named)


def _narrow_batches(iterator: Any, on_step: OnStep) -> None:
    """With fewer sessions than the batch size it looks up sessions that do not exist: begin with a narrower batch.

    The hook that cuts the hidden states at the end of an epoch cuts them to this width. `on_step` counts the steps.
    """
    create, walk = iterator.__init__, iterator.__call__

    @wraps(create)
    def create_narrow(self: Any, data: Any, batch_size: int, *arguments: Any, **named: Any) -> None:
        create(self, data, batch_size, *arguments, **named)
        self.full_batch_size = batch_size
        self.batch_size = min(batch_size, len(self.session_idx_arr))

    @wraps(walk)
    def walk_narrow(self: Any, enable_neg_samples: bool, reset_hook: Any = None) -> Iterator[Any]:
        if self.batch_size < self.full_batch_size and reset_hook is not None:
            used = np.arange(self.full_batch_size) < self.batch_size
            if reset_hook(self.batch_size, np.zeros(self.full_batch_size, dtype=bool), used):
                return
        for inputs, columns in walk(self, enable_neg_samples, reset_hook):
            yield inputs, columns
            on_step(len(inputs))

    iterator.__init__, iterator.__call__ = create_narrow, walk_narrow


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all random numbers, also those of the initial weights, for which the author's code always seeds 42."""
    draw_from = np.random.seed
    torch.manual_seed(seed)
    with patch.object(np.random, "seed", lambda _: draw_from(seed)):
        yield
