"""A study of several windows of one log: an ordinary run for each of them, then one table over all."""

import csv
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.files import hash_json, read_json, write_json
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.base.names import METRICS_FILE, METRICS_TABLE, STATISTICS_FILE
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.windows import WindowSettings
from gru4rec_cli.evaluation.windows import over_windows
from gru4rec_cli.reporting.pages.html import page_html
from gru4rec_cli.reporting.pages.markdown import sections_markdown
from gru4rec_cli.reporting.pages.windows import JOINT, JointFindings, WindowFindings, joint_sections, joint_tables
from gru4rec_cli.reporting.text.words import words_of
from gru4rec_cli.study import comparing
from gru4rec_cli.study.comparing import load_run
from gru4rec_cli.study.config import StudyConfig, resolved
from gru4rec_cli.study.freshness import code_hash
from gru4rec_cli.study.pipeline import STAGES, Outcome, Status, Study, check_owner, circumstances, judge
from gru4rec_cli.study.rundir import CONFIG, WINDOWS, RunDirectory
from gru4rec_cli.study.stage import StageResults
from gru4rec_cli.study.stages.report import IDENTITY, file_name

_FIRST = ("synth", "split")  # of all windows before anything is fitted: one with too few sessions is found at once
_LATER = tuple(name for name in STAGES if name not in _FIRST)
_OF_ONE_WINDOW = ("slices", "events", "sessions", "items")  # of the protocol


