"""A study of one log: its configured stages, one after the other or one alone."""

from collections.abc import Container, Iterator

from gru4rec_cli.base.errors import StudyError, UsageError
from gru4rec_cli.study.freshness import Status
from gru4rec_cli.study.runner import StageRunner
from gru4rec_cli.study.stage import Outcome
from gru4rec_cli.study.stages.table import STAGES, configured_stages, needed_stages, reason_against


class Study:
    """A configuration and the run directory in which it is carried out."""

    def __init__(self, runner: StageRunner) -> None:
        """Raises UsageError if the configuration asks for several windows; `study_of` takes any configuration."""
        if runner.config.split.windows is not None:
            raise UsageError(
                "split.windows asks for several runs, but this is a single run", "use study_of, or split.window"
            )
        self.runner, self.config, self.directory = runner, runner.config, runner.directory

    def run_stage(self, name: str, *, force: bool = False) -> Outcome:
        """Run one stage unless it is up to date.

        Raises:
            UsageError: the configuration does not ask for it.
            StageError: a stage that it needs is not up to date.
        """
        against = reason_against(STAGES[name], self.config)
        if against:
            raise UsageError(against)
        needs = needed_stages(name, self.config)
        if not self.directory.path.exists():
            self.runner.require(needs, name)  # before a directory is made for nothing
        with self.runner.lock():
            self.runner.require(needs, name)
            if force or self.runner.status(name).state == "to run":
                self.runner.check_models(name)
            return self.runner.run(name, force=force)

    def run(self, *, force: bool = False, only: Container[str] = tuple(STAGES)) -> Iterator[Outcome]:
        """Run all configured stages in order, or only some of them, skipping what is up to date."""
        with self.runner.lock():
            for name, status in self.plan():
                if force or status.state == "to run":
                    self.runner.check_models(name)  # nothing runs for hours only to find that something is missing
            for name in configured_stages(self.config):
                if name in only:
                    yield self.runner.run(name, force=force)

    def plan(self) -> list[tuple[str, Status]]:
        """Return what `run` would do, and why; nothing is written."""
        return self.runner.plan()

    def obstacles(self) -> list[StudyError]:
        """Return what `run` would fail at before any stage runs, damaged stages first; nothing is written."""
        return self.runner.obstacles()
