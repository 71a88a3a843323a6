"""`conformance`: replay recorded runs of the author's implementation."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import CHECKS, DebugOption, JsonOption, command, errors


@command(CHECKS)
def conformance(
    cases: Annotated[
        list[Path], typer.Argument(metavar="CASE...", help="Recorded runs: NAME.npz, with NAME.json beside it.")
    ],
    module: Annotated[
        Path | None,
        typer.Option(
            help="A Python file that adapts another implementation; its code is run. See docs/conformance.md."
        ),
    ] = None,
    step: Annotated[
        Literal["torch", "compiled"], typer.Option(help="Which training step of ours is replayed.")
    ] = "torch",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Replay recorded runs of the author's implementation step by step, and compare every result."""
    with errors(debug=debug):
        from gru4rec_cli.conformance import run

        verdicts = run.check_cases(cases, module, step)
        if json:
            console.show_json(run.document(verdicts))
        else:
            console.show_table(run.table(verdicts))
        run.require_all(verdicts)
