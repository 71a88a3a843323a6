"""`bench`: measure speed and memory of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.base.files import require_place
from gru4rec_cli.base.warnings import collected
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import CHECKS, DebugOption, JsonOption, QuietOption, command, errors


@command(CHECKS)
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Take a few steps of the smallest sizes, to see if it works.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Measure the whole grid of sizes; takes hours.")] = False,
    growth: Annotated[
        bool, typer.Option("--growth", help="Measure how time and memory grow with size, instead.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECTION", help="training, ranking, latency, serving, fit or start-up; repeatable; default: all."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of everything that is measured; 0: all cores.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="How many times everything is measured, in turns.")] = 3,
    to: Annotated[Path | None, typer.Option(help="A folder for bench.json, bench.csv and plots.")] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure speed and memory on this machine; also of the author's code, if fetched, and of the products alone."""
    with errors(debug=debug):
        if to is not None:
            require_place(to, "--to", folder=True)
        from gru4rec_cli.bench import output, run

        options = run.BenchOptions(quick, full, growth, tuple(only or ()), threads, repeats)
        with console.progress(quiet=quiet) as progress, collected() as warnings:
            findings = run.run_bench(options, progress)
        console.show_warnings(warning.as_dict() for warning in warnings)
        if to:
            output.write_folder(to, findings)
        if json:
            console.show_json({**findings.document, "warnings": [warning.as_dict() for warning in warnings]})
        else:
            for table in output.tables(findings):
                console.show_table(table)
