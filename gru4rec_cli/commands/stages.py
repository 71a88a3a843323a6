"""A command a stage, from the table of stages."""

from collections.abc import Callable
from inspect import signature

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
        jobs: JobsOption = None,
    ) -> None:
        options = StudyOptions(config, run_dir, overrides, json, quiet, debug, threads, jobs)
        with open_study(options, needs_models=uses_models(name)) as study:
            outcome = study.run_stage(name, force=force)
        show_outcome(outcome, options)
        show_results(outcome, options, {"run_dir": str(study.directory.path), **outcome_row(outcome)})

    if name != "tune":  # only a search has trials
        found = signature(run_stage)
        others = [option for option in found.parameters.values() if option.name != "jobs"]
        run_stage.__signature__ = found.replace(parameters=others)  # type: ignore[attr-defined]
    return run_stage


for _stage in STAGES.values():
    command(STUDY, _stage.name, _stage.help)(_stage_command(_stage.name))
