"""A study of several windows of one log: a run for each of them, then the stages over all."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gru4rec_cli.base.errors import StageError, StudyError, UsageError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.windows import WindowSettings
from gru4rec_cli.study.config import StudyConfig
from gru4rec_cli.study.freshness import Status
from gru4rec_cli.study.pipeline import Study
from gru4rec_cli.study.run_directory import CONFIG
from gru4rec_cli.study.runner import StageRunner
from gru4rec_cli.study.stage import Outcome
from gru4rec_cli.study.stages.table import STAGES, configured_stages, window_folders

_FIRST = ("synth", "split")  # of all windows before any model is fitted: one with too few sessions is seen at once
_PARTS = (_FIRST, tuple(name for name in STAGES if name not in _FIRST))


class WindowedStudy:
    """A configuration with `split.windows`, and the run directory that holds the runs of the windows.

    Window k of n is in `windows/k-of-n`, a run directory like any other, beside the stages over all windows.
    """

    def __init__(self, runner: StageRunner) -> None:
        """`runner` is that of the stages over all windows."""
        self.runner, self.config, self.directory = runner, runner.config, runner.directory
        self.windows: dict[str, Study] = {}
        for number, window in enumerate(window_folders(self.config), start=1):
            folder = self.directory.path / window
            options = shlex.join(["--config", str(folder / CONFIG), "--run-dir", str(folder)])
            config = window_config(self.config, number)
            of_window = StageRunner(config, folder, progress=runner.progress, command=runner.command, options=options)
            self.windows[window] = Study(of_window)

    def run_stage(self, name: str, *, force: bool = False) -> Outcome:
        """Run one stage over all windows unless it is up to date.

        Raises:
            UsageError: it is a stage of every window, which `run` runs for all of them.
            StageError: a stage that it needs is not up to date.
        """
        if name not in configured_stages(self.config):
            window, study = next(iter(self.windows.items()))
            raise UsageError(
                f"split.windows asks for {len(self.windows)} runs, each with all stages",
                f"to run all of them: gru4rec-study run {self.runner.options}\n"
                f"       or, once this has begun, only {name} of {window}: "
                f"gru4rec-study {name} {study.runner.options}",
            )
        for window, study in self.windows.items():
            if not (study.directory.path / CONFIG).exists():
                raise StageError(
                    f"{name} needs the runs of all {len(self.windows)} windows, but that in {window} has not begun",
                    f"run first: gru4rec-study run {self.runner.options}",
                )
            study.runner.require(list(STAGES[name].needs), name)
        with self.runner.lock():
            return self.runner.run(name, force=force)

    def run(self, *, force: bool = False) -> Iterator[Outcome]:
        """Run all stages of all windows, all splits first, then those over them; skip what is up to date."""
        with self.runner.lock():
            for part in _PARTS:
                for window, study in self.windows.items():
                    with self.runner.progress.task(window):
                        for outcome in study.run(force=force, only=part):
                            yield replace(outcome, stage=f"{window}/{outcome.stage}")
            for name in configured_stages(self.config):
                yield self.runner.run(name, force=force)

    def plan(self) -> list[tuple[str, Status]]:
        """Return what `run` would do, and why; nothing is written."""
        over_all = self.runner.plan()
        plans = {window: study.plan() for window, study in self.windows.items()}
        plan = [
            (f"{window}/{name}", status)
            for part in _PARTS
            for window, stages in plans.items()
            for name, status in stages
            if name in part
        ]
        if any(status.state == "to run" for _, status in plan):
            unless = Status("to run", "unless the windows will give the same again")
            over_all = [(name, unless if status.state == "up to date" else status) for name, status in over_all]
        return plan + over_all

    def obstacles(self) -> list[StudyError]:
        """Return what `run` would fail at before any stage runs, each once; nothing is written."""
        parts = [*(study.obstacles() for study in self.windows.values()), self.runner.obstacles()]
        by_message = {error.message: error for errors in parts for error in errors}
        return sorted(by_message.values(), key=lambda error: not isinstance(error, StageError))


def study_of(
    config: StudyConfig,
    run_dir: Path | None = None,
    *,
    progress: Progress = SILENT,
    command: str = "",
    options: str = "",
) -> Study | WindowedStudy:
    """Return the study that a configuration describes, of the whole log or of several windows; see `StageRunner`."""
    runner = StageRunner(config, run_dir, progress=progress, command=command, options=options)
    return Study(runner) if config.split.windows is None else WindowedStudy(runner)


def window_config(config: StudyConfig, number: int) -> StudyConfig:
    """Return the configuration of one window's run: a name and a title of its own, and `split.window`."""
    window = WindowSettings(number=number, of=config.split.windows or 0)
    name, title = f"{window.number}-of-{window.of}", config.report.title
    return config.model_copy(
        update={
            "name": f"{config.name}.{name}",
            "split": config.split.model_copy(update={"windows": None, "window": window}),
            "report": config.report.model_copy(update={"title": title and f"{title} ({window.number}/{window.of})"}),
        }
    )
