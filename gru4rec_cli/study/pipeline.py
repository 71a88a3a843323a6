"""The stages, what each needs, and the one way in which any of them is run."""

import importlib
from collections.abc import Container, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import hash_json
from gru4rec_cli.base.machine import device, versions
from gru4rec_cli.base.measuring import Cost, measured
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.reading import input_files
from gru4rec_cli.models import registry
from gru4rec_cli.study.config import StudyConfig, resolved
from gru4rec_cli.study.freshness import code_hash, differences, raw_hashes
from gru4rec_cli.study.rundir import CONFIG, RunDirectory
from gru4rec_cli.study.stage import StageResults, StageWork


@dataclass(frozen=True)
class Stage:
    """A stage by name, and the sections of the configuration that decide what it writes."""

    name: str
    sections: tuple[str, ...]
    resumable: bool = False  # an interrupted try is continued, not begun again

    @property
    def module(self) -> str:
        return f"gru4rec_cli.study.stages.{self.name}"


STAGES = {
    stage.name: stage
    for stage in (
        Stage("synth", ("seed", "synth")),
        Stage("split", ("data", "split")),
        Stage("baseline", ("seed", "seeds", "baseline"), resumable=True),
        Stage("train", ("seed", "seeds", "train"), resumable=True),
        Stage("evaluate", ("seed", "seeds", "evaluate")),
        Stage("report", ("name", "report")),
    )
}

State = Literal["up to date", "to run", "damaged"]


@dataclass(frozen=True)
class Status:
    """Whether a stage has to run, and why."""

    state: State
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of a stage."""

    stage: str
    action: Literal["ran", "skipped"]
    reason: str
    results: StageResults


def configured_stages(config: StudyConfig) -> list[str]:
    """The stages that this configuration asks for, in order."""
    absent = {name for name in ("baseline", "train") if not config.fitted(name)}
    if not config.synthetic:
        absent.add("synth")
    return [name for name in STAGES if name not in absent]


def needed_stages(name: str, config: StudyConfig) -> list[str]:
    """The stages whose artifacts a stage reads."""
    needs = {
        "synth": [],
        "split": ["synth"],
        "baseline": ["split"],
        "train": ["split"],
        "evaluate": ["synth", "split", "baseline", "train"],
        "report": ["split", "baseline", "train", "evaluate"],
    }[name]
    return [need for need in needs if need in configured_stages(config)]


class Study:
    """A configuration and the run directory in which it is carried out."""

    def __init__(
        self,
        config: StudyConfig,
        run_dir: Path | None = None,
        *,
        progress: Progress = SILENT,
        command: str = "",
        options: str = "",
    ) -> None:
        """`command` is recorded in manifests; `options` are those that a hint has to repeat.

        Raises `UsageError` where the configuration asks for several windows; `study_of` makes a study of any.
        """
        if config.split.windows is not None:
            raise UsageError("split.windows asks for several runs, and this is one", "use study_of, or split.window")
        self.config = config
        self.directory = RunDirectory(run_dir or Path("runs") / config.name)
        self.progress = progress
        self.command = command
        self.options = options
        self.plain = resolved(config)

    def run_stage(self, name: str, *, force: bool = False) -> Outcome:
        """Run one stage unless it is up to date. Raises `StageError` where a stage before it is not."""
        if name not in configured_stages(self.config):
            raise UsageError(_not_configured(name))
        if not self.directory.path.exists():
            self._require_all(name)  # before a directory is made for nothing
        with self._locked():
            self._require_all(name)
            if force or self.status(name).state == "to run":
                self._check_models(name)
            return self._run(name, force=force)

    def run(self, *, force: bool = False, only: Container[str] = tuple(STAGES)) -> Iterator[Outcome]:
        """Run all configured stages in order, or only some of them, skipping what is up to date."""
        with self._locked():
            for name, status in self.plan():
                if force or status.state == "to run":
                    self._check_models(name)  # nothing runs for hours only to find that something is missing
            for name in configured_stages(self.config):
                if name in only:
                    yield self._run(name, force=force)

    def plan(self) -> list[tuple[str, Status]]:
        """What `run` would do, and why; nothing is written."""
        check_owner(self.directory, self.config)
        plan: list[tuple[str, Status]] = []
        rerun: list[str] = []
        for name in configured_stages(self.config):
            status = self.status(name)
            upstream = [need for need in needed_stages(name, self.config) if need in rerun]
            if status.state == "up to date" and upstream:
                status = Status("to run", f"unless {' and '.join(upstream)} will write the same again")
            if status.state == "to run":
                rerun.append(name)
            plan.append((name, status))
        return plan

    def status(self, name: str) -> Status:
        """Whether a stage's artifacts are what this configuration asks for."""
        manifest = self.directory.manifest(name)
        inputs = self._inputs(name, recorded=manifest["inputs"] if manifest else None)  # what is missing is told
        return judge(self.directory, name, self._slice(name), inputs, self._code(name))

    def _run(self, name: str, *, force: bool) -> Outcome:
        stage = STAGES[name]
        module = importlib.import_module(stage.module)
        status = Status("to run", "forced") if force else self.status(name)
        if status.state == "damaged":
            raise StageError(status.reason, f"make it again: {self._command(name)} --force")
        folder = self.directory.stage(name)
        needs = {need: self.directory.stage(need) for need in needed_stages(name, self.config)}
        if status.state == "up to date":
            return Outcome(name, "skipped", status.reason, module.results(folder, needs))
        inputs = self._inputs(name)
        previous = folder if folder.exists() and not force else None
        partial = self.directory.begin(name, fresh=force or not stage.resumable)
        with self.progress.task(name), measured() as cost:
            module.run(StageWork(self.config, partial, needs, previous, self.progress))
        made_from = {"config": self._slice(name), "inputs": inputs, "code": self._code(name)}
        self.directory.finish(name, {"stage": name, **made_from, **circumstances(self.config, cost, self.command)})
        return Outcome(name, "ran", status.reason, module.results(folder, needs))

    def _check_models(self, name: str) -> None:
        """Raise `StageError` where a stage works with a model that needs what is not there, and `UsageError` where it
        fits one whose settings this machine cannot follow."""
        sections = {"baseline": ("baseline",), "train": ("train",), "evaluate": ("baseline", "train")}.get(name, ())
        for section in sections:
            for model, entry in self.config.fitted(section).items():
                entry.settings.check_ready(f"{section}.models.{model}", to_fit=section == name)

    def _require_all(self, name: str) -> None:
        for need in needed_stages(name, self.config):
            self._require(need, name)

    def _require(self, need: str, name: str) -> None:
        for before in needed_stages(need, self.config):
            self._require(before, name)
        status = self.status(need)
        if status.state == "damaged":
            raise StageError(status.reason, f"make it again: {self._command(need)} --force")
        if status.state == "to run":
            raise StageError(
                f"{name} needs the {need} stage of {self.directory.path}, but {status.reason}",
                f"run first: {self._command(need)}",
            )

    def _command(self, name: str) -> str:
        return " ".join(part for part in ("gru4rec-study", name, self.options) if part)

    def _locked(self) -> AbstractContextManager[None]:
        check_owner(self.directory, self.config)
        return self.directory.lock(self.command, self.plain)

    def _slice(self, name: str) -> dict[str, Any]:
        """The part of the configuration that decides what a stage writes."""
        return {section: self.plain[section] for section in STAGES[name].sections}

    def _inputs(self, name: str, recorded: Mapping[str, str] | None = None) -> dict[str, str]:
        """Hashes of what a stage reads: the outputs of other stages, and the raw files."""
        inputs: dict[str, str] = {}
        for need in needed_stages(name, self.config):
            manifest = self.directory.manifest(need)
            inputs[need] = hash_json(manifest["outputs"]) if manifest else ""
        if name == "split" and not self.config.synthetic:
            inputs |= raw_hashes(input_files(self.config.data, recorded or {}), recorded or {})
        return inputs

    def _code(self, name: str) -> str:
        models = self.config.fitted(name).values() if name in ("baseline", "train") else ()
        return code_hash(name, {source for model in models for source in registry.source_files(model.kind)})


