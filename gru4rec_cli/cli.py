"""The app: every file of `commands/` registers its commands."""

import importlib
import os
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated

import typer

from gru4rec_cli import __version__
from gru4rec_cli.base.errors import INTERRUPTED, StudyError
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import HEADINGS, app

__all__ = ["app", "main"]

for _module in iter_modules([str(Path(__file__).with_name("commands"))]):
    importlib.import_module(f"gru4rec_cli.commands.{_module.name}")
app.registered_commands.sort(key=lambda command: HEADINGS.index(command.rich_help_panel))


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False) -> None:
    if version:
        typer.echo(f"gru4rec-study {__version__}")
        raise typer.Exit


def main() -> None:
    """Run `gru4rec-study`."""
    try:
        app(prog_name="gru4rec-study")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read the results has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        bug = StudyError(
            f"{type(error).__name__}: {error}", "this is a bug in gru4rec-study; --debug shows where it is"
        )
        console.show_error(bug)
        sys.exit(bug.exit_code)
