"""A command a stage, from the table of stages."""

from collections.abc import Callable

from gru4rec_cli.commands.options import STUDY, DebugOption, ForceOption, JsonOption, QuietOption, command
from gru4rec_cli.commands.run import (
    ConfigOption,
    JobsOption,
    RunDirOption,
    SetOption,
    StudyOptions,
    ThreadsOption,
    open_study,
    outcome_row,
    show_outcome,
    show_results,
)
from gru4rec_cli.study.stages.table import STAGES, uses_models


def _stage_command(name: str) -> Callable[..., None]:
    def run_stage(
        config: ConfigOption,
        run_dir: RunDirOption = None,
        overrides: SetOption = None,
        force: ForceOption = False,
        json: JsonOption = False,
        quiet: QuietOption = False,
        debug: DebugOption = False,
        threads: ThreadsOption = None,
    ) -> None:
        _run(name, StudyOptions(config, run_dir, overrides, json, quiet, debug, threads), force=force)

    return run_stage


def _tune(
    config: ConfigOption,
    run_dir: RunDirOption = None,
    overrides: SetOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
    threads: ThreadsOption = None,
    jobs: JobsOption = None,
) -> None:
    _run("tune", StudyOptions(config, run_dir, overrides, json, quiet, debug, threads, jobs), force=force)


def _run(name: str, options: StudyOptions, *, force: bool) -> None:
    with open_study(options, needs_models=uses_models(name)) as study:
        outcome = study.run_stage(name, force=force)
    show_outcome(outcome, options)
    show_results(outcome, options, {"run_dir": str(study.directory.path), **outcome_row(outcome)})


for _stage in STAGES.values():
    command(STUDY, _stage.name, _stage.help)(_tune if _stage.name == "tune" else _stage_command(_stage.name))
