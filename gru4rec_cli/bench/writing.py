"""The folder of a run of the bench: bench.json, bench.csv and plots."""

import csv
import io
from pathlib import Path

from gru4rec_cli.base.files import write_json, write_text
from gru4rec_cli.bench.measurements import Measurement
from gru4rec_cli.bench.run import Findings

CASE_COLUMNS = ("settings", "batch_size", "units", "items", "events", "requests")
COLUMNS = ("section", "subject", *CASE_COLUMNS, "quantity", "unit", "median", "low", "high", "repeats")


def write_folder(folder: Path, findings: Findings) -> None:
    """Write everything; files of an earlier run are replaced."""
    from gru4rec_cli.bench.plots import write_plots

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "bench.json", findings.document)
    write_text(folder / "bench.csv", as_csv(findings.measurements))
    write_plots(folder, findings.measurements)


def as_csv(measurements: list[Measurement]) -> str:
    """A line a figure; what a case does not name is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for found in measurements:
        case = [found.case.get(column, "") for column in CASE_COLUMNS]
        values = [found.quantity, found.unit, found.median, found.low, found.high, len(found.values)]
        writer.writerow([found.section, found.subject, *case, *values])
    return text.getvalue()
