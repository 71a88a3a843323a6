"""`conformance`: replay recorded runs of the author's implementation."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import CHECKS, DebugOption, JsonOption, command, errors


@command(CHECKS)
def conformance(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE...", help="Recorded runs, NAME.npz and NAME.json.")],
    module: Annotated[
        Path | None,
        typer.Option(help="An adapter to another implementation, a Python file; it is run. See docs/conformance.md."),
    ] = None,
    step: Annotated[
        Literal["torch", "compiled"], typer.Option(help="Which training step of ours is replayed.")
    ] = "torch",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Replay recorded runs of the author's implementation, step by step, and compare everything."""
    with errors(debug=debug):
        from gru4rec_cli.conformance import run

        verdicts = run.check_cases(cases, module, step)
        if json:
            console.show_json(run.document(verdicts))
        else:
            console.show_table(run.table(verdicts))
        run.require_all(verdicts)
