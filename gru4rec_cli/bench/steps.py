"""The clock on training steps, of ours and of the author's code."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.bench.clicks import SEED
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models import gru4rec
from gru4rec_cli.models.gru4rec.batches import MiniBatches
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.neural.sampling import epoch_seed

if TYPE_CHECKING:
    from gru4rec_cli.models.official.model import Model as OfficialModel


@dataclass(frozen=True)
class StepTimes:
    """Of consecutive steps from the first on, all (steps,)."""

    ends: Float64Array  # seconds on some clock; of steps that are taken together, the end of the last
    events: Int64Array  # learned from in each
    columns: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # distinct ones; ours only

    def rates(self, skipped: int) -> tuple[float, float]:
        """Return steps and events a second, from the end of step `skipped` to that of the last."""
        seconds = float(self.ends[-1] - self.ends[skipped - 1])
        return (len(self.ends) - skipped) / seconds, float(self.events[skipped:].sum()) / seconds


class _Watched:
    """A training step that notes when each chunk of mini-batches was learned from, and of what."""

    def __init__(self, step: Any) -> None:
        self.step = step
        self.ends: list[float] = []
        self.columns: list[tuple[Int64Array, Int64Array]] = []  # targets of the slots that are there, negatives
        self.widths: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    def learn(self, batches: MiniBatches) -> list[float]:
        losses: list[float] = self.step.learn(batches)
        self.ends += [time.perf_counter()] * len(batches)
        self.widths += batches.walk.widths.tolist()
        steps = zip(batches.targets, batches.negatives, batches.walk.widths, strict=True)
        self.columns += [(targets[:width], negatives) for targets, negatives, width in steps]
        return losses

    def times(self) -> StepTimes:
        columns = [len(np.unique(np.append(targets, negatives))) for targets, negatives in self.columns]
        return StepTimes(np.array(self.ends), np.array(self.widths), np.array(columns))


def time_ours(
    train: Sessions, settings: Mapping[str, Any], steps: int, threads: int, kind: str = "compiled"
) -> StepTimes:
    """Return the times of the first `steps` steps of our training on the CPU, and of those taken together with them.

    It is the training that `train` runs, by the step of this kind, torch or compiled.
    """
    chosen = gru4rec.Settings.model_validate({**settings, "device": "cpu", "step": kind})
    return time_training(Training(train, chosen, SEED, n_threads=threads), steps)


def time_training(training: Training, steps: int) -> StepTimes:
    """Return the times of the first `steps` steps of a training, and of those taken together with them."""
    watched = _Watched(training.step)
    training.step = watched  # type: ignore[assignment]
    for number in range(1, training.settings.epochs + 1):
        for _ in training.epoch(epoch_seed(SEED, number)):
            if len(watched.ends) >= steps:
                return watched.times()
    return watched.times()


def time_official(model: "OfficialModel", train: Sessions, steps: int, threads: int) -> StepTimes:
    """Return the times of the first `steps` steps of the author's training, in the process that `model` keeps.

    The negatives of all of them are drawn before the first.
    """
    store_events = steps * model.settings.batch_size
    return StepTimes(*model.time_steps(train, steps, seed=SEED, threads=threads, store_events=store_events))
