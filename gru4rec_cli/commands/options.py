"""What all commands share: options, and the one place where errors become messages and exit codes."""

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from gru4rec_cli.base.errors import EXIT_CODES, INTERRUPTED, StudyError, UsageError
from gru4rec_cli.commands import console

EXIT_CODES_TOLD = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."
_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
}  # fmt: skip

ForceOption = Annotated[bool, typer.Option("--force", help="Do it again even if it is up to date.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and errors.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def show_plain(described: dict[str, Any], *, json: bool) -> None:
    """Names and values, a line each."""
    if json:
        console.show_json(described)
    else:
        typer.echo("\n".join(f"{name + ':':<13}{value}" for name, value in described.items()))


@contextmanager
def errors(*, debug: bool) -> Iterator[None]:
    """The one place where errors become messages and exit codes."""
    try:
        yield
    except StudyError as error:
        _fail(error, debug=debug)
    except Exception as error:
        number = _write_error(error)
        if number is None:
            raise
        message = f"cannot write to the run directory: {os.strerror(number)}; every finished stage is whole"
        hint = "make room or give another --run-dir; the same command then goes on from here"
        _fail(UsageError(message, hint), debug=debug)
    except KeyboardInterrupt:
        console.show_status("interrupted; the same command, without --force, continues from here")
        raise typer.Exit(INTERRUPTED) from None


def _write_error(error: Exception) -> int | None:
    """The system's error number where writing failed, also where polars or safetensors wrote."""
    told = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    return number if number in _UNWRITABLE else None


def _fail(error: StudyError, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    console.show_error(error)
    raise typer.Exit(error.exit_code)
