"""`describe`: a description of whatever clicks `split` accepts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gru4rec_cli.base.files import require_place
from gru4rec_cli.base.warnings import collected
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import (
    RESULTS,
    DebugOption,
    DescribedOption,
    ItemOption,
    JsonOption,
    LayoutOption,
    QuietOption,
    SeparatorOption,
    SessionOption,
    TimeOption,
    UnitOption,
    command,
    errors,
)

OnError = Literal["stop", "skip"]


@command(RESULTS)
def describe(
    data: Annotated[
        Path | None,
        typer.Argument(help="A file of clicks, a folder of a public data set, or an event table.", show_default=False),
    ] = None,
    config: DescribedOption = None,
    layout: LayoutOption = None,
    session: SessionOption = None,
    item: ItemOption = None,
    time: TimeOption = None,
    time_unit: UnitOption = None,
    separator: SeparatorOption = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="Column of user ids; without --session, sessions are made from the pauses of each user, which needs "
            "--gap-minutes."
        ),
    ] = None,
    gap_minutes: Annotated[
        float | None,
        typer.Option(help="A session ends after a longer time than this without a click, in minutes, such as 30."),
    ] = None,
    event: Annotated[str | None, typer.Option(help="Column of event types.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Event type to keep, repeatable; default: all.", show_default=False)
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(help="Text that stands for a missing id, repeatable; its rows are dropped.", show_default=False),
    ] = None,
    on_error: Annotated[
        OnError | None, typer.Option(help="At a bad row: stop, or skip and count it.", show_default="stop")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="A folder for describe.json and plots.", show_default=False)] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Describe a click log: size, lengths, support, times, repeats, drift, and whether the order of clicks matters."""
    with errors(debug=debug):
        if to is not None:
            require_place(to, "--to", folder=True)
        from gru4rec_cli.study import describing

        options = describing.Options(
            format=layout, session=session, item=item, time=time, time_unit=time_unit, separator=separator, user=user,
            gap_minutes=gap_minutes, event=event, keep=tuple(keep or ()), missing=tuple(missing or ()),
            on_error=on_error,
        )  # fmt: skip
        with console.progress(quiet=quiet) as progress, collected() as warnings:
            description = describing.describe_input(data, config, options, progress)
        console.show_warnings(warning.as_dict() for warning in warnings)
        written = describing.write(description, to) if to else []
        if json:
            console.show_json(description)
        else:
            console.show_tables(describing.tables(description))
    for path in written:
        console.show_status(f"written: {path}")
