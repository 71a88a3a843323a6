"""`convert-parameters`: the author's parameters as a section of our configuration."""

from typing import Annotated

import typer

from gru4rec_cli.commands.options import AUTHOR, DebugOption, command, errors


@command(AUTHOR)
def convert_parameters(
    given: Annotated[
        str, typer.Argument(metavar="FILE_OR_STRING", help="A parameter file of the author, or a string.")
    ],
    debug: DebugOption = False,
) -> None:
    """Print the author's parameters (a file, or loss=cross-entropy,layers=100,…) as a section of our configuration."""
    with errors(debug=debug):
        from gru4rec_cli.models.official.parameters import as_section, read_parameters

        typer.echo(as_section(read_parameters(given)), nl=False)
