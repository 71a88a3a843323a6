"""`recommend`: the best items after some clicks, or for every session of a file, by a fitted model."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import (
    USE,
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

_LARGEST_K = 1_000_000


@command(USE)
def recommend(
    run_dir: Annotated[Path | None, typer.Option(help="Run directory with the model.", show_default=False)] = None,
    model: Annotated[
        str | None, typer.Option(help="A fitted model of the run: NAME or NAME.seed-N.", show_default=False)
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of one model, in place of --run-dir and --model.", show_default=False)
    ] = None,
    items: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="The clicks so far, the last one last.", show_default=False)
    ] = None,
    sessions: Annotated[
        Path | None, typer.Option(help="A file of clicks, as split reads it.", show_default=False)
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="With --sessions: the file to write, .tsv, .csv (also .gz) or .parquet.")
    ] = None,
    each_click: Annotated[
        bool, typer.Option("--each-click", help="With --sessions: a list for every click but the first.")
    ] = False,
    k: Annotated[int, typer.Option(min=1, max=_LARGEST_K, help="Length of a list.")] = 20,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out what the session has clicked already.")
    ] = False,
    candidates: Annotated[
        Path | None, typer.Option(help="A file of item ids: only these are recommended.", show_default=False)
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(help="A file of item ids that are not recommended.", show_default=False)
    ] = None,
    config: DescribedOption = None,
    layout: LayoutOption = None,
    session: SessionOption = None,
    item: ItemOption = None,
    time: TimeOption = None,
    time_unit: UnitOption = None,
    separator: SeparatorOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Recommend items with a fitted model: after some clicks, or for every session of a file."""
    with errors(debug=debug):
        laid_out = (config, layout, session, time, time_unit, separator)
        _require_one_way(items, sessions, to, each_click, is_laid_out=any(value is not None for value in laid_out))
        from gru4rec_cli.serving import lists
        from gru4rec_cli.serving.list_files import require_output
        from gru4rec_cli.serving.places import find_model

        if to is not None:
            require_output(to, "--to", {"--sessions": sessions, "--candidates": candidates, "--exclude": exclude})
        wish = lists.Wish(k, exclude_seen, candidates, exclude, item)
        with console.progress(quiet=quiet) as progress:
            fitted = find_model(run_dir, model, bundle)
            if sessions is not None and to is not None:
                from gru4rec_cli.serving.session_lists import Clicks, recommend_sessions
                from gru4rec_cli.study.describing import Options

                options = Options(
                    format=layout, session=session, item=item, time=time, time_unit=time_unit, separator=separator
                )
                clicks = Clicks(sessions, options, config)
                document = recommend_sessions(fitted, clicks, to, wish, each_click=each_click, progress=progress)
            else:
                document = lists.recommend_items(fitted, items or "", wish)
        for note in lists.notes(document):
            console.show_status(note)
        if json:
            console.show_json(document)
        elif items is not None:
            console.show_table(lists.table(document))


def _require_one_way(
    items: str | None, sessions: Path | None, to: Path | None, each_click: bool, *, is_laid_out: bool
) -> None:
    """Raise `UsageError` unless either a history or a file of sessions is given, with what belongs to it."""
    if items is not None and sessions is not None:
        raise UsageError("--items and --sessions are two ways", "give one of them")
    if items is None and sessions is None:
        raise UsageError("nothing to recommend from", "give --items A,B,C, or --sessions FILE --to FILE")
    if sessions is not None and to is None:
        raise UsageError("--sessions: there is no place for the lists", "give --to FILE, such as lists.tsv")
    if sessions is None and (to is not None or each_click or is_laid_out):
        raise UsageError(
            "--to, --each-click, --config, --format and the columns are for a file of clicks",
            "give --sessions FILE, or leave them out",
        )
