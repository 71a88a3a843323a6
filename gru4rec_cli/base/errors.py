"""What can go wrong for a user, each kind with the exit code that scripts may rely on."""

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


class UsageError(StudyError):
    """Wrong usage: options, configuration, or a run directory that cannot be used."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is not valid; `problems` holds every problem, one line or more each."""

    def __init__(self, problems: list[str], where: str) -> None:
        count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
        super().__init__(f"{where}: {count}\n" + "\n".join(f"  {p}" for p in problems))
        self.problems = problems


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
