"""What several stages show: the table of results with the spread over seeds, and where the report is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gru4rec_cli.base.files import MANIFEST, read_json
from gru4rec_cli.base.names import METRICS_FILE, FitName
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables.results import results_table, spread_table
from gru4rec_cli.reporting.text.sentences import best_sentence
from gru4rec_cli.reporting.text.words import ENGLISH
from gru4rec_cli.study.stage import StageResults

IDENTITY_DIGITS = 12  # of the hash that names a run's artifacts on its pages


def metrics_results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    """Return the metrics that `evaluate` wrote into `folder`, beside what fitting each model took."""
    document = read_json(folder / METRICS_FILE)
    findings = Findings(document)
    sections = [inputs[section] for section in ("baseline", "train") if section in inputs]
    table = results_table(findings, costs=costs_by_model(sections))
    sentence = best_sentence(findings, ENGLISH)
    results = replace(table, notes=(*([sentence.plain()] if sentence else []), *table.notes))
    return StageResults(document, [results, *([spread_table(findings, ENGLISH)] if findings.several_seeds else [])])


def fit_costs(folder: Path) -> dict[str, dict[str, float]]:
    """Return the cost of each fit of a finished stage, by the fit's name."""
    manifests = sorted(folder.glob(f"*/{MANIFEST}"))
    return {path.parent.name: read_json(path)["cost"] for path in manifests}


def costs_by_model(sections: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return what fitting each model took; of several seeds, the mean time and the largest memory."""
    fits: dict[str, list[dict[str, float]]] = {}
    for section in sections:
        for name, cost in fit_costs(section).items():
            fits.setdefault(FitName.parse(name).model, []).append(cost)
    return {
        name: {
            "seconds": sum(cost["seconds"] for cost in costs) / len(costs),
            "peak_memory_bytes": max(cost["peak_memory_bytes"] for cost in costs),
        }
        for name, costs in fits.items()
    }


def first_page(folder: Path) -> Path:
    """Return the HTML page in a folder, the English one where there are several; the folder where there is none."""
    pages = (folder / "report.html", *sorted(folder.glob("report.*.html")))
    return next((page for page in pages if page.exists()), folder)
