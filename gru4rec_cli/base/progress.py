"""How library code tells that it is getting on, without knowing of terminals."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float = 1, **status: object) -> None:
        """Count `amount` more units as done; `status` values are shown beside the bar."""

    def count_earlier(self, amount: float = 1, **status: object) -> None:
        """Count `amount` more units as done in an earlier run, so that no rate and no time left follows from them."""

    def leave_no_line(self) -> None:
        """Leave nothing behind when the task ends: a note says more."""


class Progress(Protocol):
    """Shows tasks. `total` is None where the amount of work is not known beforehand."""

    def task(self, description: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Task]:
        """Open a task that is shown until the context ends."""

    def note(self, text: str) -> None:
        """Leave a line that stays."""


class _Silent:
    def advance(self, amount: float = 1, **status: object) -> None:
        return None

    def count_earlier(self, amount: float = 1, **status: object) -> None:
        return None

    def leave_no_line(self) -> None:
        return None

    def note(self, text: str) -> None:
        return None

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield self


SILENT: Progress = _Silent()
