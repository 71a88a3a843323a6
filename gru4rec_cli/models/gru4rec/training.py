"""A training of GRU4Rec as the trainer needs it: an epoch is one walk through the sessions, by one kind of step."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.threads import ahead, torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec.batches import (
    NEGATIVES_AT_ONCE,
    count_events,
    drawing,
    min_slots,
    mini_batches,
    split_walks,
    walk_sessions,
)
from gru4rec_cli.models.gru4rec.full_softmax import FullSoftmaxStep
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.settings import COMPILED_LOSSES, Settings
from gru4rec_cli.models.gru4rec.step import TorchStep
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.sampling import NegativeSampler
from gru4rec_cli.models.neural.trainer import Learned

if TYPE_CHECKING:
    from gru4rec_cli.models.gru4rec.compiled import CompiledStep

# Numbers in the item vectors that a training reads, from which on compiling pays: the torch step takes about 35 ns for
# each, the compiled one a fifth to a tenth of that, and compiling takes 40 to 60 s.
LONG = 1_000_000_000
# Of logQ corrections, strength · log(clicks on the most frequent item), that the compiled step computes exactly: it
# drops terms below e^-40 of a sum before it weighs them by up to this exponent. logq: 1 is far below it on any log.
LARGEST_CORRECTION = 20.0


class Training:
    """A training of GRU4Rec; see `neural.trainer.Learner`."""

    def __init__(self, train: Sessions, settings: Settings, seed: int, *, n_threads: int | None = None) -> None:
        """`n_threads` share a compiled step, by default as many as `base.threads.training_threads` returns.

        Raises:
            UsageError: the device that the settings name is not there.
        """
        self.train = train.with_targets()  # a walk goes from pair to pair
        self.settings = settings
        self.n_events = count_events(self.train, settings)
        self.device = find_device("cpu" if settings.step == "compiled" else settings.device)
        self.walk, sampler, supports = walk_sessions, NegativeSampler, train.supports()
        self.step: TorchStep | CompiledStep
        parameters = initial_parameters(train.n_items, settings, seed)
        if kind_of_step(settings, train, self.device) == "compiled":
            from gru4rec_cli.models.gru4rec import compiled

            self.walk, sampler = compiled.walk_sessions, compiled.NegativeSampler
            self.step = compiled.CompiledStep(parameters, supports, settings, n_threads)
        elif settings.full_softmax:
            self.step = FullSoftmaxStep(parameters, supports, settings, self.device)
        elif self.device.type == "cuda":
            from gru4rec_cli.models.gru4rec.cuda_graph import GraphStep

            self.step = GraphStep(parameters, supports, settings, self.device)
        else:
            self.step = TorchStep(parameters, supports, settings, self.device)
        self.sampler = sampler(supports, settings.sample_alpha)

    def epoch(self, seed: int) -> Iterator[Learned]:
        """Take every step of one epoch; the next mini-batches are made in another thread meanwhile."""
        self.step.begin(min(self.settings.batch_size, self.train.n_sessions))
        walks = self.walk(self.train.offsets, self.settings.batch_size, min_slots(self.settings))
        walks = split_walks(walks, max(1, NEGATIVES_AT_ONCE // max(1, self.settings.n_negatives)))
        with torch_threads(1):  # so that weights do not depend on how many there are; small products gain nothing
            for batches in ahead(mini_batches(self.train, walks, drawing(self.sampler, self.settings, seed))):
                losses = [loss * self.settings.batch_size for loss in self.step.learn(batches)]
                yield Learned(losses, batches.n_events)

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters on the CPU."""
        return self.step.parameters()

    def state(self) -> dict[str, Tensor]:
        """Return all that a continued training needs."""
        return self.step.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.step.restore(state)


def kind_of_step(settings: Settings, train: Sessions, device: torch.device) -> str:
    """Return which step trains, `torch` or `compiled`; it follows from settings, data and the kind of device alone.

    Raises:
        UsageError: the compiled step is asked for, and the logQ correction is too strong for it.
    """
    correction = settings.logq_strength * float(np.log(max(int(train.supports().max()), 1)))
    if settings.step == "compiled" and correction > LARGEST_CORRECTION:
        raise UsageError(
            f"logq: {settings.logq_strength:g} is too strong for step: compiled: the most frequent item would weigh "
            f"e^-{correction:.0f} of a rare one, and less than e^-{LARGEST_CORRECTION:.0f} is lost to rounding",
            "set step: torch, which computes with logarithms, or a smaller logq",
        )
    if settings.step != "auto":
        return settings.step
    if correction > LARGEST_CORRECTION or settings.full_softmax:
        return "torch"
    steps = settings.epochs * train.n_targets / settings.batch_size
    numbers = steps * (2 * settings.batch_size + settings.n_negatives) * settings.layers[-1]
    return "compiled" if device.type == "cpu" and settings.loss in COMPILED_LOSSES and numbers >= LONG else "torch"
