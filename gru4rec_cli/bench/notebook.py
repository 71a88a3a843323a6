"""The notebook of one run of the bench: whose turn it was, what came out, what was left out and why."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.bench.measurements import Case, Measurement, in_words

Result = TypeVar("Result")


@dataclass(frozen=True)
class Turn:
    """One contestant's turn; `started` in seconds since the run began."""

    section: str
    case: Case
    subject: str
    repeat: int  # from 1
    started: float

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "case": dict(self.case), "started": round(self.started, 3)}


@dataclass
class Notebook:
    """Filled in by the sections, one after the other."""

    repeats: int
    threads: int
    progress: Progress = SILENT
    measurements: list[Measurement] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # what was not measured: the reason
    began: float = field(default_factory=time.perf_counter)

    def alternate(
        self, section: str, case: Case, contestants: Mapping[str, Callable[[], Result]]
    ) -> dict[str, list[Result]]:
        """Every contestant's result of every repeat.

        They take turns, so that whatever else goes on in the machine hits all of them alike. Whoever needs warming up
        has had it before. A contestant whose process fails is left out.
        """
        results: dict[str, list[Result]] = {name: [] for name in contestants}
        total = self.repeats * len(contestants)
        with self.progress.task(f"{section}, {in_words(case)}", total=total) as task:
            for repeat in range(1, self.repeats + 1):
                for name in list(results):
                    self.turns.append(Turn(section, case, name, repeat, time.perf_counter() - self.began))
                    try:
                        results[name].append(contestants[name]())
                    except ExternalError as error:
                        self.left_out[f"{section}: {name} ({in_words(case)})"] = _in_a_line(error)
                        del results[name]
                    task.advance(1, last=name)
        return results

    def record(self, section: str, subject: str, case: Case, quantity: str, unit: str, values: Sequence[float]) -> None:
        """Keep one figure, with a value a repeat."""
        numbers = tuple(float(value) for value in values)
        self.measurements.append(Measurement(section, subject, case, quantity, unit, numbers))


def _in_a_line(error: ExternalError) -> str:
    """What failed, and the last thing that it said."""
    first, *said = [line.strip() for line in error.message.splitlines()]
    return ": ".join([first, *said[-1:]])
