"""`reproduce`: run a published table again, with a verdict on every row."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.files import write_text
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import (
    CHECKS,
    DebugOption,
    HtmlOption,
    JsonOption,
    QuietOption,
    command,
    errors,
    require_page,
)


@command(CHECKS)
def reproduce(
    table: Annotated[
        str | None, typer.Argument(help="A table, or a YAML file of one's own; none: list them.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The folder that holds the data; nothing is downloaded.", show_default=False)
    ] = None,
    row: Annotated[list[str] | None, typer.Option(help="Run this row alone, repeatable.", show_default=False)] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for the artifacts; default: runs/reproduce-TABLE.", show_default=False)
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the configuration.")
    ] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Run a published table on your copy of its data; exit code 6 if a row is not reproduced.

    Without a table, list those that are known: what data they need, where it is, and on what terms.
    """
    with errors(debug=debug, on_interrupt="the same command continues from here"):
        require_page(html)
        from gru4rec_cli.reproducing import listing, run
        from gru4rec_cli.reproducing.table import load_table

        if table is None and json:
            console.show_json(listing.document())
            return
        if table is None:
            console.show_table(listing.table())
            return
        published = load_table(table)
        if data is None:
            console.show_facts(listing.about(table, published), json=json)
            return
        name = Path(table).stem
        place = run_dir or Path("runs") / f"reproduce-{name}"
        config = run.prepare(name, published, data, row or (), overrides or ())
        with console.progress(quiet=quiet) as progress:
            found = run.reproduce(name, published, data, config, place, progress)
        if html is not None:
            from gru4rec_cli.reporting.pages.html import page_html
            from gru4rec_cli.reporting.text.words import ENGLISH

            write_text(html, page_html(published.title, found.sections(), ENGLISH, drawings={}))
        if json:
            console.show_json(found.document())
        else:
            console.show_table(found.shown())
        found.require()
