"""The search over one model, with trials whose outcome the test decides."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.progress import SILENT
from gru4rec_cli.models.registry import settings_of
from gru4rec_cli.tuning.search import FIRST, Search, read_costs, read_trials
from gru4rec_cli.tuning.settings import TuneSettings
from gru4rec_cli.tuning.trial import Job, Trial
from gru4rec_cli.tuning.tuned import TunedModel

SPACE = {"learning_rate": {"from": 0.01, "to": 0.1}}
OWN = settings_of("stamp", {"learning_rate": 0.05}).model_dump(mode="json")
SUBJECT = TunedModel("m", "train", "stamp", OWN, SPACE)
Outcome = Callable[[Job], Trial]


def complete(job: Job, *values: float) -> Trial:
    return Trial(job.number, job.entry, "complete", max(values), 0.0, len(values), list(values))


def by_rate(job: Job) -> Trial:
    """A trial whose value is its learning rate."""
    return complete(job, job.entry["learning_rate"])


class Fake:
    """Workers that finish their trials last one first, as slow and fast trials may."""

    def __init__(self, outcome: Outcome = by_rate, count: int = 1, seconds: float = 1.0) -> None:
        self.outcome, self.count, self.seconds = outcome, count, seconds
        self.jobs: list[Job] = []
        self._waiting: list[tuple[Job, Future[Any]]] = []

    def submit(self, job: Job) -> Future[Any]:
        self.jobs.append(job)
        future: Future[Any] = Future()
        self._waiting.append((job, future))
        if len(self._waiting) == self.count or job.number % FIRST == 0 or job.number > 10:
            for waiting, done in reversed(self._waiting):
                done.set_result((self.outcome(waiting), {"seconds": self.seconds}))
            self._waiting = []
        return future


def search(folder: Path, previous: Path | None = None, key: str = "key", **settings: Any) -> Search:
    return Search(SUBJECT, TuneSettings.model_validate(settings), 1, key, folder, previous)


def test_the_models_own_settings_are_the_first_trial_and_the_budget_is_kept(tmp_path: Path):
    workers = Fake()
    trials = search(tmp_path, budget={"trials": 9}).run(workers, SILENT)
    assert trials[0].entry == OWN
    assert [trial.number for trial in trials] == list(range(1, 10))
    assert read_trials(tmp_path, "m") == trials
    assert read_costs(tmp_path, "m") == [{"seconds": 1.0}] * 9


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_the_trials_do_not_depend_on_the_number_of_workers(tmp_path: Path, kind: str):
    if kind == "tpe":
        pytest.importorskip("optuna")
    one, three = (
        search(tmp_path / str(count), budget={"trials": 10}, search=kind).run(Fake(count=count), SILENT)
        for count in (1, 3)
    )
    assert one == three


def test_a_time_is_a_budget_too(tmp_path: Path):
    trials = search(tmp_path, budget={"seconds": 6.5}).run(Fake(seconds=2.0), SILENT)
    assert len(trials) == 4  # three take 6 s, so a fourth may begin


def test_the_limits_are_the_medians_of_the_best_so_far_of_the_first_five(tmp_path: Path):
    curves = {1: [1.0, 3.0], 2: [2.0, 1.0, 4.0], 3: [3.0], 4: [4.0, 5.0, 6.0], 5: [5.0, 5.0]}

    def outcome(job: Job) -> Trial:
        return complete(job, *curves.get(job.number, [9.0]))

    workers = Fake(outcome)
    search(tmp_path, budget={"trials": 7}).run(workers, SILENT)
    assert {job.limits for job in workers.jobs[:FIRST]} == {()}
    # Best so far: epoch 1: 1 2 3 4 5; epoch 2: 3 2 3 5 5; epoch 3: 3 4 3 6 5.
    assert {job.limits for job in workers.jobs[FIRST:]} == {(3.0, 3.0, 4.0)}


def test_without_pruning_there_are_no_limits(tmp_path: Path):
    workers = Fake(lambda job: complete(job, 1.0))
    search(tmp_path, budget={"trials": 7}, prune=False).run(workers, SILENT)
    assert {job.limits for job in workers.jobs} == {()}


def test_failed_trials_among_the_first_prune_nothing(tmp_path: Path):
    workers = Fake(lambda job: Trial(job.number, job.entry, "failed") if job.number != 3 else complete(job, 2.0))
    search(tmp_path, budget={"trials": 6}).run(workers, SILENT)
    assert workers.jobs[-1].limits == (2.0,)


def test_finished_trials_are_not_made_again_and_damaged_ones_are(tmp_path: Path):
    trials = search(tmp_path, budget={"trials": 8}).run(Fake(), SILENT)
    (tmp_path / "m" / "0003.json").write_text('{"key": ')
    (tmp_path / "costs" / "m" / "0005.json").unlink()
    again = Fake()
    assert search(tmp_path, budget={"trials": 9}).run(again, SILENT)[:8] == trials
    assert [job.number for job in again.jobs] == [3, 5, 9]


def test_trials_of_the_stage_as_it_last_was_are_taken_over(tmp_path: Path):
    trials = search(tmp_path / "old", budget={"trials": 8}).run(Fake(), SILENT)
    workers = Fake()
    assert search(tmp_path / "new", tmp_path / "old", budget={"trials": 8}).run(workers, SILENT) == trials
    assert workers.jobs == []
    assert read_trials(tmp_path / "new", "m") == trials


@pytest.mark.parametrize("damage", ["[1]", "{}", "null", '{"key": "key"}'])
def test_trials_of_another_form_are_made_again(tmp_path: Path, damage: str):
    trials = search(tmp_path, budget={"trials": 6}).run(Fake(), SILENT)
    (tmp_path / "m" / "0002.json").write_text(damage)
    (tmp_path / "costs" / "m" / "0004.json").write_text(damage)
    again = Fake()
    assert search(tmp_path, budget={"trials": 6}).run(again, SILENT) == trials
    assert [job.number for job in again.jobs] == [2, 4]


def test_trials_of_a_larger_try_are_removed(tmp_path: Path):
    search(tmp_path, budget={"trials": 9}).run(Fake(), SILENT)
    trials = search(tmp_path, budget={"trials": 6}).run(Fake(), SILENT)
    assert read_trials(tmp_path, "m") == trials
    assert len(read_costs(tmp_path, "m")) == 6


def test_other_data_or_code_makes_all_trials_again(tmp_path: Path):
    search(tmp_path, budget={"trials": 6}).run(Fake(), SILENT)
    workers = Fake()
    search(tmp_path, key="other", budget={"trials": 6}).run(workers, SILENT)
    assert len(workers.jobs) == 6


def test_tpe_draws_nearer_to_what_was_good(tmp_path: Path):
    """The value falls with the distance from .03; uniform points are .0294 away on average, and TPE's come nearer."""
    pytest.importorskip("optuna")

    def outcome(job: Job) -> Trial:
        return complete(job, -abs(job.entry["learning_rate"] - 0.03))

    trials = search(tmp_path, budget={"trials": 40}, search="tpe", prune=False).run(Fake(outcome), SILENT)
    away = [abs(trial.entry["learning_rate"] - 0.03) for trial in trials]
    assert sum(away[20:]) / 20 < 0.75 * 0.0294
