"""`joint`: the mean and the spread of every model's results over the windows of a log, and a page of them."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gru4rec_cli.base.files import MANIFEST, hash_json, read_json, write_json
from gru4rec_cli.base.names import METRICS_FILE, METRICS_TABLE, STATISTICS_FILE
from gru4rec_cli.evaluation.windows import over_windows
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.windows import JOINT, JointFindings, WindowFindings, joint_pages, joint_tables
from gru4rec_cli.study.run_directory import RunDirectory
from gru4rec_cli.study.stage import StageResults, StageWork
from gru4rec_cli.study.stages.showing import IDENTITY_DIGITS, first_page
from gru4rec_cli.study.stages.table import COMPUTING

_OF_ONE_WINDOW = ("slices", "events", "sessions", "items")  # of the protocol


def run(work: StageWork) -> None:
    """Write the metrics, and a page a language."""
    windows = _windows(work.inputs)
    document: dict[str, Any] = {
        "windows": [_description(number, window, work.inputs) for number, window in enumerate(windows, start=1)],
        "protocol": {key: value for key, value in windows[0].findings.protocol.items() if key not in _OF_ONE_WINDOW},
        "models": {name: about for window in windows for name, about in window.findings.models.items()},
        "not_applicable": {window.path: window.findings.not_applicable for window in windows},
        "metrics": over_windows([window.findings.document["metrics"] for window in windows]),
    }
    write_json(work.folder / METRICS_FILE, document)
    with (work.folder / METRICS_TABLE).open("w", encoding="utf-8", newline="") as sheet:
        table = csv.DictWriter(sheet, list(document["metrics"][0]), lineterminator="\n")
        table.writeheader()
        table.writerows(document["metrics"])
    inputs = {name: hash_json(read_json(folder / MANIFEST)["outputs"]) for name, folder in work.inputs.items()}
    provenance = {"run": work.config.name, "id": hash_json(inputs)[:IDENTITY_DIGITS], "inputs": {JOINT: inputs}}
    title = work.config.report.title or work.config.name
    joint = JointFindings(document, windows, _warned(work.inputs))
    pages = joint_pages(joint, provenance, title, work.config.report.languages)
    for file, page in pages.items():
        (work.folder / file).write_text(page, encoding="utf-8")


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    """Return the table over all windows, and those of the windows."""
    joint = JointFindings(read_json(folder / METRICS_FILE), _windows(inputs))
    return StageResults({"report": str(first_page(folder)), **joint.document}, joint_tables(joint))


def _windows(inputs: Mapping[str, Path]) -> list[WindowFindings]:
    """Return the metrics of every window, by its folder in the run directory."""
    evaluated = {name.removesuffix("/evaluate"): folder for name, folder in inputs.items() if folder.name == "evaluate"}
    return [WindowFindings(path, Findings(read_json(folder / METRICS_FILE))) for path, folder in evaluated.items()]


def _warned(inputs: Mapping[str, Path]) -> dict[str, list[dict[str, str]]]:
    """Return the warnings of the stages of every window, by the stage's path in the run directory."""
    runs = {
        name.removesuffix("/evaluate"): folder.parent for name, folder in inputs.items() if folder.name == "evaluate"
    }
    return {
        f"{name}/{stage}": warnings
        for name, run in runs.items()
        for stage, warnings in RunDirectory(run).warnings(COMPUTING).items()
    }


def _description(number: int, window: WindowFindings, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Return when a window begins and ends, and what was made of it."""
    statistics = read_json(inputs[f"{window.path}/split"] / STATISTICS_FILE)
    parts = statistics["parts"]
    counts = {part: {name: parts[part][name] for name in ("sessions", "events")} for part in ("train", "test")}
    span = {end: statistics["window"][end] for end in ("start", "end")}
    return {"window": number, "run": window.path, **span, **counts, "items": parts["train"]["items"]}
