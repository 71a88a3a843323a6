"""`import-checkpoint`: a model that the author's code saved becomes one of ours."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import AUTHOR, DebugOption, JsonOption, command, errors


@command(AUTHOR)
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A model that the author's code saved: a pickle.")],
    to: Annotated[Path, typer.Option(help="The model folder to make, of kind gru4rec.", show_default=False)],
    yes_unpickle: Annotated[bool, typer.Option("--yes-unpickle", help="The file is from a source you trust.")] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a model folder from a model that the author's code saved. Unpickling a file runs the code in it."""
    with errors(debug=debug):
        warning = f"{file} is a pickle: opening it runs whatever code its maker put into it, with your rights"
        if not yes_unpickle and not (sys.stdin.isatty() and typer.confirm(f"{warning}. Open it?", err=True)):
            raise UsageError(warning, "give --yes-unpickle if you trust where it comes from")
        from gru4rec_cli.models.official import convert

        facts = convert.import_checkpoint(file, to)
    console.show_facts(facts, json=json)
