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
    """Check that a run is complete, up to date, and has every file as it was written; else exit code 4.

    Nothing is written. For each part, one word is shown. whole: all files have the bytes that its stage wrote, and run
    would skip it. unfinished: an interrupted try lies beside it; this alone is no error. not run: the configuration
    asks for it, but it is not there. out of date: run would make it again, since settings, inputs or code have changed.
    damaged: a file is missing or has other bytes. foreign: nothing of this program wrote the file.
    """
    with errors(debug=debug):
        from gru4rec_cli.study import verifying

        verification = verifying.verify(run)
        if json:
            console.show_json(verification.document())
        else:
            console.show_table(verification.table())
        verification.require_sound()
