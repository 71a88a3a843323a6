"""Section `training`: steps of ours, of the author's code, and of the matrix products alone, in turns."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from gru4rec_cli.bench.clicks import make_clicks
from gru4rec_cli.bench.floor import products_for, products_per_second
from gru4rec_cli.bench.machine import available_memory
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import Plan, TrainingCase
from gru4rec_cli.bench.steps import StepTimes, time_official, time_ours
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models import gru4rec, official

SECTION = "training"
OURS, TORCH, OFFICIAL, FLOOR = "gru4rec", "gru4rec, torch step", "official", "products alone"

_COPIES = 3  # of the item matrix that a training holds: weights, accumulators, momenta
_SPARE = 2**30  # bytes, for all else

Rates = tuple[float, float]  # steps and events a second


def measure_training(notebook: Notebook, plan: Plan, *, with_official: bool) -> None:
    """Every case of the plan that fits into memory."""
    with _waiting_as_openmp_does():
        for case in plan.training:
            needed = _bytes_needed(case, with_official=with_official)
            if needed > available_memory():
                name = f"training: {case.items:,} items, {case.settings['layers'][0]} units"
                notebook.left_out[name] = f"needs about {needed / 1e9:.1f} GB of memory, but less is free"
                continue
            _measure_case(notebook, plan, case, with_official=with_official)


@contextmanager
def _waiting_as_openmp_does() -> Iterator[None]:
    """For processes that start meanwhile, the author's: spinning is faster for it where the machine is quiet."""
    policy = os.environ.pop("OMP_WAIT_POLICY", None)
    try:
        yield
    finally:
        if policy is not None:
            os.environ["OMP_WAIT_POLICY"] = policy


def _bytes_needed(case: TrainingCase, *, with_official: bool) -> int:
    trainings = 2 if with_official else 1
    return trainings * _COPIES * 4 * case.items * int(case.settings["layers"][-1]) + _SPARE


def _measure_case(notebook: Notebook, plan: Plan, case: TrainingCase, *, with_official: bool) -> None:
    skipped, steps = plan.skipped_steps, plan.skipped_steps + plan.timed_steps
    enough = 3 * steps * int(case.settings["batch_size"]) // 2  # so that no slot runs out of sessions
    train = make_clicks(max(plan.training_events, enough, 2 * case.items), case.items).train
    columns = time_ours(train, case.settings, steps, notebook.threads).columns  # and loops are compiled
    contestants: dict[str, Callable[[], Rates]] = {
        OURS: lambda: time_ours(train, case.settings, steps, notebook.threads).rates(skipped),
        TORCH: lambda: time_ours(train, case.settings, steps, notebook.threads, "torch").rates(skipped),
    }
    if with_official:
        timed = _official_steps(case.settings, train, steps, notebook.threads)
        contestants[OFFICIAL] = lambda: timed().rates(skipped)
    products = products_for(gru4rec.Settings.model_validate(case.settings), columns)

    def floor() -> Rates:
        rate = products_per_second(products, columns, skipped, notebook.threads)
        return rate, rate * int(case.settings["batch_size"])

    contestants[FLOOR] = floor
    _record(notebook, case, notebook.alternate(SECTION, case.described, contestants), columns[skipped:].mean())


def _official_steps(settings: Mapping[str, Any], train: Sessions, steps: int, threads: int) -> Callable[[], StepTimes]:
    """The author's code in a process that is started once."""
    from gru4rec_cli.models.official.model import Model

    model = Model(official.Settings.model_validate(settings))
    return partial(time_official, model, train, steps, threads)


def _record(notebook: Notebook, case: TrainingCase, found: dict[str, list[Rates]], columns: float) -> None:
    where = case.described
    for subject, rates in found.items():
        notebook.record(SECTION, subject, where, "steps_per_second", "steps/s", [steps for steps, _ in rates])
        notebook.record(SECTION, subject, where, "events_per_second", "events/s", [events for _, events in rates])
    steps = {subject: np.array([rate for rate, _ in rates]) for subject, rates in found.items()}
    if OFFICIAL in steps:
        notebook.record(SECTION, OURS, where, "speed_over_official", "×", list(steps[OURS] / steps[OFFICIAL]))
    notebook.record(SECTION, OURS, where, "time_over_products", "×", list(steps[FLOOR] / steps[OURS]))
    notebook.record(SECTION, OURS, where, "distinct_columns", "columns/step", [columns] * notebook.repeats)
