"""`reproduce`: run a published table again, with a verdict on every row."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.errors import UsageError
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
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Estimate how long the table takes on this machine, and run nothing.")
    ] = False,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Also make the faults of the source, for the figures it would find.")
    ] = False,
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
        from gru4rec_cli.reproducing import listing
        from gru4rec_cli.reproducing.loading import load_table

        if table is None:
            if json:
                console.show_json(listing.document())
            else:
                console.show_table(listing.table())
            return
        name, published = Path(table).stem, load_table(table)
        if estimate:
            if overrides:
                raise UsageError("--estimate is of the table as it is", "leave --set out")
            from gru4rec_cli.reproducing.estimate import estimate as estimated

            with console.progress(quiet=quiet) as progress:
                time = estimated(name, published, row or (), progress)
            if json:
                console.show_json(time.document())
            else:
                console.show_table(time.shown())
            return
        if data is None:
            about = listing.about(table, published) if json else listing.facts(table, published)
            console.show_facts(about, json=json)
            return
        from gru4rec_cli.reproducing import run

        if as_published:
            run.require_faults(name, published)
        place = run_dir or Path("runs") / f"reproduce-{name}"
        config = run.prepare(name, published, data, row or (), overrides or ())
        with console.progress(quiet=quiet) as progress:
            found = run.reproduce(name, published, data, config, place, progress, as_published=as_published)
        if html is not None:
            from gru4rec_cli.reporting.pages.html import page_html
            from gru4rec_cli.reporting.text.words import ENGLISH

            write_text(html, page_html(published.title, found.sections(), ENGLISH, drawings={}))
        if json:
            console.show_json(found.document())
        else:
            console.show_table(found.shown())
        found.require()
