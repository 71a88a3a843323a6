"""`compare`: several runs in one table."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.files import require_place
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import RESULTS, DebugOption, JsonOption, Language, command, errors


@command(RESULTS)
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories of finished runs.")],
    apart: Annotated[
        bool, typer.Option("--apart", help="Show runs that cannot be compared, in separate tables.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="A folder for comparison.html, .md, .tex and .csv.", show_default=False)
    ] = None,
    language: Annotated[Language, typer.Option(help="Language of the page: en or es.")] = "en",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show several runs in one table if test set and protocol are the same; else name the differences (exit code 6)."""
    with errors(debug=debug):
        if to is not None:
            require_place(to, "--to", folder=True)
        from gru4rec_cli.study import comparing

        comparison = comparing.compare(runs, apart=apart)
        written = comparing.write(comparison, to, language) if to else []
    if json:
        console.show_json(comparison.document())
    else:
        console.show_tables(comparison.tables())
    for path in written:
        console.show_status(f"written: {path}")
