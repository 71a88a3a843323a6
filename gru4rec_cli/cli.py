"""The command line: declare options, load the configuration, call the pipeline, show the results."""

import errno
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gru4rec_cli import __version__, console
from gru4rec_cli.errors import EXIT_CODES, INTERRUPTED, StudyError, UsageError

if TYPE_CHECKING:
    from gru4rec_cli.pipeline import Outcome, Study

STAGE_HELP = {
    "synth": "Plant hidden session interests and draw a click log from them.",
    "split": "Read raw clicks, clean them, and divide them by time into training and test sessions.",
    "baseline": "Fit the models of `baseline.models`.",
    "train": "Fit the models of `train.models`, continuing from the last finished epoch if interrupted.",
    "evaluate": "Rank every test event among all items with every fitted model; metrics with intervals.",
    "report": "Write the report: tables and figures.",
}
_EXIT_CODES = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."
_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
}  # fmt: skip

app = typer.Typer(
    name="gru4rec-study",
    help="A reproduction and audit of GRU4Rec for session-based recommendation.\n\n"
    "One YAML file and one command go from raw clicks to a table in which GRU4Rec stands beside baselines under full "
    "ranking, with intervals: gru4rec-study run --config FILE.",
    epilog=_EXIT_CODES,
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
ForceOption = Annotated[bool, typer.Option("--force", help="Do it again even if it is up to date.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and errors.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would run, and why.")]


@dataclass(frozen=True)
class Options:
    """What every command is given."""

    config: Path
    run_dir: Path | None
    overrides: list[str]
    json: bool
    quiet: bool
    debug: bool

    def repeated(self) -> str:
        """The options with which another stage of the same study is called."""
        parts = ["--config", str(self.config)]
        parts += ["--run-dir", str(self.run_dir)] if self.run_dir else []
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
    ) -> None:
        options = Options(config, run_dir, overrides or [], json, quiet, debug)
        with _study(options) as study:
            outcome = study.run_stage(name, force=force)
        _tell(outcome, options)
        _show(outcome, options, {"run_dir": str(study.directory.path), **_line(outcome)})

    return command


for _name, _help in STAGE_HELP.items():
    app.command(_name, help=_help, epilog=_EXIT_CODES)(_stage_command(_name))


