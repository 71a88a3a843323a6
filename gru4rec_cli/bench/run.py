"""A run of the bench from its options to its document."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gru4rec_cli.base.errors import StudyError, UsageError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.bench import machine
from gru4rec_cli.bench.notebook import NOISY, Measurement, Notebook, noisy, warn_of_noise
from gru4rec_cli.bench.plan import SECTIONS

TIMED = {
    "training": "training steps after the first 64: mini-batch, forward, loss, backward, update. Ours draws its "
    "negatives within the time that is counted, in another thread whatever --threads is; the author's code draws those "
    "of all steps before the first, which is not counted, and neither is the start of its process. products alone: the "
    "matrix products of our compiled step, for the numbers of distinct columns that it had",
    "ranking": "events ranked among all items, with the lists of the best 20; no lists: only the targets' ranks. "
    "product alone: all states times all items, block by block",
    "latency": "a request, recommend(history, 20), to a fitted model that has answered one before",
    "serving": "a click of a live session, POST /v1/sessions/ID/events, to `gru4rec-study serve` in another process on "
    "this machine, at times of a Poisson process; from the time at which it was to be sent to the end of the answer. "
    "late p90: how much too late the load generator sent; where it is much of p90, the generator limits. served rate: "
    "the highest rate whose p90 is below 50 ms. million sessions: memory of a million kept sessions of three clicks, "
    "with their states",
    "fit": "fit, for neural models one epoch, in a separate process, warm; memory is the peak of that process, and "
    "what it used before; official includes the start and the memory of the author's process",
    "start-up": "from the start of a process to the end of its first training step, with the clicks in memory and "
    "nothing left to compile, on one thread",
    "growth with events": "fit or ranking, each in a separate process, warm; GRU4Rec's fit is one epoch that stops "
    "at `events used`; ranking is by GRU4Rec, of all events",
    "growth with items": "as above; `events used` is the number of events that are ranked",
}


@dataclass(frozen=True)
class BenchOptions:
    """The options of the command."""

    quick: bool = False
    full: bool = False
    growth: bool = False
    only: tuple[str, ...] = ()
    threads: int = 0  # 0: all cores
    repeats: int = 3

    def check(self) -> None:
        """Raise `UsageError` where they do not fit together."""
        unknown = [name for name in self.only if name not in SECTIONS]
        if unknown:
            raise UsageError(f"--only: there is no section {unknown[0]}", f"sections: {', '.join(SECTIONS)}")
        if self.growth and self.only:
            raise UsageError("--growth and --only exclude each other", "leave one out")
        if self.quick and self.full:
            raise UsageError("--quick and --full exclude each other", "leave one out")
        if self.threads > machine.cores():
            raise UsageError(
                f"--threads {self.threads}: this process may use {machine.cores()} cores", "give no more than those"
            )


@dataclass(frozen=True)
class Findings:
    """The results of a run: the measurements, and the document with everything."""

    measurements: list[Measurement]
    document: dict[str, Any]


def run_bench(options: BenchOptions, progress: Progress = SILENT) -> Findings:
    """Measure. Sets the number of threads of this process, and of those that it starts, from here on.

    Warns of figures with too large a spread.

    Raises:
        UsageError: the options do not fit together.
    """
    options.check()
    threads = options.threads or machine.cores()
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch when it loads, and by `threads.thread_count`
    import torch

    torch.set_num_threads(threads)
    notebook = Notebook(options.repeats, threads, progress)
    load_before = machine.load()
    _measure(notebook, options)
    warn_of_noise(notebook.measurements)
    described = {**machine.describe(threads), "load_before": load_before, "load_after": machine.load()}
    return Findings(notebook.measurements, _document(notebook, options, described))


def _measure(notebook: Notebook, options: BenchOptions) -> None:
    from gru4rec_cli.bench import plan as plans

    if options.growth:
        from gru4rec_cli.bench.processes import measure_growth

        usual = plans.FULL_GROWTH if options.full else plans.GROWTH
        measure_growth(notebook, plans.QUICK_GROWTH if options.quick else usual)
        return
    plan = plans.QUICK if options.quick else plans.FULL if options.full else plans.USUAL
    kinds = _ready_kinds(notebook)
    for section, measure in _sections(notebook, plan, kinds).items():
        if not options.only or section in options.only:
            measure()


def _sections(notebook: Notebook, plan: Any, kinds: Sequence[str]) -> dict[str, Callable[[], None]]:
    from gru4rec_cli.bench.inference import measure_latency, measure_ranking
    from gru4rec_cli.bench.processes import measure_fits, measure_startup
    from gru4rec_cli.bench.serving import measure_serving
    from gru4rec_cli.bench.training import measure_training

    official = "official" in kinds
    return {
        "training": lambda: measure_training(notebook, plan, with_official=official),
        "ranking": lambda: measure_ranking(notebook, plan),
        "latency": lambda: measure_latency(notebook, plan, list(kinds)),
        "serving": lambda: measure_serving(notebook, plan),
        "fit": lambda: measure_fits(notebook, plan, list(kinds)),
        "start-up": lambda: measure_startup(notebook, plan, with_official=official),
    }


def _ready_kinds(notebook: Notebook) -> list[str]:
    """Every model kind that can be fitted here; the others are left out with the reason."""
    from gru4rec_cli.models import registry

    ready = []
    for kind in registry.kinds():
        try:
            registry.settings_class(kind)().check_ready(kind, to_fit=True)
            ready.append(kind)
        except StudyError as error:
            notebook.left_out[kind] = f"{error.message}; {error.hint}" if error.hint else error.message
    return ready


def _document(notebook: Notebook, options: BenchOptions, described: dict[str, Any]) -> dict[str, Any]:
    sections = dict.fromkeys(measurement.section for measurement in notebook.measurements)
    return {
        "options": {**vars(options), "only": list(options.only), "threads": notebook.threads},
        "machine": described,
        "timed": {section: TIMED[section] for section in sections},
        "measurements": [measurement.as_dict() for measurement in notebook.measurements],
        "noisy_above": NOISY,
        "noisy": [measurement.name for measurement in noisy(notebook.measurements)],
        "left_out": notebook.left_out,
        "turns": [turn.as_dict() for turn in notebook.turns],
    }
