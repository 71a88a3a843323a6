"""Training by a gradient and torch's optimisers: for models whose step is a loss, `backward`, and an update."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.models.neural.settings import GradientSettings
from gru4rec_cli.models.neural.trainer import Learned, Parameters

_STEPS_AT_ONCE = 32  # whose losses are read from the device together
_EPOCHS = "epochs"  # in the state: those that are done

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
        *,
        largest_norm: float | None = None,
        factor: Callable[[int], float] = lambda epoch: 1.0,
    ) -> None:
        """Take `trained`, leaves on the device, each with one of the optimizers; `n_events` are those of an epoch.

        Gradients whose norm, all together, is above `largest_norm` are shortened to it. The learning rate of epoch 1,
        2, … is that of the optimizers times `factor(epoch)`.
        """
        self.trained = trained
        self.optimizers = optimizers
        self.n_events = n_events
        self.device = next(iter(trained.values())).device
        self._batches, self._losses = batches, losses
        self._largest_norm, self._factor = largest_norm, factor
        self._rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
        self._epochs = 0  # that were begun
        self._name_of = {value: name for name, value in trained.items()}
        self._dense: dict[Tensor, DenseGradient] = {}

    def epoch(self, seed: int) -> Iterator[Learned]:
        """Take one step a batch."""
        self._epochs += 1
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate * self._factor(self._epochs)
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
        self._make_dense()
        if self._largest_norm is not None:
            shorten_gradients(self.trained.values(), self._largest_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return losses.detach()

    def _make_dense(self) -> None:
        """Make gradients dense where an optimizer changes the whole parameter."""
        for optimizer in self.optimizers:
            if isinstance(optimizer, torch.optim.SparseAdam):
                continue
            for parameter in (value for group in optimizer.param_groups for value in group["params"]):
                if parameter.grad is not None and parameter.grad.is_sparse:
                    dense = self._dense.setdefault(parameter, DenseGradient(parameter))
                    parameter.grad = dense.of(parameter.grad)

    def parameters(self) -> Parameters:
        """Return the parameters on the CPU."""
        return {name: value.detach().cpu() for name, value in self.trained.items()}

    def state(self) -> Parameters:
        """Return all that a continued training needs."""
        optimizers = {
            f"optimizer.{self._name_of[parameter]}.{key}": torch.as_tensor(value).cpu()
            for optimizer in self.optimizers
            for parameter, kept in optimizer.state.items()
            for key, value in kept.items()
        }
        return self.parameters() | optimizers | {_EPOCHS: torch.tensor(self._epochs)}

    def restore(self, state: Parameters) -> None:
        """Go on from what `state` returned."""
        for name, parameter in self.trained.items():
            parameter.data.copy_(state[name])
        self._epochs = int(state[_EPOCHS])
        for optimizer in self.optimizers:
            for parameter in (value for group in optimizer.param_groups for value in group["params"]):
                prefix = f"optimizer.{self._name_of[parameter]}."
                kept = {key: value.to(self.device) for key, value in state.items() if key.startswith(prefix)}
                optimizer.state[parameter] = {key.removeprefix(prefix): value for key, value in kept.items()}
                if isinstance(optimizer, torch.optim.SparseAdam):  # which counts its steps as an int
                    optimizer.state[parameter]["step"] = int(optimizer.state[parameter]["step"])


class DenseGradient:
    """The gradient of a matrix (V, D) of which a step uses few rows, in memory that is kept from step to step.

    To fill V rows with zeros in every lookup of every step, as torch's dense gradients do, takes longer than to train.
    """

    def __init__(self, parameter: Tensor) -> None:
        self.values = torch.zeros_like(parameter)
        self.rows = torch.zeros(0, dtype=torch.int64, device=parameter.device)  # those that are not zero

    def of(self, sparse: Tensor) -> Tensor:
        """Return a sparse gradient as a dense one, which is valid until the next call. Rows may occur several times."""
        self.values[self.rows] = 0
        self.rows = sparse._indices()[0]
        return self.values.index_put_((self.rows,), sparse._values(), accumulate=True)


def adam(trained: Parameters, settings: GradientSettings, weight_decay: float = 0.0) -> list[torch.optim.Optimizer]:
    """Return Adam for all parameters, SparseAdam for the item matrix `items` where the settings say so.

    `weight_decay` is Adam's own, coupled with the gradient: the gradient of weight_decay / 2 · ‖p‖² is added.
    """
    rate, betas = settings.learning_rate, (0.9, settings.beta2)
    sparse = [value for name, value in trained.items() if name == "items" and settings.sparse_adam]
    dense = [value for name, value in trained.items() if name != "items" or not settings.sparse_adam]
    optimizers: list[torch.optim.Optimizer] = []
    if dense:
        optimizers.append(torch.optim.Adam(dense, rate, betas, weight_decay=weight_decay, fused=True))
    if sparse:
        optimizers.append(torch.optim.SparseAdam(sparse, rate, betas))
    return optimizers


def shorten_gradients(trained: Iterable[Tensor], largest_norm: float) -> None:
    """Multiply all gradients, dense and sparse, by one factor where their norm, all together, is above the largest."""
    gradients = []
    for parameter in trained:
        gradient = parameter.grad
        if gradient is not None and gradient.is_sparse:
            parameter.grad = gradient = gradient.coalesce()  # rows that occur several times are added up
            gradient = gradient.values()
        if gradient is not None:
            gradients.append(gradient)
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    factor = (largest_norm / (norm + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factor)
