"""The command line: declare options, load the configuration, call the pipeline, show the results."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gru4rec_cli import __version__
from gru4rec_cli.base.errors import INTERRUPTED, StudyError
from gru4rec_cli.base.threads import limit_threads
from gru4rec_cli.commands import console, describe, official
from gru4rec_cli.commands.options import EXIT_CODES_TOLD, DebugOption, ForceOption, JsonOption, QuietOption, errors

if TYPE_CHECKING:
    from gru4rec_cli.study.pipeline import Outcome, Study
    from gru4rec_cli.study.windows import WindowedStudy

STAGE_HELP = {
    "synth": "Plant hidden session interests and draw a click log from them.",
    "split": "Read raw clicks, clean them, and divide them by time into training and test sessions.",
    "baseline": "Fit the models of `baseline.models`.",
    "train": "Fit the models of `train.models`, continuing from the last finished epoch if interrupted.",
    "evaluate": "Rank every test event among all items with every fitted model; metrics with intervals.",
    "report": "Write the report: tables and figures.",
}
app = typer.Typer(
    name="gru4rec-study",
    help="A reproduction and audit of GRU4Rec for session-based recommendation.\n\n"
    "One YAML file and one command go from raw clicks to a table in which GRU4Rec stands beside baselines under full "
    "ranking, with intervals: gru4rec-study run --config FILE.",
    epilog=EXIT_CODES_TOLD,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The study's YAML file.", show_default=False)]
RunDirOption = Annotated[Path | None, typer.Option(help="Where artifacts go; default: runs/NAME.", show_default=False)]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. train.models.gru4rec.layers=[64]."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Threads to compute on; default: all cores, and one for training.", show_default=False),
]
Language = Literal["en", "es"]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would run, and why.")]


app.add_typer(describe.app)
app.add_typer(official.app)


@dataclass(frozen=True)
class Options:
    """What every command is given."""

    config: Path
    run_dir: Path | None
    overrides: list[str]
    json: bool
    quiet: bool
    debug: bool
    threads: int | None

    def repeated(self) -> str:
        """The options with which another stage of the same study is called."""
        parts = ["--config", str(self.config)]
        parts += ["--run-dir", str(self.run_dir)] if self.run_dir else []
        parts += ["--threads", str(self.threads)] if self.threads else []
        return shlex.join([*parts, *(part for override in self.overrides for part in ("--set", override))])


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False) -> None:
    if version:
        typer.echo(f"gru4rec-study {__version__}")
        raise typer.Exit


def _stage_command(name: str) -> Callable[..., None]:
    def command(
        config: ConfigOption,
        run_dir: RunDirOption = None,
        overrides: SetOption = None,
        force: ForceOption = False,
        json: JsonOption = False,
        quiet: QuietOption = False,
        debug: DebugOption = False,
        threads: ThreadsOption = None,
    ) -> None:
        options = Options(config, run_dir, overrides or [], json, quiet, debug, threads)
        with _study(options) as study:
            outcome = study.run_stage(name, force=force)
        _tell(outcome, options)
        _show(outcome, options, {"run_dir": str(study.directory.path), **_line(outcome)})

    return command


for _name, _help in STAGE_HELP.items():
    app.command(_name, help=_help, epilog=EXIT_CODES_TOLD)(_stage_command(_name))


@app.command(epilog=EXIT_CODES_TOLD)
def run(
    config: ConfigOption,
    run_dir: RunDirOption = None,
    overrides: SetOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Run all configured stages in order, skipping what is up to date."""
    options = Options(config, run_dir, overrides or [], json, quiet, debug, threads)
    outcomes: list[Outcome] = []
    with _study(options) as study:
        if dry_run:
            _show_plan(study, options)
            return
        for outcome in study.run(force=force):
            _tell(outcome, options)
            outcomes.append(outcome)
    stages = [_line(outcome) for outcome in outcomes]
    _show(outcomes[-1], options, {"run_dir": str(study.directory.path), "stages": stages})


