"""The search over one model: its trials in rounds, each kept as a file as soon as it is finished."""

import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.files import hash_json, read_json, remove, write_json
from gru4rec_cli.base.names import COSTS
from gru4rec_cli.base.progress import Progress
from gru4rec_cli.tuning.settings import TuneSettings
from gru4rec_cli.tuning.space import Entry, points
from gru4rec_cli.tuning.trial import Job, Trial
from gru4rec_cli.tuning.tuned import TunedModel

FIRST = 5  # trials that are never pruned; the median of their values prunes the others
_DIGITS = 4  # of a trial's number in its file's name


class Workers(Protocol):
    """A place where trials are carried out: this process, or several others."""

    count: int

    def submit(self, job: Job) -> "Future[tuple[Trial, dict[str, float]]]": ...


@dataclass(frozen=True)
class Kept:
    """A finished trial and what it cost."""

    trial: Trial
    cost: dict[str, float]


class Search:
    """Tries points of a model's space until the budget is used."""

    def __init__(
        self, tuned: TunedModel, settings: TuneSettings, seed: int, key: str, folder: Path, previous: Path | None
    ) -> None:
        """Keep trials in `folder`; those in it and in `previous`, a stage as it last was, are not made again.

        `key` is a hash of what decides the value of a point besides the point: the data and the code.
        """
        self.tuned, self.settings, self.seed, self.key = tuned, settings, seed, key
        self.folder, self.previous = folder, previous
        self.kept: dict[int, Kept] = {}

    def run(self, workers: Workers, progress: Progress) -> list[Trial]:
        """Return all trials, in order. What they are does not depend on the number of workers, unless the budget is a
        time."""
        jobs = self._jobs()
        with progress.task(f"tuning {self.tuned.name}", total=self.settings.budget.trials, unit="trials") as task:
            while (job := next(jobs, None)) is not None:
                for kept, new in self._carried_out(chain([job], islice(jobs, self._round() - 1)), workers):
                    self.kept[kept.trial.number] = kept
                    (task.advance if new else task.count_earlier)(1, **self._status())
            task.leave_no_line()
        best = "".join(f", best {value}" for value in self._status().values())
        progress.note(f"tuned {self.tuned.name}: {len(self.kept)} trial{'' if len(self.kept) == 1 else 's'}{best}")
        self._remove_others()
        return [self.kept[number].trial for number in sorted(self.kept)]

    def _round(self) -> int:
        """Return how many trials may begin before all trials before them are finished."""
        return FIRST if not self.kept or self.settings.search == "tpe" else sys.maxsize

    def _points(self) -> Iterator[Entry]:
        """Yield the settings of trial 1, 2, …"""
        tuned = self.tuned
        if self.settings.search == "random":
            yield from points(tuned.kind, tuned.entry, tuned.space, self.seed, tuned.name)
            return
        from gru4rec_cli.tuning.tpe import suggested

        seen = [tuned.entry]
        yield tuned.entry
        while True:
            rounds = len(seen) // FIRST
            earlier = [self.kept[number].trial for number in range(1, rounds * FIRST + 1)]
            point = suggested(tuned, self.seed, len(seen) + 1, earlier, seen)
            if point is None:
                return
            seen.append(point)
            yield point

    def _jobs(self) -> Iterator[Job]:
        tuned, budget = self.tuned, self.settings.budget
        for number, entry in enumerate(self._points(), start=1):
            if budget.trials is not None and number > budget.trials:
                return
            if (
                budget.seconds is not None
                and sum(kept.cost["seconds"] for kept in self.kept.values()) >= budget.seconds
            ):
                return
            limits = self._limits() if number > FIRST else ()
            yield Job(number, tuned.kind, entry, self.seed, self.settings.metric, limits)

    def _limits(self) -> tuple[float, ...]:
        """Return by epoch the median of the best values so far of the first trials; one that ended keeps its best."""
        if not self.settings.prune:
            return ()
        first = [self.kept[number].trial.values for number in range(1, FIRST + 1)]
        curves = [values for values in first if values]
        longest = max(map(len, curves), default=0)
        return tuple(statistics.median(max(values[:epoch]) for values in curves) for epoch in range(1, longest + 1))

    def _carried_out(self, jobs: Iterator[Job], workers: Workers) -> Iterator[tuple[Kept, bool]]:
        """Yield the trials of jobs as they are finished, and whether they are new; as many at a time as workers."""
        running: dict[Future[tuple[Trial, dict[str, float]]], Job] = {}
        more = True
        while more or running:
            while more and len(running) < workers.count:
                job = next(jobs, None)
                if job is None:
                    more = False
                elif found := self._found(job):
                    yield found, False
                else:
                    running[workers.submit(job)] = job
            if not running:
                continue
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                job = running.pop(future)
                yield self._keep(job, Kept(*future.result())), True

    def _keep(self, job: Job, kept: Kept) -> Kept:
        """Write a finished trial: its cost first, so that a trial that is there has one."""
        for path, content in (
            (_cost_file(self.folder, self.tuned.name, job.number), kept.cost),
            (
                _trial_file(self.folder, self.tuned.name, job.number),
                {"key": self._job_key(job), **asdict(kept.trial)},
            ),
        ):
            if path.parent.is_file():
                remove(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, content)
        return kept

    def _found(self, job: Job) -> Kept | None:
        """Return the trial where it was finished before, from the same data and code."""
        for folder in (self.folder, self.previous):
            if folder is None:
                continue
            try:
                content = read_json(_trial_file(folder, self.tuned.name, job.number))
                kept = Kept(_trial(content), read_json(_cost_file(folder, self.tuned.name, job.number)))
                whole = content["key"] == self._job_key(job) and kept.cost["seconds"] >= 0
            except (StageError, TypeError, KeyError, AttributeError):
                continue  # not there, or damaged
            if whole:
                return kept if folder == self.folder else self._keep(job, kept)
        return None

    def _remove_others(self) -> None:
        """Remove trials of an earlier try that this search does not have."""
        for folder in (self.folder / self.tuned.name, self.folder / COSTS / self.tuned.name):
            for path in folder.glob("*.json"):
                if not path.stem.isdigit() or int(path.stem) not in self.kept:
                    remove(path)

    def _job_key(self, job: Job) -> str:
        return hash_json([self.key, asdict(job)])

    def _status(self) -> dict[str, str]:
        values = [kept.trial.value for kept in self.kept.values() if kept.trial.state == "complete"]
        return {"best": f"{max(value for value in values if value is not None):.4f}"} if values else {}


def read_trials(folder: Path, name: str) -> list[Trial]:
    """Return the trials of a model in a finished stage, in order."""
    return [_trial(read_json(path)) for path in sorted((folder / name).glob("*.json"))]


def _trial(content: dict[str, Any]) -> Trial:
    return Trial(**{key: value for key, value in content.items() if key != "key"})


def read_costs(folder: Path, name: str) -> list[dict[str, float]]:
    """Return what each of the trials of a model in a finished stage cost."""
    return [read_json(_cost_file(folder, name, trial.number)) for trial in read_trials(folder, name)]


def _trial_file(folder: Path, name: str, number: int) -> Path:
    return folder / name / f"{number:0{_DIGITS}}.json"


def _cost_file(folder: Path, name: str, number: int) -> Path:
    return folder / COSTS / name / f"{number:0{_DIGITS}}.json"
