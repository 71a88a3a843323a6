"""The clock on training steps, of ours and of the author's code."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.progress import SILENT
from gru4rec_cli.bench.clicks import SEED
from gru4rec_cli.data.sessions import Int64Array, Sessions
from gru4rec_cli.models import gru4rec
from gru4rec_cli.models.gru4rec.minibatch import MiniBatches
from gru4rec_cli.models.gru4rec.training import Trainer

if TYPE_CHECKING:
    from gru4rec_cli.models.official.model import Model as OfficialModel


@dataclass(frozen=True)
class StepTimes:
    """Of consecutive steps from the first on, all (steps,)."""

    ends: npt.NDArray[np.float64]  # seconds on some clock; of steps that are taken together, the end of the last
    events: Int64Array  # learnt from in each
    columns: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # distinct ones; ours only

    def rates(self, skipped: int) -> tuple[float, float]:
        """Steps and events a second, from the end of step `skipped` to that of the last."""
        seconds = float(self.ends[-1] - self.ends[skipped - 1])
        return (len(self.ends) - skipped) / seconds, float(self.events[skipped:].sum()) / seconds


class _EnoughSteps(Exception):  # noqa: N818 - it ends a training, it is no error
    pass


class TimedTrainer(Trainer):
    """Our training, unchanged, that stops after the chunk with so many steps and remembers when each chunk ended."""

    def __init__(self, train: Sessions, settings: Mapping[str, Any], steps: int, *, n_threads: int = 1) -> None:
        on_cpu = {**settings, "device": "cpu"}  # the step that is timed is the CPU's
        super().__init__(train, gru4rec.Settings.model_validate(on_cpu), SEED, n_threads=n_threads)
        self.steps = steps
        self.ends: list[float] = []
        self.widths: list[int] = []  # lanes
        self.columns: list[int] = []

    def learn(self, batches: MiniBatches) -> list[float]:
        learnt = super().learn(batches)
        self.ends += [time.perf_counter()] * len(batches)
        self.widths += batches.lanes.widths.tolist()
        self.columns += batches.n_columns.tolist()
        if len(self.ends) >= self.steps:
            raise _EnoughSteps
        return learnt

    def times(self) -> StepTimes:
        """Run the steps, or the epoch where it is shorter."""
        with suppress(_EnoughSteps):
            self.run(progress=SILENT)
        return StepTimes(np.array(self.ends), np.array(self.widths), np.array(self.columns))


def time_ours(train: Sessions, settings: Mapping[str, Any], steps: int, threads: int) -> StepTimes:
    """The first `steps` steps of our training, and those that are taken together with them."""
    return TimedTrainer(train, settings, steps, n_threads=threads).times()


def time_official(model: "OfficialModel", train: Sessions, steps: int, threads: int) -> StepTimes:
    """The first `steps` steps of the author's training, in the process that `model` keeps.

    The negatives of all of them are drawn before the first.
    """
    store_events = steps * model.settings.batch_size
    return StepTimes(*model.time_steps(train, steps, seed=SEED, threads=threads, store_events=store_events))
