"""What several stages show: the tables of results, of costs and of the spread over seeds, and where the report is."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gru4rec_cli.base.files import hash_table, read_json
from gru4rec_cli.base.names import METRICS_FILE, TEST_FILE
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables.costs import costs_table
from gru4rec_cli.reporting.tables.results import results_table, spread_table
from gru4rec_cli.reporting.text.sentences import best_sentence
from gru4rec_cli.reporting.text.words import ENGLISH
from gru4rec_cli.study.costs import costs_by_model
from gru4rec_cli.study.ledger import read_uses
from gru4rec_cli.study.stage import StageResults

IDENTITY_DIGITS = 12  # of the hash that names a run's artifacts on its pages


def metrics_results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    """Return the metrics that `evaluate` wrote into `folder`, and what each model took (`costs` in the document)."""
    document = read_json(folder / METRICS_FILE)
    findings = Findings(document)
    costs = run_costs({**inputs, "evaluate": folder})
    table = results_table(findings)
    sentence = best_sentence(findings, ENGLISH)
    uses = len(read_uses(folder.parent, hash_table(inputs["split"] / TEST_FILE)))
    used = [f"The test part was ranked {uses:,} times in this run directory, with other models or settings."]
    first = [*([sentence.plain()] if sentence else []), *(used if uses > 1 else [])]
    results = replace(table, notes=(*first, *table.notes))
    spread = [spread_table(findings, ENGLISH)] if findings.several_seeds else []
    return StageResults(
        {**document, "test_uses": uses, "costs": costs}, [results, *spread, costs_table(findings, costs)]
    )


def run_costs(stages: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Return what each model took, from the folders of the stages."""
    return costs_by_model([stages[name] for name in ("baseline", "train") if name in stages], stages["evaluate"])


def first_page(folder: Path) -> Path:
    """Return the HTML page in a folder, the English one where there are several; the folder where there is none."""
    pages = (folder / "report.html", *sorted(folder.glob("report.*.html")))
    return next((page for page in pages if page.exists()), folder)
