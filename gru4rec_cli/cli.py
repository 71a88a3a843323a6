"""The app: every file of `commands/` registers its commands."""

import importlib
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated

import typer

from gru4rec_cli import __version__
from gru4rec_cli.base.errors import INTERRUPTED, StudyError, UsageError
from gru4rec_cli.base.streams import interrupted, stdout_failure
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import HEADINGS, app

__all__ = ["app", "run"]

for _module in iter_modules([str(Path(__file__).with_name("commands"))]):
    importlib.import_module(f"gru4rec_cli.commands.{_module.name}")
app.registered_commands.sort(key=lambda command: HEADINGS.index(command.rich_help_panel))


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False) -> None:
    if version:
        typer.echo(f"gru4rec-study {__version__}")
        raise typer.Exit


def run() -> int:
    """Run `gru4rec-study` and return its exit code."""
    code = _run()
    why = stdout_failure()
    if why:
        error = UsageError(f"stdout: the results cannot be written: {why}", "free some space, or write elsewhere")
        console.show_error(error)
        return code or error.exit_code
    return code


def _run() -> int:
    try:
        app(prog_name="gru4rec-study")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if interrupted():
            return INTERRUPTED
        if "--debug" in sys.argv:
            raise
        bug = StudyError(
            f"{type(error).__name__}: {error}", "this is a bug in gru4rec-study; --debug shows where it is"
        )
        console.show_error(bug)
        return bug.exit_code
    return 0
