"""`compare`: read several run directories, show them beside each other, write a page of it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import CheckError, StageError, UsageError
from gru4rec_cli.base.files import by_table, hash_json, read_json, write_text
from gru4rec_cli.base.names import METRICS_FILE, TUNE_FILE
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.comparison import comparison_sections
from gru4rec_cli.reporting.pages.html import page_html
from gru4rec_cli.reporting.pages.latex import latex_page
from gru4rec_cli.reporting.pages.markdown import sections_markdown
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.comparison import between_runs, group_heading, models_by_run, runs_table
from gru4rec_cli.reporting.text.comparison import Group, RunResults, document, grouped, metric_rows
from gru4rec_cli.reporting.text.words import ENGLISH, Words, words_of
from gru4rec_cli.study.costs import costs_by_model
from gru4rec_cli.study.pairing import tested
from gru4rec_cli.study.run_directory import CONFIG, Manifest, RunDirectory
from gru4rec_cli.study.stages.table import COMPUTING, WINDOWS

_STAGES = ("split", "evaluate")  # that a run must have finished
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FITTED = ("baseline", "train")  # where the costs of the models are


@dataclass(frozen=True)
class Comparison:
    """Runs in groups that may stand in one table; one group unless they were to be shown apart."""

    groups: list[Group]

    def tables(self, words: Words = ENGLISH) -> list[Table]:
        """Return the tables for the terminal: one a group, and where it holds several runs, models by run."""
        tables = []
        for number, group in enumerate(self.groups, start=1):
            tables.append(runs_table(group, words, group_heading(self.groups, number, words)))
            tables += [models_by_run(group, words)] if len(group.runs) > 1 else []
            tables += [between_runs(group, words)] if group.differences else []
        return tables

    def document(self) -> dict[str, Any]:
        """Return all of it for a script."""
        return document(self.groups)


def compare(paths: Sequence[Path], *, apart: bool = False) -> Comparison:
    """Read the runs in these directories and put them together.

    Raises:
        StageError: a run is missing, unfinished or damaged.
        UsageError: a directory holds several runs.
        CheckError: the runs have different test sets or protocols and are not to be shown `apart`.
    """
    labels = _labels(paths)
    groups = grouped([_load_run(path, label) for path, label in zip(paths, labels, strict=True)])
    if len(groups) > 1 and not apart:
        reasons = [reason for group in groups[1:] for reason in group.reasons]
        raise CheckError(
            "these runs cannot be compared in one table:\n" + "\n".join(f"  {reason}" for reason in reasons),
            "give --apart to show them in separate tables",
        )
    return Comparison([tested(group) for group in groups])


def write(comparison: Comparison, folder: Path, language: str = "en") -> list[Path]:
    """Write `comparison.html`, `.md`, `.tex` and `.csv` into `folder`, and return their paths."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", "give another --to")
    folder.mkdir(parents=True, exist_ok=True)
    words = words_of(language)
    title, sections = words("comparison_title"), comparison_sections(comparison.groups, words)
    pages = {
        "comparison.html": page_html(title, sections, words, drawings={}),
        "comparison.md": sections_markdown(title, sections, words),
        "comparison.tex": latex_page(comparison.tables(words)),
    }
    for file, page in pages.items():
        write_text(folder / file, page)
    rows = metric_rows([run for group in comparison.groups for run in group.runs])
    with (folder / "comparison.csv").open("w", encoding="utf-8", newline="") as sheet:
        table = csv.DictWriter(sheet, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return [folder / name for name in (*pages, "comparison.csv")]


def _csv_cell(value: object) -> object:
    """Return a cell that a spreadsheet takes for text where it is text: a leading = would begin a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _labels(paths: Sequence[Path]) -> list[str]:
    """Return the directories' names, or their whole paths where two have the same name."""
    names = [path.resolve().name for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run is given twice", "give every run directory once")
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _load_run(path: Path, label: str) -> RunResults:
    """Read the results of a finished run, after checking its artifacts against their hashes.

    Raises:
        StageError: the run is missing, unfinished or damaged.
        UsageError: the directory holds several runs.
    """
    if not path.is_dir():
        raise StageError(f"there is no run directory {path}", "give the directory of a finished run, such as runs/demo")
    if (path / WINDOWS).is_dir():
        raise UsageError(f"{path} holds several windows, each with its own run", f"give some of {path}/{WINDOWS}/*")
    directory = RunDirectory(path)
    manifests = {stage: _finished(directory, stage) for stage in _STAGES}
    if manifests["evaluate"]["inputs"].get("split") != hash_json(manifests["split"]["outputs"]):
        message = f"{path}: evaluate was made from another split than the one that is there"
        raise StageError(message, _command(path, "evaluate"))
    for section in ("tune", *_FITTED):
        _require_whole(directory, section)
    costs = costs_by_model([path / section for section in _FITTED], path / "evaluate")
    device, versions = (manifests["evaluate"].get(key) or {} for key in ("device", "versions"))
    return RunResults(
        label,
        str(path),
        Findings(read_json(path / "evaluate" / METRICS_FILE)),
        by_table(manifests["split"]["outputs"]),
        costs,
        machine=", ".join(str(device[key]) for key in ("processor", "system") if device.get(key)),
        version=str(versions.get("gru4rec-study", "")),
        warned=directory.warnings(COMPUTING),
        trials=_trials(path / "tune"),
    )


def _trials(tune: Path) -> dict[str, int]:
    """Return how many settings were tried of each model that was tuned."""
    if not (tune / TUNE_FILE).exists():
        return {}
    return {name: model["trials"] for name, model in read_json(tune / TUNE_FILE)["models"].items()}


def _finished(directory: RunDirectory, stage: str) -> Manifest:
    _require_whole(directory, stage)
    manifest = directory.manifest(stage)
    if manifest is None:
        raise StageError(f"{directory.path} holds no finished {stage} stage", _command(directory.path, "run"))
    return manifest


def _require_whole(directory: RunDirectory, stage: str) -> None:
    damage = directory.damage(stage)
    if damage:
        raise StageError(damage, f"{_command(directory.path, stage)} --force")


def _command(path: Path, command: str) -> str:
    return f"run: gru4rec-study {command} --config {path / CONFIG} --run-dir {path}"
