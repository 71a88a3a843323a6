"""The commands around the author's own code: fetch it, convert its parameters and saved models."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.commands.options import (
    EXIT_CODES_TOLD,
    DebugOption,
    ForceOption,
    JsonOption,
    QuietOption,
    errors,
    show_plain,
)

app = typer.Typer()


@app.command(epilog=EXIT_CODES_TOLD)
def fetch(
    source: Annotated[
        str | None,
        typer.Option(help="A mirror (https, ssh), a local clone or a bundle; default: the pinned address."),
    ] = None,
    vendor: Annotated[Path | None, typer.Option(help="Where it goes; default: vendor.", show_default=False)] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Fetch the author's own GRU4Rec at its pinned commit, for models of kind `official`."""
    with errors(debug=debug):
        from gru4rec_cli.models.official import fetching as vendoring

        described = vendoring.fetch(source, vendor, force=force).as_dict()
    show_plain(described, json=json)


@app.command("convert-parameters", epilog=EXIT_CODES_TOLD)
def convert_parameters(
    given: Annotated[
        str, typer.Argument(metavar="FILE_OR_STRING", help="A parameter file of the author's, or a string.")
    ],
    debug: DebugOption = False,
) -> None:
    """Print the author's parameters (a file, or loss=cross-entropy,layers=100,…) as a section of our configuration."""
    with errors(debug=debug):
        from gru4rec_cli.models.official.parameters import as_section, read_parameters

        typer.echo(as_section(read_parameters(given)), nl=False)


@app.command("import-checkpoint", epilog=EXIT_CODES_TOLD)
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

        described = convert.import_checkpoint(file, to)
    show_plain(described, json=json)


@app.command("export-checkpoint", epilog=EXIT_CODES_TOLD)
def export_checkpoint(
    folder: Annotated[Path, typer.Argument(help="A model folder of kind gru4rec or official.")],
    to: Annotated[Path, typer.Option(help="The file to write.", show_default=False)],
    items: Annotated[Path | None, typer.Option(help="Its items.parquet; default: that of its run.")] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a fitted model as the author's code saves one, for his run.py."""
    with errors(debug=debug):
        from gru4rec_cli.models.official import convert

        described = convert.export_checkpoint(folder, to, items)
    show_plain(described, json=json)
