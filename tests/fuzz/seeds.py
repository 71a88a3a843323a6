"""How much the fuzz tests try: a seed and a count that do not change, or more of both by the environment."""

import os
import random
import traceback
from collections.abc import Callable

from gru4rec_cli.base.errors import StudyError

SEED = int(os.environ.get("GRU4REC_FUZZ_SEED", "13"))
TIMES = int(os.environ.get("GRU4REC_FUZZ_TIMES", "1"))  # so many times as much


def generator(name: str) -> random.Random:
    """The random numbers of one test."""
    return random.Random(f"{SEED} {name}")


def ends_with(work: Callable[[], object]) -> int | None:
    """The exit code of a `StudyError` that `work` raises, None where it raises nothing; any other error fails."""
    try:
        work()
    except StudyError as error:
        return error.exit_code
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-4)}") from error
    return None
