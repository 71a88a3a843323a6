"""A clock for the first steps of the author's training."""

import time

import numpy as np
import numpy.typing as npt


class EnoughSteps(Exception):  # noqa: N818 - it ends a training, it is no error
    """As many steps were timed as were asked for."""


class StepClock:
    """Told at the end of each step; raises `EnoughSteps` at the last one, from within the training."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.ends: list[float] = []
        self.events: list[int] = []

    def tick(self, events: int) -> None:
        """A step that learnt from so many events has ended."""
        self.ends.append(time.perf_counter())
        self.events.append(events)
        if len(self.ends) == self.steps:
            raise EnoughSteps

    def as_arrays(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Seconds on a clock of this process at the end of each step, and the events of each, both (steps,)."""
        return np.array(self.ends), np.array(self.events, dtype=np.int64)
