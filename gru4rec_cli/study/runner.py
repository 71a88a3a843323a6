"""The one way in which any stage is judged and run."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

from gru4rec_cli.base.errors import StageError, StudyError
from gru4rec_cli.base.files import hash_json
from gru4rec_cli.base.machine import device, versions
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.warnings import collected
from gru4rec_cli.data.reading import input_files
from gru4rec_cli.models import registry
from gru4rec_cli.study.choices import with_choices
from gru4rec_cli.study.config import StudyConfig, resolved
from gru4rec_cli.study.freshness import NEVER_RAN, Status, code_hash, judge, raw_hashes
from gru4rec_cli.study.run_directory import RunDirectory
from gru4rec_cli.study.stage import Outcome, StageWork
from gru4rec_cli.study.stages.table import COMPUTING, STAGES, configured_stages, needed_stages


class StageRunner:
    """The stages of one configuration in one run directory."""

    def __init__(
        self,
        config: StudyConfig,
        run_dir: Path | None = None,
        *,
        progress: Progress = SILENT,
        command: str = "",
        options: str = "",
    ) -> None:
        """`command` is recorded in manifests; `options` are those that a hint has to repeat."""
        self.config = config
        self.directory = RunDirectory(run_dir or Path("runs") / config.name)
        self.progress = progress
        self.command = command
        self.options = options
        self.plain = resolved(config)
        self._codes: dict[str, str] = {}

    def lock(self) -> AbstractContextManager[None]:
        """Lock the run directory, which is made if need be, after checking whose it is."""
        self.check_owner()
        return self.directory.lock(self.command, self.plain)

    def check_owner(self) -> None:
        """Raise `UsageError` where the directory holds another run."""
        self.directory.check_owner(self.config.name, windows=self.config.split.windows is not None)

    def plan(self) -> list[tuple[str, Status]]:
        """Return what running all configured stages would do, and why; nothing is written."""
        self.check_owner()
        plan: list[tuple[str, Status]] = []
        rerun: list[str] = []
        for name in configured_stages(self.config):
            status = self.status(name)
            upstream = [need for need in needed_stages(name, self.config) if need in rerun]
            if status.state == "up to date" and upstream:
                write = "writes" if len(upstream) == 1 else "write"
                status = Status("to run", f"unless {' and '.join(upstream)} {write} the same as before")
            if status.state == "to run":
                rerun.append(name)
            plan.append((name, status))
        return plan

    def status(self, name: str) -> Status:
        """Return whether a stage's artifacts are what this configuration asks for."""
        damage = self.directory.damage(name)
        if damage:
            return Status("damaged", damage)
        manifest = self.directory.manifest(name)
        status = judge(self.directory, name, self._made_from(name, manifest["inputs"] if manifest else {}))
        if status.state == "up to date" and self.directory.forced(name):
            return Status("to run", "a forced try was interrupted")
        return status

    def run(self, name: str, *, force: bool) -> Outcome:
        """Run a stage unless it is up to date; what it reads must be there. Raises `StageError` where it is damaged."""
        stage, module = STAGES[name], importlib.import_module(f"gru4rec_cli.study.stages.{name}")
        status = Status("to run", "forced") if force else self.status(name)
        if status.state == "damaged":
            raise self._damaged(name, status)
        if status.state == "up to date":
            return self._outcome(name, "skipped", status)
        made_from, inputs, folder = self._made_from(name), self._inputs(name), self.directory.stage(name)
        forced = force or self.directory.forced(name)
        previous = folder if folder.exists() and not forced else None
        partial = self.directory.begin(name, fresh=force or not stage.resumable, forced=forced)
        config = with_choices(self.config, inputs.get("tune"))
        work = StageWork(config, partial, inputs, previous, self.progress)
        with self.progress.task(name), measured() as cost, collected() as warnings, _still_there(work):
            module.run(work)
        circumstances = {"seed": self.config.seed, "versions": versions(), "device": device(), **cost.as_dict()}
        said = {"warnings": [warning.as_dict() for warning in warnings], "command": self.command}
        self.directory.finish(name, {"stage": name, **made_from, **circumstances, **said})
        reason = "for the first time" if status.reason == NEVER_RAN else status.reason
        return self._outcome(name, "ran", Status("up to date", reason))

    def _outcome(self, name: str, action: Literal["ran", "skipped"], status: Status) -> Outcome:
        """Return what became of a stage that is finished."""
        module = importlib.import_module(f"gru4rec_cli.study.stages.{name}")
        results = module.results(self.directory.stage(name), self._inputs(name))
        manifest = self.directory.manifest(name) or {}
        return Outcome(name, action, status.reason, results, tuple(manifest.get("warnings", ())))

    def _inputs(self, name: str) -> dict[str, Path]:
        return {need: self.directory.stage(need) for need in needed_stages(name, self.config)}

    def require(self, names: list[str], purpose: str) -> None:
        """Raise `StageError` where one of these stages, or one that it needs, is not up to date."""
        for name in names:
            self.require(needed_stages(name, self.config), purpose)
            status = self.status(name)
            if status.state == "damaged":
                raise self._damaged(name, status)
            if status.state == "to run":
                raise StageError(
                    f"{purpose} needs the {name} stage of {self.directory.path}, but {status.reason}",
                    f"run first: {self._command(name)}",
                )

    def obstacles(self) -> list[StudyError]:
        """Return what running all configured stages would fail at before any of them runs; nothing is written."""
        found: list[StudyError] = []
        for name, status in self.plan():
            try:
                if status.state == "damaged":
                    raise self._damaged(name, status)
                if status.state == "to run":
                    self.check_models(name)
            except StudyError as error:
                if error.message not in [other.message for other in found]:
                    found.append(error)
        return sorted(found, key=lambda error: not isinstance(error, StageError))

    def check_models(self, name: str) -> None:
        """Check that this machine has what the models of a stage need.

        Raises:
            StageError: a model needs something that is not there.
            UsageError: the stage fits a model whose settings this machine cannot follow.
        """
        for section in STAGES[name].models:
            for model, entry in self.config.fitted(section).items():
                entry.settings.check_ready(f"{section}.models.{model}", to_fit=section == name)

    def _damaged(self, name: str, status: Status) -> StageError:
        return StageError(status.reason, f"run it again: {self._command(name)} --force")

    def _command(self, name: str) -> str:
        return " ".join(part for part in ("gru4rec-study", name, self.options) if part)

    def _made_from(self, name: str, recorded: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return what decides what a stage writes, as its manifest says it: configuration, inputs, code.

        A raw file that is gone raises `DataError`, unless its hash is among the `recorded` ones.
        """
        stage = STAGES[name]
        inputs: dict[str, str] = {}
        costs: dict[str, dict[str, str]] = {}
        for need in needed_stages(name, self.config):
            manifest = (None if self.directory.damage(need) else self.directory.manifest(need)) or {}
            inputs[need] = hash_json(manifest["outputs"]) if manifest else ""
            costs[need] = manifest.get("manifests", {})
        if stage.shows_costs:
            inputs["costs"] = hash_json(costs)
        if stage.shows_warnings:
            runs = {self.directory.stage(need).parent for need in needed_stages(name, self.config)}
            inputs["warnings"] = hash_json([RunDirectory(run).warnings(COMPUTING) for run in sorted(runs)])
        if stage.reads_raw_files and not self.config.synthetic:
            inputs |= raw_hashes(input_files(self.config.data, recorded or {}), recorded or {})
        if stage.reads_predictions:
            files = {f"evaluate.predictions.{key}": file for key, file in self.config.evaluate.predictions.items()}
            inputs |= raw_hashes(files, recorded or {})
        config = {section: self.plain[section] for section in stage.sections}
        return {"config": config, "inputs": inputs, "code": self._code(name)}

    def _code(self, name: str) -> str:
        """Return the hash of a stage's code, which is read once: this process goes on with what it has loaded."""
        if name not in self._codes:
            stage = STAGES[name]
            kinds = {entry.kind for section in stage.models for entry in self.config.fitted(section).values()}
            sources = {source for kind in kinds for source in registry.source_files(kind)}
            self._codes[name] = code_hash(stage.packages, sources)
        return self._codes[name]


@contextmanager
def _still_there(work: StageWork) -> Iterator[None]:
    """Say so where a stage failed because somebody removed what it reads or writes."""
    try:
        yield
    except Exception as error:
        gone = [folder for folder in (work.folder, *work.inputs.values()) if not folder.is_dir()]
        if gone and not isinstance(error, StudyError):
            raise StageError(f"{gone[0]} was removed while the command ran", "run it again") from error
        raise
