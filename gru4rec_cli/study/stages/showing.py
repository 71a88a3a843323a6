"""What `evaluate` and `report` both show: the table of results, and the spread over seeds where there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import METRICS_FILE, FitName
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables.results import results_table, spread_table
from gru4rec_cli.reporting.text.sentences import best_sentence
from gru4rec_cli.reporting.text.words import ENGLISH
from gru4rec_cli.study.fits import fit_costs
from gru4rec_cli.study.stage import StageResults


def metrics_results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    """Return the metrics that `evaluate` wrote into `folder`, beside what fitting each model took."""
    document = read_json(folder / METRICS_FILE)
    findings = Findings(document)
    sections = [inputs[section] for section in ("baseline", "train") if section in inputs]
    table = results_table(findings, costs=costs_by_model(sections))
    sentence = best_sentence(findings, ENGLISH)
    results = replace(table, notes=(*([sentence.plain()] if sentence else []), *table.notes))
    return StageResults(document, [results, *([spread_table(findings, ENGLISH)] if findings.several_seeds else [])])


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
