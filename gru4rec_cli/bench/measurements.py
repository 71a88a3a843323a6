"""What was measured: every figure with its unit and all of its repeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NOISY = 0.10  # spread over repeats, (highest − lowest) / median, above which a figure is called noisy
PERCENTILES = (50, 95, 99)

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
        """For messages, such as `training: gru4rec steps per second (rsc15, items 3,000)`."""
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


def in_words(case: Case) -> str:
    """A case in a few words."""
    return ", ".join(
        f"{key.replace('_', ' ')} {value:,}" if isinstance(value, int) else value for key, value in case.items()
    )


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds; between two values as much of each as the place says (linear)."""
    found = np.percentile(np.asarray(seconds) * 1000, PERCENTILES)
    return {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, found, strict=True)}


def noisy(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those whose repeats differ by more than `NOISY`."""
    return [measurement for measurement in measurements if measurement.spread > NOISY]


def warning(measurements: Sequence[Measurement]) -> str:
    """What to say of the noisy ones, each by name with its spread; nothing where there are none."""
    found = noisy(measurements)
    if not found:
        return ""
    named = "".join(f"\n  {measurement.name}: {measurement.spread * 100:.0f} %" for measurement in found)
    return (
        f"the machine is noisy: {len(found)} of {len(measurements)} figures spread over their repeats by more than "
        f"{NOISY * 100:.0f} % of the median{named}"
    )
