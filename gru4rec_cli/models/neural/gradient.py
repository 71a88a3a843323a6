"""Training by a gradient and torch's optimisers: for models whose step is a loss, `backward`, and an update."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.models.neural.trainer import Learned, Parameters

_STEPS_AT_ONCE = 32  # whose losses are read from the device together

AnyBatch = TypeVar("AnyBatch")


class GradientLearner(Generic[AnyBatch]):
    """Minimises the mean loss of a batch's events; see `neural.trainer.Learner`.

    `batches(generator)` gives the batches of an epoch, `losses(batch, generator)` the loss of every event of one, (N,).
    Both draw everything random from the generator of the epoch.
    """

    def __init__(
        self,
        trained: Parameters,
        optimizers: list[torch.optim.Optimizer],
        n_events: int,
        batches: Callable[[np.random.Generator], Iterable[AnyBatch]],
        losses: Callable[[AnyBatch, np.random.Generator], Tensor],
    ) -> None:
        """`trained` are leaves on the device, each with one of the optimizers; `n_events` are those of an epoch."""
        self.trained = trained
        self.optimizers = optimizers
        self.n_events = n_events
        self.device = next(iter(trained.values())).device
        self._batches, self._losses = batches, losses
        self._name_of = {value: name for name, value in trained.items()}

    def epoch(self, seed: int) -> Iterator[Learned]:
        """Take one step a batch."""
        generator = np.random.Generator(np.random.PCG64(seed))
        losses: list[Tensor] = []
        events = 0
        with torch_threads(1):  # so that weights do not depend on how many there are
            for batch in self._batches(generator):
                of_events = self._learn(batch, generator)
                losses.append(of_events.sum())
                events += len(of_events)
                if len(losses) == _STEPS_AT_ONCE:
                    yield Learned(torch.stack(losses).tolist(), events)
                    losses, events = [], 0
            if losses:
                yield Learned(torch.stack(losses).tolist(), events)

    @torch.enable_grad()
    def _learn(self, batch: AnyBatch, generator: np.random.Generator) -> Tensor:
        """Take one step and return the loss of every event, (N,)."""
        losses = self._losses(batch, generator)
        torch.autograd.backward(losses.mean())
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return losses.detach()

    def parameters(self) -> Parameters:
        """Return the parameters on the CPU."""
        return {name: value.detach().cpu() for name, value in self.trained.items()}

    def state(self) -> Parameters:
        """Return all that a continued training needs."""
        return self.parameters() | {
            f"optimizer.{self._name_of[parameter]}.{key}": torch.as_tensor(value).cpu()
            for optimizer in self.optimizers
            for parameter, kept in optimizer.state.items()
            for key, value in kept.items()
        }

    def restore(self, state: Parameters) -> None:
        """Go on from what `state` returned."""
        for name, parameter in self.trained.items():
            parameter.data.copy_(state[name])
        for optimizer in self.optimizers:
            for parameter in (value for group in optimizer.param_groups for value in group["params"]):
                prefix = f"optimizer.{self._name_of[parameter]}."
                kept = {key: value.to(self.device) for key, value in state.items() if key.startswith(prefix)}
                optimizer.state[parameter] = {key.removeprefix(prefix): value for key, value in kept.items()}
                if isinstance(optimizer, torch.optim.SparseAdam):  # which counts its steps as an int
                    optimizer.state[parameter]["step"] = int(optimizer.state[parameter]["step"])
