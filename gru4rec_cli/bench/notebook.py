"""The figures of one run of the bench, with unit and all repeats, and the order in which they were measured."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.warnings import warn

NOISY = 0.10  # spread over repeats, (highest − lowest) / median, above which a figure is called noisy
PERCENTILES = (50, 95, 99)

Result = TypeVar("Result")

Case = Mapping[str, str | int]  # what the figure was measured on, such as items and batch_size


@dataclass(frozen=True)
class Measurement:
    """One figure: `values` holds a value for every repeat, in the order in which they were taken."""

    section: str
    subject: str  # what was measured: a model kind, or a part such as the products alone
    case: Case
    quantity: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    @property
    def spread(self) -> float:
        """(highest − lowest) / median; 0 for a single repeat."""
        return (self.high - self.low) / self.median if self.median else 0.0

    @property
    def name(self) -> str:
        """The name for messages, such as `training: gru4rec steps per second (rsc15, items 3,000)`."""
        return f"{self.section}: {self.subject} {self.quantity.replace('_', ' ')} ({in_words(self.case)})"

    def as_dict(self) -> dict[str, Any]:
        return {
            "section": self.section,
            "subject": self.subject,
            "case": dict(self.case),
            "quantity": self.quantity,
            "unit": self.unit,
            "median": self.median,
            "low": self.low,
            "high": self.high,
            "values": list(self.values),
        }


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
    """The measurements and turns of a run, and what was left out. The sections fill it in, one after the other."""

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
        """Run every contestant once a repeat, and return its results by name.

        Contestants take turns, so that other load on the machine affects all of them equally. Warm them up before. A
        contestant whose process fails is left out.
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
        """Add one figure, with a value for each repeat."""
        numbers = tuple(float(value) for value in values)
        self.measurements.append(Measurement(section, subject, case, quantity, unit, numbers))


def _in_a_line(error: ExternalError) -> str:
    """The first and the last line of a message."""
    first, *said = [line.strip() for line in error.message.splitlines()]
    return ": ".join([first, *said[-1:]])


def in_words(case: Case) -> str:
    """Describe a case in a few words."""
    return ", ".join(
        f"{key.replace('_', ' ')} {value:,}" if isinstance(value, int) else value for key, value in case.items()
    )


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds, interpolated linearly between values."""
    found = np.percentile(np.asarray(seconds) * 1000, PERCENTILES)
    return {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, found, strict=True)}


def noisy(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements whose repeats differ by more than `NOISY`."""
    return [measurement for measurement in measurements if measurement.spread > NOISY]


def warn_of_noise(measurements: Sequence[Measurement]) -> None:
    """Warn of the noisy measurements, with their spread."""
    found = noisy(measurements)
    if found:
        named = ", ".join(f"{measurement.name} {measurement.spread * 100:.0f} %" for measurement in found)
        count = f"{len(found)} of {len(measurements)} figures"
        message = f"{count} spread over their repeats by more than {NOISY * 100:.0f} % of the median: {named}"
        warn("noisy-machine", message, "stop other work on this machine, or raise --repeats")
