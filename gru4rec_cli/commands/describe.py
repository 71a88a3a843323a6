"""`describe`: a description of whatever clicks `split` accepts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import RESULTS, DebugOption, JsonOption, QuietOption, command, errors

Unit = Literal["seconds", "milliseconds", "iso8601"]


@command(RESULTS)
def describe(
    data: Annotated[
        Path | None,
        typer.Argument(help="A file of clicks, a folder of a public data set, or an event table.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="A study whose data section describes the clicks.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--format", help="Format of the files: data.format in docs/data.md.")
    ] = None,
    session: Annotated[str | None, typer.Option(help="Column of session ids.", show_default="SessionId")] = None,
    item: Annotated[str | None, typer.Option(help="Column of item ids.", show_default="ItemId")] = None,
    time: Annotated[
        str | None, typer.Option(help="Column of times; none: use row numbers.", show_default="Time")
    ] = None,
    time_unit: Annotated[Unit | None, typer.Option(help="Unit of the times.", show_default="detected")] = None,
    separator: Annotated[str | None, typer.Option(help="Separator of a text file.")] = None,
    to: Annotated[Path | None, typer.Option(help="A folder for describe.json and plots.", show_default=False)] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Describe a click log: size, lengths, support, times, repeats, drift, and whether the order of clicks matters."""
    with errors(debug=debug):
        from gru4rec_cli.study import describing

        options = describing.Options(layout, session, item, time, time_unit, separator)
        with console.progress(quiet=quiet) as progress:
            description = describing.describe_input(data, config, options, progress)
        written = describing.write(description, to) if to else []
        if json:
            console.show_json(description)
        else:
            console.show_tables(describing.tables(description))
    for path in written:
        console.show_status(f"written: {path}")
