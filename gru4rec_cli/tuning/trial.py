"""One trial: a model is fitted on the training sessions and measured on the validation sessions."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import metric_at_k, metric_values
from gru4rec_cli.evaluation.ranking import event_ranks, rank_targets
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext, FitStopped
from gru4rec_cli.models.registry import settings_of
from gru4rec_cli.models.warming import warm_up

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Job:
    """A trial to be carried out; it follows from the configuration and, for `limits`, from earlier trials."""

    number: int
    kind: str
    entry: dict[str, Any]
    seed: int
    metric: str
    limits: tuple[float, ...] = ()  # by epoch: a trial whose best value so far is below it is pruned


@dataclass(frozen=True)
class Trial:
    """Results of a trial."""

    number: int
    entry: dict[str, Any]
    state: State
    value: float | None = None  # of the metric on validation; of a pruned trial, its best value so far
    error: float | None = None  # standard error of the value over sessions
    epochs: int | None = None  # that were trained
    values: list[float] = field(default_factory=list)  # of the metric after every epoch
    message: str = ""  # why it failed


def run_trial(
    job: Job, train: Sessions, valid: Sessions, progress: Progress = SILENT
) -> tuple[Trial, dict[str, float]]:
    """Return what came of a trial, and what it cost.

    A trial that diverges or needs more memory than there is has failed; the search goes on.
    """
    values: list[float] = []

    def watch(epoch: int, value: float) -> None:
        values.append(value)
        if epoch <= len(job.limits) and max(values) < job.limits[epoch - 1]:
            raise FitStopped

    trial = Trial(job.number, job.entry, "failed", values=values)
    model = registry.model_class(job.kind)(settings_of(job.kind, job.entry))
    context = FitContext(valid, progress, seed=job.seed, watch=watch)
    warm_up(model, train, context)
    with measured() as cost:
        try:
            report = model.fit(train, context)
            gains, sessions = _gains(model.score(valid), valid, job.metric)
            value, error = float(gains.mean()), standard_error(gains, sessions)
            epochs = len(report.curve) or None
            trial = Trial(job.number, job.entry, "complete", value, error, epochs, values)
        except FitStopped:
            trial = Trial(job.number, job.entry, "pruned", max(values), None, len(values), values)
        except (StudyError, MemoryError, RuntimeError) as failure:
            if not isinstance(failure, StudyError) and not _is_lack_of_memory(failure):
                raise
            message = failure.message if isinstance(failure, StudyError) else "there is not enough memory"
            epochs = len(values) or None
            trial = Trial(job.number, job.entry, "failed", epochs=epochs, values=values, message=message)
    return trial, cost.as_dict()


def _is_lack_of_memory(error: Exception) -> bool:
    """Return whether an error says so; torch raises RuntimeError then."""
    return isinstance(error, MemoryError) or "memory" in str(error)


def _gains(blocks: Any, valid: Sessions, metric: str) -> tuple[Float64Array, Any]:
    """Return the metric of every event and the session that it belongs to, (n_targets,) each."""
    name, k = metric_at_k(metric)
    ranks = event_ranks(rank_targets(blocks, valid), valid, "conservative")
    return metric_values(ranks, name, k), valid.event_sessions()


def standard_error(gains: Float64Array, sessions: Any) -> float:
    """Return the standard error of the mean over events whose sessions, not events, are independent."""
    of_sessions = np.bincount(sessions, weights=gains - gains.mean())
    return float(np.sqrt(np.sum(of_sessions**2)) / len(gains))
