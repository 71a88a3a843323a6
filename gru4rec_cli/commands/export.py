"""`export`: a fitted model as a bundle that needs nothing but itself."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.files import require_place
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import USE, DebugOption, JsonOption, command, errors


@command(USE)
def export(
    run_dir: Annotated[Path, typer.Option(help="Run directory with the model.", show_default=False)],
    model: Annotated[str, typer.Option(help="A fitted model of the run: NAME or NAME.seed-N.", show_default=False)],
    to: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also write one step of GRU4Rec as an ONNX graph (needs the extra [onnx]).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a fitted model as a bundle, with a model card, which can be served without the run."""
    with errors(debug=debug):
        require_place(to, "--to", folder=True)
        from gru4rec_cli.serving.bundle import export_bundle

        facts = export_bundle(run_dir, model, to, onnx=onnx, force=force)
    console.show_facts(facts, json=json)
