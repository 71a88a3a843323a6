"""What can go wrong for a user, each kind with the exit code that scripts may rely on."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import zip_longest
from typing import Any

INTERRUPTED = 130


class StudyError(Exception):
    """An error a user can act on: the message says what and where, the hint what to do.

    Anything that is not a `StudyError` is a bug here and ends with exit code 1.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """Return message, hint and exit code, as `--json` shows them."""
        return {"message": self.message, "hint": self.hint, "exit_code": self.exit_code}


class UsageError(StudyError):
    """Wrong usage: options, configuration, or a run directory that cannot be used."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is not valid; `problems` holds every problem, one line or more each.

    `places` says of each where it is, such as `mine.yaml:12`; empty where that is not known.
    """

    def __init__(self, problems: list[str], where: str, places: Sequence[str] = ()) -> None:
        count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
        found = zip_longest(places, problems, fillvalue="")
        self.problems = problems
        self.placed = [f"{place}: {problem}" if place else problem for place, problem in found]
        super().__init__(f"{where}: {count}\n" + "\n".join(f"  {problem}" for problem in self.placed))

    def as_dict(self) -> dict[str, Any]:
        """Return what `StudyError.as_dict` does, and the problems one by one."""
        return {**super().as_dict(), "problems": self.placed}


class DataError(StudyError):
    """Input data is missing or bad."""

    exit_code = 3


class StageError(StudyError):
    """A stage that must run first has not, is out of date, or its artifacts are damaged."""

    exit_code = 4


class ExternalError(StudyError):
    """An external program failed."""

    exit_code = 5


class CheckError(StudyError):
    """A check did not hold."""

    exit_code = 6


EXIT_CODES = {
    0: "done",
    1: "a bug in gru4rec-study",
    2: "wrong usage or configuration, or a run directory that cannot be used",
    3: "bad or missing input data",
    4: "a stage that must run first has not, or its artifacts are damaged",
    5: "an external program failed",
    6: "a check did not hold",
    INTERRUPTED: "interrupted",
}


def nearest(given: object, known: Iterable[str]) -> str:
    """Return a question for the known name that is nearest, or an empty text."""
    close = get_close_matches(str(given), list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
