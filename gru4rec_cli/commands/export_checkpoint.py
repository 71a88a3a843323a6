"""`export-checkpoint`: a fitted model as the author's code saves one."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.files import require_place
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import AUTHOR, DebugOption, JsonOption, command, errors


@command(AUTHOR)
def export_checkpoint(
    folder: Annotated[Path, typer.Argument(help="A model folder of kind gru4rec or official.")],
    to: Annotated[Path, typer.Option(help="File to write.", show_default=False)],
    items: Annotated[Path | None, typer.Option(help="Item table of the model; default: in its folder.")] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a fitted model in the format of the author's code, for his run.py."""
    with errors(debug=debug):
        require_place(to.parent, "--to", folder=True)
        from gru4rec_cli.models.official import convert

        facts = convert.export_checkpoint(folder, to, items)
    console.show_facts(facts, json=json)