def judge(directory: RunDirectory, name: str, config: dict[str, Any], inputs: dict[str, str], code: str) -> Status:
    """Whether a stage's artifacts are there, whole, and made from this configuration, these inputs and this code."""
    manifest = directory.manifest(name)
    if manifest is None:
        return Status("to run", "it has not run yet")
    damage = directory.damage(name)
    if damage:
        return Status("damaged", damage)
    changed = differences(manifest["config"], config)
    if changed:
        return Status("to run", f"the configuration changed: {'; '.join(changed)}")
    labels = {**inputs, **manifest["inputs"]}
    changed = [label for label in labels if inputs.get(label) != manifest["inputs"].get(label)]
    if changed:
        return Status("to run", f"its input changed: {', '.join(changed)}")
    if manifest["code"] != code:
        return Status("to run", "the code of gru4rec-study changed")
    return Status("up to date", "same configuration, inputs and code")


def circumstances(config: StudyConfig, cost: Cost, command: str) -> dict[str, Any]:
    """What a manifest says beside what a stage was made from."""
    costs = cost.as_dict()
    return {"seed": config.seed, "versions": versions(), "device": device(), **costs, "command": command}


def check_owner(directory: RunDirectory, config: StudyConfig) -> None:
    """Raise `UsageError` where the directory is that of another run, or holds windows and this is a run without them,
    or the other way round; `StageError` where its configuration cannot be read."""
    path = directory.path / CONFIG
    if not path.exists():
        return
    try:
        owner = yaml.safe_load(path.read_text(encoding="utf-8"))
        name, windows = owner["name"], owner.get("split", {}).get("windows")
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise StageError(f"{path} is damaged", "give another --run-dir, or remove that file") from error
    if name != config.name:
        raise UsageError(
            f"{directory.path} belongs to the run {name!r}, and this configuration is named {config.name!r}",
            "give another --run-dir",
        )
    if (windows is None) != (config.split.windows is None):
        held, asked = ("windows", "none") if windows else ("a run of the whole log", "windows")
        raise UsageError(
            f"{directory.path} holds {held}, and this configuration asks for {asked}", "give another --run-dir"
        )


def _not_configured(name: str) -> str:
    if name == "synth":
        return "there is nothing to plant: data.source is not synth"
    return f"there is nothing to fit: {name}.models is empty"
