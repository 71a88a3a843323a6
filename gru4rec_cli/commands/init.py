"""`init`: a first configuration for a file of clicks."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import require_place
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import RESULTS, DebugOption, QuietOption, command, errors


@command(RESULTS)
def init(
    file: Annotated[
        Path, typer.Argument(help="A file of clicks: .csv, .tsv (also .gz) or .parquet.", show_default=False)
    ],
    to: Annotated[
        Path | None, typer.Option(help="The YAML file to write; default: show it.", show_default=False)
    ] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Look at a file of clicks and write a configuration for it; comments have the evidence for every guess."""
    with errors(debug=debug):
        if to is not None:
            require_place(to, "--to", folder=False)
            if to.exists():
                raise UsageError(f"{to}: exists already, and is not overwritten", "give another file in --to")
        from gru4rec_cli.study import inspecting

        with console.progress(quiet=quiet) as progress:
            text = inspecting.write_configuration(file, progress)
        if to is None:
            typer.echo(text, nl=False)
            return
        inspecting.save(to, text)
        console.show_status(f"written: {to}; next: gru4rec-study run --config {to}")
