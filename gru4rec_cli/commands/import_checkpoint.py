"""`import-checkpoint`: a model that the author's code saved becomes one of ours."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import require_place
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import AUTHOR, DebugOption, JsonOption, command, errors


@command(AUTHOR)
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A model that the author's code saved: a pickle.")],
    to: Annotated[Path, typer.Option(help="Model folder to create, of kind gru4rec.", show_default=False)],
    yes_unpickle: Annotated[
        bool, typer.Option("--yes-unpickle", help="Confirm that you trust the source of the file.")
    ] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a model folder from a model that the author's code saved. Unpickling a file runs the code in it."""
    with errors(debug=debug):
        require_place(to, "--to", folder=True)
        warning = f"{file} is a pickle: opening it runs any code that it contains, with your rights"
        if not yes_unpickle and not (sys.stdin.isatty() and typer.confirm(f"{warning}. Open it?", err=True)):
            raise UsageError(warning, "give --yes-unpickle if you trust its source")
        from gru4rec_cli.models.official import convert

        facts = convert.import_checkpoint(file, to)
    console.show_facts(facts, json=json)
