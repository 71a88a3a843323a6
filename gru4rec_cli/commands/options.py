"""What all commands share: how they are registered, options, and the place where errors become exit codes."""

import errno
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperGroup

from gru4rec_cli.base.errors import EXIT_CODES, INTERRUPTED, StudyError, UsageError
from gru4rec_cli.base.files import require_place
from gru4rec_cli.base.streams import interrupted, stop_on_interrupt
from gru4rec_cli.commands import console

STUDY, RESULTS, USE, CHECKS, AUTHOR = HEADINGS = (
    *("The study", "Data and results", "Use a model"),
    *("Checks and speed", "The author's code"),
)
_EXIT_CODES = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."
_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
}  # fmt: skip


class _Commands(TyperGroup):
    """The commands; wrong options, which typer explains on stderr, are a JSON document for a script, too."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            explained = getattr(error, "format_message", None)  # of click's exceptions, which typer may hold itself
            if explained:
                hint = f"see {getattr(getattr(error, 'ctx', None) or ctx, 'command_path', '')} --help"
                console.show_json_error({"message": explained(), "hint": hint, "exit_code": UsageError.exit_code})
            raise


app = typer.Typer(
    name="gru4rec-study",
    cls=_Commands,
    help="A reproduction and audit of GRU4Rec for session-based recommendation.\n\n"
    "One YAML file and one command go from raw clicks to a table that compares GRU4Rec with baselines under full "
    "ranking, with intervals: gru4rec-study run --config FILE.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

ForceOption = Annotated[bool, typer.Option("--force", help="Run again even if it is up to date.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and errors.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Language = Literal["en", "es"]
HtmlOption = Annotated[
    Path | None, typer.Option(help="Also write the results as a page, FILE.html.", show_default=False)
]

# How a file of clicks is laid out
Unit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds", "iso8601"]
LayoutOption = Annotated[str | None, typer.Option("--format", help="Format of the files: data.format in docs/data.md.")]
SessionOption = Annotated[str | None, typer.Option(help="Column of session ids.", show_default="SessionId")]
ItemOption = Annotated[str | None, typer.Option(help="Column of item ids.", show_default="ItemId")]
TimeOption = Annotated[str | None, typer.Option(help="Column of times; none: use row numbers.", show_default="Time")]
UnitOption = Annotated[Unit | None, typer.Option(help="Unit of the times.", show_default="detected")]
SeparatorOption = Annotated[str | None, typer.Option(help="Separator of a text file.")]
DescribedOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="A study whose data section describes the clicks.")
]


def command(heading: str, name: str | None = None, help: str | None = None) -> Callable[..., Any]:
    """Return a decorator that makes a function a command, listed by `--help` below one of `HEADINGS`.

    Name and help are by default those of the function.
    """
    return app.command(name, help=help, epilog=_EXIT_CODES, rich_help_panel=heading)


def command_group(heading: str, name: str, help: str) -> typer.Typer:
    """Return a command with commands of its own, listed by `--help` below one of `HEADINGS`."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
    app.add_typer(group, name=name, help=help, epilog=_EXIT_CODES, rich_help_panel=heading)
    return group


def require_page(path: Path | None) -> None:
    """Check that a page can be written where `--html` says, and that it is no other file.

    Raises:
        UsageError: it cannot, or the name is not that of a page.
    """
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--html: {path} is not the name of a page", "give a name that ends in .html")
    require_place(path, "--html", folder=False)


@contextmanager
def errors(*, debug: bool, on_interrupt: str = "") -> Iterator[None]:
    """Turn errors into messages and exit codes, and let Ctrl-C stop the work in order from here on.

    `on_interrupt` says what is kept then, and how the work goes on.
    """
    stop_on_interrupt()
    try:
        yield
    except KeyboardInterrupt:
        _end_interrupted(on_interrupt)
    except Exception as error:
        if interrupted():  # some packages turn Ctrl-C into an error of their own
            _end_interrupted(on_interrupt)
        if isinstance(error, StudyError):
            _fail(error, debug=debug)
        number = _write_error(error)
        if number is None:
            raise
        message = f"cannot write to the run directory: {os.strerror(number)}; every finished stage is complete"
        hint = "free some space or give another --run-dir; the same command then continues from here"
        _fail(UsageError(message, hint), debug=debug)


def _end_interrupted(kept: str) -> NoReturn:
    console.show_json_error({"message": "interrupted", "hint": kept, "exit_code": INTERRUPTED})
    console.show_status(f"interrupted; {kept}" if kept else "interrupted")
    raise typer.Exit(INTERRUPTED) from None


def _write_error(error: Exception) -> int | None:
    """Return the system's error number where writing failed, also where polars or safetensors wrote."""
    found = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    return number if number in _UNWRITABLE else None


def _fail(error: StudyError, *, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    console.show_error(error)
    raise typer.Exit(error.exit_code)
