"""`bench`: measure speed and memory of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import CHECKS, DebugOption, JsonOption, QuietOption, command, errors


@command(CHECKS)
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A few steps of the smallest sizes, to try it out.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The whole grid of sizes; hours.")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="Instead: time and memory against size.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="SECTION", help="training, ranking, latency, fit or start-up; repeatable; default: all."),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of everything measured; 0: all cores.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turns.")] = 3,
    to: Annotated[Path | None, typer.Option(help="A folder for bench.json, bench.csv and plots.")] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure speed and memory of this machine: ours, the author's code if fetched, and what products alone take."""
    with errors(debug=debug):
        from gru4rec_cli.bench import output, run

        options = run.BenchOptions(quick, full, growth, tuple(only or ()), threads, repeats)
        with console.progress(quiet=quiet) as progress:
            findings = run.run_bench(options, progress)
        if findings.warning:
            console.show_status(f"warning: {findings.warning}")
        if to:
            output.write_folder(to, findings)
        if json:
            console.show_json(findings.document)
        else:
            for table in output.tables(findings):
                console.show_table(table)
