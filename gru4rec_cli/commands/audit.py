"""`audit`: check data, splits, runs, models and predictions for known faults, with an exit code."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import write_text
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import (
    CHECKS,
    DebugOption,
    DescribedOption,
    HtmlOption,
    ItemOption,
    JsonOption,
    LayoutOption,
    QuietOption,
    SeparatorOption,
    SessionOption,
    TimeOption,
    UnitOption,
    command_group,
    errors,
    require_page,
)

if TYPE_CHECKING:
    from gru4rec_cli.audit.check import Audit, Choice
    from gru4rec_cli.base.progress import Progress

FailOn = Literal["warn", "fail"]

audit = command_group(
    CHECKS, "audit", "Check data, a split, a run, a model or predictions for known faults; exit code 6 if one is found."
)

FailOnOption = Annotated[FailOn, typer.Option(help="The verdict from which on the exit code is 6.")]
OnlyOption = Annotated[list[str] | None, typer.Option(help="Run this check alone, repeatable.", show_default=False)]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ID=REASON", help="Let a check pass, and show why, repeatable.", show_default=False),
]
ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ID=NUMBER", help="The figure from which on a check fails, repeatable.", show_default=False),
]


@audit.command("data")
def data(
    log: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="A file of clicks, or a folder of a public data set.")
    ] = None,
    config: DescribedOption = None,
    layout: LayoutOption = None,
    session: SessionOption = None,
    item: ItemOption = None,
    time: TimeOption = None,
    time_unit: UnitOption = None,
    separator: SeparatorOption = None,
    user: Annotated[str | None, typer.Option(help="Column of user ids.")] = None,
    html: HtmlOption = None,
    fail_on: FailOnOption = "fail",
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    threshold: ThresholdOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a click log: times, order, copies, ids, robots, drift."""

    def work(choice: "Choice", progress: "Progress") -> "Audit":
        from gru4rec_cli.audit.data import audit_data
        from gru4rec_cli.study.describing import Options

        options = Options(
            format=layout, session=session, item=item, time=time, time_unit=time_unit, separator=separator, user=user
        )
        return audit_data(log, config, options, choice, progress)

    _run(work, (only, ignore, threshold), html, fail_on, json=json, quiet=quiet, debug=debug)


@audit.command("split")
def split(
    files: Annotated[
        list[Path], typer.Argument(metavar="TRAIN TEST [VALID] | RUN", help="Two or three files, or a run directory.")
    ],
    session: SessionOption = None,
    item: ItemOption = None,
    time: TimeOption = None,
    time_unit: UnitOption = None,
    separator: SeparatorOption = None,
    html: HtmlOption = None,
    fail_on: FailOnOption = "fail",
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    threshold: ThresholdOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Check training and test: the future in training, copies, unknown items, and which published split it is."""

    def work(choice: "Choice", progress: "Progress") -> "Audit":
        from gru4rec_cli.audit.split import audit_split
        from gru4rec_cli.study.describing import Options

        options = Options(session=session, item=item, time=time, time_unit=time_unit, separator=separator)
        return audit_split(files, options, choice, progress)

    _run(work, (only, ignore, threshold), html, fail_on, json=json, quiet=quiet, debug=debug)


@audit.command("run")
def run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, such as runs/demo.")],
    html: HtmlOption = None,
    fail_on: FailOnOption = "fail",
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    threshold: ThresholdOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a finished run: files, metrics, ranks, ties, baselines, seeds, epochs, and what is called a win."""

    def work(choice: "Choice", progress: "Progress") -> "Audit":
        from gru4rec_cli.audit.run import audit_run

        return audit_run(folder, choice, progress)

    _run(work, (only, ignore, threshold), html, fail_on, json=json, quiet=quiet, debug=debug)


@audit.command("model")
def model(
    folder: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A run directory with the model.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option("--model", help="A fitted model of the run.", show_default=False)] = None,
    module: Annotated[
        Path | None,
        typer.Option(help="A Python file around another implementation; its code is run. See docs/audit.md."),
    ] = None,
    case: Annotated[
        list[Path] | None,
        typer.Option(help="A recorded run of GRU4Rec for the module to replay, repeatable.", show_default=False),
    ] = None,
    html: HtmlOption = None,
    fail_on: FailOnOption = "fail",
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    threshold: ThresholdOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a model, ours or another one: batches, padding, state, order, ties, and for GRU4Rec its computation."""

    def work(choice: "Choice", progress: "Progress") -> "Audit":
        from gru4rec_cli.audit.model import audit_model

        if module is not None and folder is None and name is None:
            from gru4rec_cli.audit.other_models import scorer_of_module

            return audit_model(scorer_of_module(module, case or ()), choice, progress)
        if folder is not None and name is not None and module is None:
            from gru4rec_cli.audit.own_models import scorer_of_run

            return audit_model(scorer_of_run(folder, name), choice, progress)
        raise UsageError("give a model", "gru4rec-study audit model RUN --model NAME, or --module FILE.py")

    _run(work, (only, ignore, threshold), html, fail_on, json=json, quiet=quiet, debug=debug)


@audit.command("predictions")
def predictions(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Ranked lists: TREC run file, CSV, TSV or Parquet.")],
    train: Annotated[Path, typer.Option(help="The training part.")],
    test: Annotated[Path, typer.Option(help="The test part.")],
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC@K=VALUE", help="A figure that is claimed, such as recall@20=0.52, repeatable."),
    ] = None,
    session: SessionOption = None,
    item: ItemOption = None,
    time: TimeOption = None,
    time_unit: UnitOption = None,
    separator: SeparatorOption = None,
    html: HtmlOption = None,
    fail_on: FailOnOption = "fail",
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    threshold: ThresholdOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Check ranked lists that another tool wrote, and the figures that are claimed for them."""

    def work(choice: "Choice", progress: "Progress") -> "Audit":
        from gru4rec_cli.audit.predictions import audit_predictions
        from gru4rec_cli.study.describing import Options

        options = Options(session=session, item=item, time=time, time_unit=time_unit, separator=separator)
        return audit_predictions(file, train, test, tuple(claim or ()), options, choice, progress)

    _run(work, (only, ignore, threshold), html, fail_on, json=json, quiet=quiet, debug=debug)


def _run(
    work: "Callable[[Choice, Progress], Audit]",
    chosen: tuple[list[str] | None, list[str] | None, list[str] | None],
    html: Path | None,
    fail_on: FailOn,
    *,
    json: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Audit, show the results, write the page, and end with the exit code."""
    with errors(debug=debug):
        require_page(html)
        from gru4rec_cli.audit.check import Choice
        from gru4rec_cli.reporting.pages.html import page_html
        from gru4rec_cli.reporting.text.words import ENGLISH

        choice = Choice.of(*(tuple(texts or ()) for texts in chosen))
        with console.progress(quiet=quiet) as progress:
            found = work(choice, progress)
        if html is not None:
            write_text(html, page_html(f"Audit of {found.of}", found.sections(), ENGLISH, drawings={}))
        if json:
            console.show_json(found.document())
        else:
            console.show_table(found.table())
        if html is not None:
            console.show_status(f"written: {html}")
        found.require(fail_on)
