"""`verify`: hold a run directory against its manifests."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import CHECKS, DebugOption, JsonOption, command, errors


@command(CHECKS)
def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, such as runs/demo.")],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check configuration, manifests and every file of a run; name what is damaged, missing or foreign (exit code 4).

    Nothing is written.
    """
    with errors(debug=debug):
        from gru4rec_cli.study import verifying

        verification = verifying.verify(run)
        if json:
            console.show_json(verification.document())
        else:
            console.show_table(verification.table())
        verification.require_sound()