@app.command(epilog=EXIT_CODES_TOLD)
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, finished.")],
    apart: Annotated[
        bool, typer.Option("--apart", help="Show runs that cannot stand in one table in tables of their own.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="A folder to write comparison.html, .md and .csv into.", show_default=False)
    ] = None,
    language: Annotated[Language, typer.Option(help="Of the page: en or es.")] = "en",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show several runs in one table, if test set and protocol are the same; else say what differs (exit code 6)."""
    with errors(debug=debug):
        from gru4rec_cli.study import comparing

        comparison = comparing.compare(runs, apart=apart)
        written = comparing.write(comparison, to, language) if to else []
    if json:
        console.show_json(comparison.document())
    else:
        console.show_tables(comparison.tables())
    for path in written:
        console.show_status(f"written: {path}")


@app.command(epilog=EXIT_CODES_TOLD)
def conformance(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE...", help="Recorded runs, NAME.npz and NAME.json.")],
    module: Annotated[
        Path | None,
        typer.Option(help="An adapter to another implementation, a Python file; it is run. See docs/conformance.md."),
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Replay recorded runs of the author's implementation, step by step, and compare everything."""
    with errors(debug=debug):
        from gru4rec_cli.conformance import run as conformance_run

        verdicts = conformance_run.check_cases(cases, module)
        if json:
            console.show_json(conformance_run.document(verdicts))
        else:
            console.show_table(conformance_run.table(verdicts))
        conformance_run.require_all(verdicts)


@app.command(epilog=EXIT_CODES_TOLD)
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
        from gru4rec_cli.bench import run as bench_run

        options = bench_run.BenchOptions(quick, full, growth, tuple(only or ()), threads, repeats)
        with console.progress(quiet=quiet) as progress:
            findings = bench_run.run_bench(options, progress)
        if findings.warning:
            console.show_status(f"warning: {findings.warning}")
        from gru4rec_cli.bench import output

        if to:
            output.write_folder(to, findings)
        if json:
            console.show_json(findings.document)
            return
        for table in output.tables(findings):
            console.show_table(table)


@contextmanager
def _study(options: Options) -> "Iterator[Study | WindowedStudy]":
    """The study that the options describe."""
    with errors(debug=options.debug):
        if options.threads:
            limit_threads(options.threads)
        from gru4rec_cli.study.config import load_config
        from gru4rec_cli.study.windows import study_of

        config = load_config(options.config, options.overrides)
        with console.progress(quiet=options.quiet) as progress:
            yield study_of(
                config,
                options.run_dir,
                progress=progress,
                command=shlex.join(["gru4rec-study", *sys.argv[1:]]),
                options=options.repeated(),
            )


def _line(outcome: "Outcome") -> dict[str, Any]:
    return {"stage": outcome.stage, "action": outcome.action, "reason": outcome.reason}


def _tell(outcome: "Outcome", options: Options) -> None:
    if not options.quiet:
        console.show_status(f"{outcome.stage}: {outcome.action} ({outcome.reason})")


def _show(outcome: "Outcome", options: Options, head: dict[str, Any]) -> None:
    if options.json:
        console.show_json({**head, "results": outcome.results.document})
        return
    console.show_tables(outcome.results.tables)
    if "report" in outcome.results.document and not options.quiet:
        console.show_status(f"the report is in {outcome.results.document['report']}")


def _show_plan(study: "Study | WindowedStudy", options: Options) -> None:
    from gru4rec_cli.reporting.tables import Table

    plan = study.plan()
    if options.json:
        rows = [{"stage": name, "state": status.state, "reason": status.reason} for name, status in plan]
        console.show_json({"run_dir": str(study.directory.path), "plan": rows})
        return
    rows_shown = tuple((name, status.state, status.reason) for name, status in plan)
    console.show_table(Table(f"Plan for {study.directory.path}", ("stage", "state", "reason"), rows_shown))


def main() -> None:
    """The entry point of `gru4rec-study`."""
    # Threads that wait for each other sleep instead of spinning: where another process needs a core, spinning made
    # ranking fifteen times slower. Must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # What Polars frees goes back to the system: 42 million clicks then take 1.9 GB, and 2.6 GB as it is by default.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")
    try:
        app(prog_name="gru4rec-study")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read the results has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        bug = StudyError(
            f"{type(error).__name__}: {error}", "this is a bug in gru4rec-study; --debug shows where it is"
        )
        console.show_error(bug)
        sys.exit(bug.exit_code)
