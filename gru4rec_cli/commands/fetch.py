"""`fetch`: get the author's own GRU4Rec."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.files import require_place
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import AUTHOR, DebugOption, ForceOption, JsonOption, QuietOption, command, errors


@command(AUTHOR)
def fetch(
    source: Annotated[
        str | None,
        typer.Option(help="A mirror (https, ssh), a local clone or a bundle; default: the pinned address."),
    ] = None,
    vendor: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: vendor.", show_default=False)
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Download the author's own GRU4Rec at its pinned commit, for models of kind `official`."""
    with errors(debug=debug):
        if vendor is not None:
            require_place(vendor, "--vendor", folder=True)
        from gru4rec_cli.models.official import fetching

        facts = fetching.fetch(source, vendor, force=force).as_dict()
    console.show_facts(facts, json=json)
