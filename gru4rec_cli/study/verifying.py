"""`verify`: hold a run directory against its manifests, and against what `run` would make now; nothing is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gru4rec_cli.base.errors import StageError, StudyError
from gru4rec_cli.base.files import hash_json
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.study.config import StudyConfig, load_config, resolved
from gru4rec_cli.study.freshness import differences
from gru4rec_cli.study.ledger import LEDGER
from gru4rec_cli.study.run_directory import CONFIG, RunDirectory, damages, is_working_file
from gru4rec_cli.study.runner import StageRunner
from gru4rec_cli.study.stages.table import STAGES, WINDOWS, configured_stages, needed_stages, window_folders

State = Literal["whole", "not run", "unfinished", "damaged", "foreign", "out of date"]
_SOUND = ("whole", "unfinished")
_NOT_INTACT = ("damaged", "foreign")
_COLUMNS = ("part", "state", "finding")


@dataclass(frozen=True)
class Finding:
    """A finding about a part of a run: its configuration, a stage, or something that belongs to neither."""

    part: str
    state: State
    finding: str


@dataclass(frozen=True)
class Verification:
    """All that was found in a run directory."""

    run: Path
    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """Those that say that the run is not complete, not as it was made, or not what `run` would make now."""
        return [finding for finding in self.findings if finding.state not in _SOUND]

    @property
    def intact(self) -> bool:
        """Return whether every file that is there has the bytes that its stage wrote, and no other file is there."""
        return not any(finding.state in _NOT_INTACT for finding in self.findings)

    def table(self) -> Table:
        """Return the findings as a table."""
        rows = tuple((found.part, found.state, found.finding) for found in self.findings)
        return Table(f"Verification of {self.run}", _COLUMNS, rows)

    def document(self) -> dict[str, Any]:
        """Return the findings for a script."""
        findings = [vars(found) for found in self.findings]
        return {"run_dir": str(self.run), "sound": not self.wrong, "intact": self.intact, "findings": findings}

    def require_sound(self) -> None:
        """Raise `StageError` where something is wrong."""
        if not self.wrong:
            return
        first = next((found for found in self.wrong if found.state in _NOT_INTACT), self.wrong[0])
        what, hint = (
            "not complete, or out of date",
            f"run: gru4rec-study run --config {self.run / CONFIG} --run-dir {self.run}",
        )
        if not self.intact:
            what, hint = "not as it was made", "restore the files from a copy, or run the stage again with --force"
        raise StageError(
            f"{self.run} is {what}: {len(self.wrong)} of {len(self.findings)} findings say so; "
            f"the first: {first.part}: {first.finding}",
            hint,
        )


def verify(run: Path) -> Verification:
    """Return what holds in a run directory and what does not: configuration, manifests, hashes, foreign files, and
    whether settings, inputs and code are those that each stage was made from.

    Raises:
        StageError: there is no run in this directory.
    """
    if not (run / CONFIG).is_file():
        raise StageError(f"{run} holds no run: there is no {run / CONFIG}", "give a run directory, such as runs/demo")
    return Verification(run, list(_findings(run)))


def _findings(run: Path) -> Iterator[Finding]:
    config: StudyConfig | None = None
    try:
        config = load_config(run / CONFIG)
        yield Finding(CONFIG, "whole", f"the run {config.name}")
    except StudyError as error:
        yield Finding(CONFIG, "damaged", error.message)
    directory = RunDirectory(run)
    for name in STAGES:
        yield from _stage(directory, name, config)
    windows = [*window_folders(config)] if config else sorted(f"{WINDOWS}/{p.name}" for p in (run / WINDOWS).glob("*"))
    for window in windows:
        if (run / window / CONFIG).is_file():
            yield from (Finding(f"{window}/{f.part}", f.state, f.finding) for f in _findings(run / window))
        elif config:
            yield Finding(window, "not run", "it has not run yet")
    yield from _others(run, windows)


def _stage(directory: RunDirectory, name: str, config: StudyConfig | None) -> Iterator[Finding]:
    folder = directory.stage(name)
    if directory.partial(name).exists():
        yield Finding(name, "unfinished", f"an interrupted try is in {directory.partial(name)}")
    if not folder.exists():
        if config and name in configured_stages(config):
            yield Finding(name, "not run", "it has not run yet")
        return
    wrong = list(damages(folder))
    if wrong:
        states: dict[bool, State] = {True: "foreign", False: "damaged"}
        yield from (Finding(name, states[" is foreign: " in text], text) for text in wrong)
        return
    outdated = _outdated(directory, name, config) if config else []
    if outdated:
        yield from (Finding(name, "out of date", text) for text in outdated)
        return
    manifest = directory.manifest(name)
    assert manifest is not None
    files = len(manifest["outputs"]) + len(manifest["manifests"])
    yield Finding(name, "whole", f"{files} files have the bytes that its manifest says")


def _outdated(directory: RunDirectory, name: str, config: StudyConfig) -> list[str]:
    """Return what a whole stage was made from that is not what `run` would make it from now."""
    manifest = directory.manifest(name)
    assert manifest is not None
    if name not in configured_stages(config):
        return [f"{CONFIG} does not ask for this stage"]
    plain = resolved(config)
    found = differences(manifest["config"], {section: plain[section] for section in STAGES[name].sections})
    changed = [f"{CONFIG} has changed since: {text}" for text in found]
    for need in needed_stages(name, config):
        try:
            other = directory.manifest(need)
        except StageError:
            continue  # told where that stage is
        made_from = manifest["inputs"].get(need)
        if made_from != (hash_json(other["outputs"]) if other else ""):
            changed.append(f"it was made from another {need} stage than the one that is there")
    if changed or any(directory.damage(other) for other in STAGES):
        return changed
    try:
        status = StageRunner(config, directory.path).status(name)
    except StudyError as error:
        return [f"what it was made from cannot be compared: {error.message}"]
    return [status.reason] if status.state == "to run" else []


def _others(run: Path, windows: list[str]) -> Iterator[Finding]:
    """Yield what lies in a run directory that no stage of this program writes there."""
    ours = {CONFIG, LEDGER, *STAGES, *([WINDOWS] if windows else [])}
    for path in sorted(run.iterdir()):
        if path.name not in ours and not is_working_file(path.name):
            yield Finding(path.name, "foreign", f"{path} is not part of a run")
    known = {Path(window).name for window in windows}
    for path in sorted((run / WINDOWS).iterdir()) if windows and (run / WINDOWS).is_dir() else ():
        if path.name not in known:
            yield Finding(f"{WINDOWS}/{path.name}", "foreign", f"{path} is not a window that {CONFIG} asks for")