class WindowedStudy:
    """A configuration with `split.windows`, and the run directory that holds the windows' runs and what they give.

    Window k of n lies in `windows/k-of-n`, a run directory like any other; `joint` holds what is made from all of them.
    """

    def __init__(
        self,
        config: StudyConfig,
        run_dir: Path | None = None,
        *,
        progress: Progress = SILENT,
        command: str = "",
        options: str = "",
    ) -> None:
        """As `Study`."""
        self.config = config
        self.directory = RunDirectory(run_dir or Path("runs") / config.name)
        self.progress = progress
        self.command = command
        self.options = options
        self.windows = {
            path: self._study(number, path)
            for number in range(1, 1 + (config.split.windows or 0))
            for path in [f"{WINDOWS}/{number}-of-{config.split.windows}"]
        }

    def _study(self, number: int, path: str) -> Study:
        """The run of one window."""
        run_dir = self.directory.path / path
        return Study(
            window_config(self.config, number),
            run_dir,
            progress=self.progress,
            command=self.command,
            options=_options(run_dir),
        )

    def run_stage(self, name: str, *, force: bool = False) -> NoReturn:
        """Stages are run for all windows, by `run`, or for one by itself. Raises `UsageError`."""
        path, study = next(iter(self.windows.items()))
        raise UsageError(
            f"split.windows asks for {len(self.windows)} runs, each with all stages",
            f"all of them: gru4rec-study run {self.options}\n"
            f"       or, once that has begun, {name} of {path} alone: gru4rec-study {name} {study.options}",
        )

    def run(self, *, force: bool = False) -> Iterator[Outcome]:
        """Run all stages of all windows, all splits first, skipping what is up to date; then sum them up."""
        check_owner(self.directory, self.config)
        with self.directory.lock(self.command, resolved(self.config)):
            for stages in (_FIRST, _LATER):
                for path, study in self.windows.items():
                    with self.progress.task(path):
                        for outcome in study.run(force=force, only=stages):
                            yield replace(outcome, stage=f"{path}/{outcome.stage}")
            yield self._join(force=force)

    def plan(self) -> list[tuple[str, Status]]:
        """What `run` would do, and why; nothing is written."""
        check_owner(self.directory, self.config)
        plans = {path: study.plan() for path, study in self.windows.items()}
        plan = [
            (f"{path}/{name}", status)
            for stages in (_FIRST, _LATER)
            for path, found in plans.items()
            for name, status in found
            if name in stages
        ]
        status = judge(self.directory, JOINT, self._slice(), self._inputs(), _code())
        if status.state == "up to date" and any(other.state == "to run" for _, other in plan):
            status = Status("to run", "unless the windows will give the same again")
        return [*plan, (JOINT, status)]

    def _join(self, *, force: bool) -> Outcome:
        """Make what all windows give together, unless it is up to date."""
        inputs, folder = self._inputs(), self.directory.stage(JOINT)
        status = Status("to run", "forced") if force else judge(self.directory, JOINT, self._slice(), inputs, _code())
        if status.state == "damaged":
            raise StageError(status.reason, f"remove {folder} and run the same command again")
        windows = [self._findings(path) for path in self.windows]
        if status.state == "to run":
            partial = self.directory.begin(JOINT, fresh=True)
            with self.progress.task(JOINT), measured() as cost:
                self._write(partial, windows, inputs)
            made_from = {"config": self._slice(), "inputs": inputs, "code": _code()}
            told = circumstances(self.config, cost, self.command)
            self.directory.finish(JOINT, {"stage": JOINT, **made_from, **told})
        joint = JointFindings(read_json(folder / METRICS_FILE), windows)
        page = folder / file_name("report.html", self.config.report.languages[0])
        results = StageResults({"report": str(page), **joint.document}, joint_tables(joint))
        return Outcome(JOINT, "ran" if status.state == "to run" else "skipped", status.reason, results)

    def _findings(self, path: str) -> WindowFindings:
        run = load_run(self.directory.path / path, path)
        return WindowFindings(path, run.findings)

    def _write(self, folder: Path, windows: list[WindowFindings], inputs: Mapping[str, str]) -> None:
        """Metrics, and a page a language."""
        document = self._document(windows)
        write_json(folder / METRICS_FILE, document)
        with (folder / METRICS_TABLE).open("w", encoding="utf-8", newline="") as sheet:
            table = csv.DictWriter(sheet, list(document["metrics"][0]), lineterminator="\n")
            table.writeheader()
            table.writerows(document["metrics"])
        joint = JointFindings(document, windows)
        identity = hash_json(inputs)[:IDENTITY]
        provenance = {"run": self.config.name, "id": identity, "inputs": {JOINT: inputs}}
        title = self.config.report.title or self.config.name
        languages = list(dict.fromkeys(self.config.report.languages))
        for language in languages:
            words = words_of(language)
            sections = joint_sections(joint, provenance, words)
            others = [(other, file_name("report.html", other)) for other in languages if other != language]
            page = page_html(title, sections, words, drawings={}, identity=identity, others=others)
            (folder / file_name("report.html", language)).write_text(page, encoding="utf-8")
            text = sections_markdown(title, sections, words)
            (folder / file_name("report.md", language)).write_text(text, encoding="utf-8")

    def _document(self, windows: list[WindowFindings]) -> dict[str, Any]:
        """All of it for a script."""
        protocol = windows[0].findings.protocol
        models = {name: about for window in windows for name, about in window.findings.models.items()}
        return {
            "windows": [self._made(number, path) for number, path in enumerate(self.windows, start=1)],
            "protocol": {key: value for key, value in protocol.items() if key not in _OF_ONE_WINDOW},
            "models": models,
            "not_applicable": {window.path: window.findings.not_applicable for window in windows},
            "metrics": over_windows([window.findings.document["metrics"] for window in windows]),
        }

    def _made(self, number: int, path: str) -> dict[str, Any]:
        """When a window begins and ends, and what was made of it."""
        statistics = read_json(self.directory.path / path / "split" / STATISTICS_FILE)
        parts = statistics["parts"]
        counts = {part: {name: parts[part][name] for name in ("sessions", "events")} for part in ("train", "test")}
        span = {end: statistics["window"][end] for end in ("start", "end")}
        return {"window": number, "run": path, **span, **counts, "items": parts["train"]["items"]}

    def _slice(self) -> dict[str, Any]:
        """The part of the configuration that decides what is made of the windows, beside what decides the windows."""
        plain = resolved(self.config)
        return {"name": plain["name"], "report": plain["report"], "windows": plain["split"]["windows"]}

    def _inputs(self) -> dict[str, str]:
        """Hashes of what is read of every window."""
        manifests = {
            f"{path}/{stage}": study.directory.manifest(stage)
            for path, study in self.windows.items()
            for stage in ("split", "evaluate")
        }
        return {label: hash_json(manifest["outputs"]) if manifest else "" for label, manifest in manifests.items()}


def study_of(
    config: StudyConfig,
    run_dir: Path | None = None,
    *,
    progress: Progress = SILENT,
    command: str = "",
    options: str = "",
) -> Study | WindowedStudy:
    """The study that a configuration describes, of the whole log or of several windows of it."""
    kind = Study if config.split.windows is None else WindowedStudy
    return kind(config, run_dir, progress=progress, command=command, options=options)


def window_config(config: StudyConfig, number: int) -> StudyConfig:
    """The configuration of one window's run: a name and a title of its own, and `split.window`."""
    window = WindowSettings(number=number, of=config.split.windows or 0)
    name, title = f"{window.number}-of-{window.of}", config.report.title
    return config.model_copy(
        update={
            "name": f"{config.name}.{name}",
            "split": config.split.model_copy(update={"windows": None, "window": window}),
            "report": config.report.model_copy(update={"title": title and f"{title} ({window.number}/{window.of})"}),
        }
    )


def _options(run_dir: Path) -> str:
    return shlex.join(["--config", str(run_dir / CONFIG), "--run-dir", str(run_dir)])


def _code() -> str:
    return code_hash("report", [Path(__file__), Path(comparing.__file__)])