@app.command(epilog=_EXIT_CODES)
def run(
    config: ConfigOption,
    run_dir: RunDirOption = None,
    overrides: SetOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Run all configured stages in order, skipping what is up to date."""
    options = Options(config, run_dir, overrides or [], json, quiet, debug)
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


@app.command(epilog=_EXIT_CODES)
def fetch(
    source: Annotated[
        str | None,
        typer.Option(help="A mirror (https, ssh), a local clone or a bundle; default: the pinned address."),
    ] = None,
    vendor: Annotated[Path | None, typer.Option(help="Where it goes; default: vendor.", show_default=False)] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Fetch the author's own GRU4Rec at its pinned commit, for models of kind `official`."""
    with _errors(debug=debug):
        from gru4rec_cli import vendoring

        described = vendoring.fetch(source, vendor, force=force).as_dict()
    _show_plain(described, json=json)


@app.command("convert-parameters", epilog=_EXIT_CODES)
def convert_parameters(
    given: Annotated[
        str, typer.Argument(metavar="FILE_OR_STRING", help="A parameter file of the author's, or a string.")
    ],
    debug: DebugOption = False,
) -> None:
    """Print the author's parameters (a file, or loss=cross-entropy,layers=100,…) as a section of our configuration."""
    with _errors(debug=debug):
        from gru4rec_cli.models.official.parameters import as_section, read_parameters

        typer.echo(as_section(read_parameters(given)), nl=False)


@app.command("import-checkpoint", epilog=_EXIT_CODES)
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A model that the author's code saved: a pickle.")],
    to: Annotated[Path, typer.Option(help="The model folder to make, of kind gru4rec.", show_default=False)],
    yes_unpickle: Annotated[bool, typer.Option("--yes-unpickle", help="The file is from a source you trust.")] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a model folder from a model that the author's code saved. Unpickling a file runs the code in it."""
    with _errors(debug=debug):
        warning = f"{file} is a pickle: opening it runs whatever code its maker put into it, with your rights"
        if not yes_unpickle and not (sys.stdin.isatty() and typer.confirm(f"{warning}. Open it?", err=True)):
            raise UsageError(warning, "give --yes-unpickle if you trust where it comes from")
        from gru4rec_cli.models.official import convert

        described = convert.import_checkpoint(file, to)
    _show_plain(described, json=json)


@app.command("export-checkpoint", epilog=_EXIT_CODES)
def export_checkpoint(
    folder: Annotated[Path, typer.Argument(help="A model folder of kind gru4rec or official.")],
    to: Annotated[Path, typer.Option(help="The file to write.", show_default=False)],
    items: Annotated[Path | None, typer.Option(help="Its items.parquet; default: that of its run.")] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a fitted model as the author's code saves one, for his run.py."""
    with _errors(debug=debug):
        from gru4rec_cli.models.official import convert

        described = convert.export_checkpoint(folder, to, items)
    _show_plain(described, json=json)


def _show_plain(described: dict[str, Any], *, json: bool) -> None:
    if json:
        console.show_json(described)
    else:
        typer.echo("\n".join(f"{name + ':':<13}{value}" for name, value in described.items()))


@app.command(epilog=_EXIT_CODES)
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
    with _errors(debug=debug):
        from gru4rec_cli.conformance import run as conformance_run

        verdicts = conformance_run.check_cases(cases, module)
        if json:
            console.show_json(conformance_run.document(verdicts))
        else:
            console.show_table(conformance_run.table(verdicts))
        conformance_run.require_all(verdicts)


@contextmanager
def _study(options: Options) -> "Iterator[Study]":
    """The study that the options describe."""
    with _errors(debug=options.debug):
        from gru4rec_cli.config import load_config
        from gru4rec_cli.pipeline import Study

        config = load_config(options.config, options.overrides)
        with console.progress(quiet=options.quiet) as progress:
            yield Study(
                config,
                options.run_dir,
                progress=progress,
                command=shlex.join(["gru4rec-study", *sys.argv[1:]]),
                options=options.repeated(),
            )


@contextmanager
def _errors(*, debug: bool) -> Iterator[None]:
    """The one place where errors become messages and exit codes."""
    try:
        yield
    except StudyError as error:
        _fail(error, debug=debug)
    except Exception as error:
        number = _write_error(error)
        if number is None:
            raise
        message = f"cannot write to the run directory: {os.strerror(number)}; every finished stage is whole"
        hint = "make room or give another --run-dir; the same command then goes on from here"
        _fail(UsageError(message, hint), debug=debug)
    except KeyboardInterrupt:
        console.show_status("interrupted; the same command, without --force, continues from here")
        raise typer.Exit(INTERRUPTED) from None


def _write_error(error: Exception) -> int | None:
    """The system's error number where writing failed, also where polars or safetensors wrote."""
    told = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    return number if number in _UNWRITABLE else None


def _fail(error: StudyError, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    console.show_error(error)
    raise typer.Exit(error.exit_code)


def _line(outcome: "Outcome") -> dict[str, Any]:
    return {"stage": outcome.stage, "action": outcome.action, "reason": outcome.reason}


def _tell(outcome: "Outcome", options: Options) -> None:
    if not options.quiet:
        console.show_status(f"{outcome.stage}: {outcome.action} ({outcome.reason})")


def _show(outcome: "Outcome", options: Options, head: dict[str, Any]) -> None:
    if options.json:
        console.show_json({**head, "results": outcome.results.document})
        return
    for table in outcome.results.tables:
        console.show_table(table)
    if "report" in outcome.results.document and not options.quiet:
        console.show_status(f"the report is in {outcome.results.document['report']}")


def _show_plan(study: "Study", options: Options) -> None:
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
