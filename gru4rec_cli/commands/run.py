"""`run`, and what it shares with the commands of single stages: the study that options describe, and its outcomes."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gru4rec_cli.base.threads import limit_jobs, limit_threads
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import STUDY, DebugOption, ForceOption, JsonOption, QuietOption, command, errors

if TYPE_CHECKING:
    from gru4rec_cli.study.pipeline import Study
    from gru4rec_cli.study.stage import Outcome
    from gru4rec_cli.study.windows import WindowedStudy

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The study's YAML file.", show_default=False)]
RunDirOption = Annotated[
    Path | None, typer.Option(help="Folder for the artifacts; default: runs/NAME.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. train.models.gru4rec.layers=[64]."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Threads to compute on, at most two for training; default: all cores.", show_default=False
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=256,
        help="Trials of a search at a time, each in a process; they share the threads.",
        show_default="1",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would run, and why.")]

_ON_INTERRUPT = "every finished stage is as it was; the same command, without --force, continues from here"


@dataclass(frozen=True)
class StudyOptions:
    """The options of every command that works on a study."""

    config: Path
    run_dir: Path | None
    overrides: list[str] | None
    json: bool
    quiet: bool
    debug: bool
    threads: int | None
    jobs: int | None = None

    def repeated(self) -> str:
        """Return the options with which another stage of the same study is called."""
        parts = ["--config", str(self.config)]
        parts += ["--run-dir", str(self.run_dir)] if self.run_dir else []
        parts += ["--threads", str(self.threads)] if self.threads else []
        parts += ["--jobs", str(self.jobs)] if self.jobs else []
        return shlex.join([*parts, *(part for override in self.overrides or [] for part in ("--set", override))])


@command(STUDY)
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
    jobs: JobsOption = None,
) -> None:
    """Run all configured stages in order, skipping what is up to date."""
    options = StudyOptions(config, run_dir, overrides, json, quiet, debug, threads, jobs)
    outcomes: list[Outcome] = []
    with open_study(options) as study:
        if dry_run:
            _show_plan(study, options)
            return
        for outcome in study.run(force=force):
            show_outcome(outcome, options)
            outcomes.append(outcome)
        without = _left_out(study, options)
    stages = [outcome_row(outcome) for outcome in outcomes]
    show_results(outcomes[-1], options, {"run_dir": str(study.directory.path), "stages": stages, "left_out": without})


def _left_out(study: "Study | WindowedStudy", options: StudyOptions) -> list[dict[str, str]]:
    """Show on stderr which stages the run does without, and return them for a script."""
    from gru4rec_cli.study.stages.table import left_out

    found = left_out(study.config)
    for name, reason in found if not options.quiet else []:
        console.show_status(f"{name}: left out ({reason})")
    return [{"stage": name, "reason": reason} for name, reason in found]


@contextmanager
def open_study(options: StudyOptions, *, needs_models: bool = True) -> "Iterator[Study | WindowedStudy]":
    """Give the study that the options describe; its errors become messages and exit codes."""
    with errors(debug=options.debug, on_interrupt=_ON_INTERRUPT):
        if options.threads:
            limit_threads(options.threads)
        if options.jobs:
            limit_jobs(options.jobs)
        from gru4rec_cli.study.config import load_config
        from gru4rec_cli.study.windows import study_of

        config = load_config(options.config, options.overrides, needs_models=needs_models)
        with console.progress(quiet=options.quiet) as progress:
            yield study_of(
                config,
                options.run_dir,
                progress=progress,
                command=shlex.join(["gru4rec-study", *sys.argv[1:]]),
                options=options.repeated(),
            )


def outcome_row(outcome: "Outcome") -> dict[str, Any]:
    """Return an outcome for a script."""
    row = {"stage": outcome.stage, "action": outcome.action, "reason": outcome.reason}
    return {**row, "warnings": list(outcome.warnings)}


def show_outcome(outcome: "Outcome", options: StudyOptions) -> None:
    """Show on stderr what became of a stage; warnings also where progress is not wanted."""
    if not options.quiet:
        console.show_status(f"{outcome.stage}: {outcome.action} ({outcome.reason})")
    console.show_warnings(outcome.warnings)


def show_results(outcome: "Outcome", options: StudyOptions, head: dict[str, Any]) -> None:
    """Show the results of a stage on stdout; `head` comes first in the JSON document."""
    if options.json:
        console.show_json({**head, "results": outcome.results.document})
        return
    console.show_tables(outcome.results.tables)
    if "report" in outcome.results.document and not options.quiet:
        console.show_status(f"the report is in {outcome.results.document['report']}")


def _show_plan(study: "Study | WindowedStudy", options: StudyOptions) -> None:
    """Show the plan, then what a run would fail at; the first of it, damage before all else, is the exit code."""
    from gru4rec_cli.reporting.tables import Table

    rows = [(name, status.state, status.reason) for name, status in study.plan()]
    obstacles = study.obstacles()
    columns = ("stage", "state", "reason")
    if options.json:
        plan = [dict(zip(columns, row, strict=True)) for row in rows]
        problems = [{"message": error.message, "hint": error.hint} for error in obstacles]
        console.show_json({"run_dir": str(study.directory.path), "plan": plan, "problems": problems})
    else:
        console.show_table(Table(f"Plan for {study.directory.path}", columns, tuple(rows)))
    for error in obstacles[1:]:
        console.show_error(error)
    if obstacles:
        raise obstacles[0]
