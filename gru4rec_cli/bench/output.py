"""The figures of the bench as tables, and as a folder of files: bench.json, bench.csv and plots."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gru4rec_cli.base.files import write_json, write_text
from gru4rec_cli.bench.notebook import Measurement
from gru4rec_cli.bench.run import Findings
from gru4rec_cli.reporting.tables import Table

CASE_COLUMNS = ("settings", "batch_size", "units", "items", "events", "requests", "rate")
COLUMNS = ("section", "subject", *CASE_COLUMNS, "quantity", "unit", "median", "low", "high", "repeats")

_NOTHING = "–"

Row = tuple[tuple[tuple[str, str | int], ...], str]  # case, subject


def tables(findings: Findings) -> list[Table]:
    """Return a table for each section, and one of the machine; its notes name what was left out."""
    sections: dict[str, list[Measurement]] = {}
    for measurement in findings.measurements:
        sections.setdefault(measurement.section, []).append(measurement)
    document = findings.document
    found = [section_table(name, list(rows), [f"Timed: {document['timed'][name]}."]) for name, rows in sections.items()]
    left_out = [f"Left out: {name}: {reason}" for name, reason in document["left_out"].items()]
    return [*found, Table("Machine", ("Part", "Here"), _machine_rows(document), notes=tuple(left_out))]


def section_table(name: str, measurements: Sequence[Measurement], notes: Sequence[str] = ()) -> Table:
    """Return a table of a section: a row for each subject and case, a column for each quantity.

    A cell is the median and, with more than one repeat, [lowest–highest].
    """
    cases = list(dict.fromkeys(key for measurement in measurements for key in measurement.case))
    quantities = list(dict.fromkeys((measurement.quantity, measurement.unit) for measurement in measurements))
    rows: dict[Row, dict[str, str]] = {}
    for measurement in measurements:
        rows.setdefault((tuple(measurement.case.items()), measurement.subject), {})[measurement.quantity] = cell(
            measurement
        )
    shown = [
        (
            *(_plain(dict(case).get(key, _NOTHING)) for key in cases),
            subject,
            *(found.get(q, _NOTHING) for q, _ in quantities),
        )
        for (case, subject), found in rows.items()
    ]
    heads = (*(key.replace("_", " ") for key in cases), "", *(_head(*quantity) for quantity in quantities))
    numeric = {c for c, key in enumerate(cases) if all(isinstance(m.case.get(key, 0), int) for m in measurements)}
    repeats = len(measurements[0].values)
    how = f"median of {repeats} [lowest–highest]" if repeats > 1 else "one repeat: the spread is not known"
    return Table(
        f"{name.capitalize()}: {how}",
        heads,
        tuple(shown),
        numeric=frozenset(numeric | set(range(len(cases) + 1, len(heads)))),
        notes=tuple(notes),
    )


def _head(quantity: str, unit: str) -> str:
    name = quantity.replace("_", " ")
    return name if unit.split("/")[0] in name.split() else f"{name}, {unit}"


def cell(measurement: Measurement) -> str:
    """Format a measurement, such as `231 [228–234]`."""
    low, high = number(measurement.low), number(measurement.high)
    return number(measurement.median) + (f" [{low}–{high}]" if low != high else "")


def number(value: float) -> str:
    """Format a number with three significant digits and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _plain(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _machine_rows(document: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = f"{machine['load_before']} before, {machine['load_after']} after (processes that want a core)"
    return (
        ("processor", f"{machine['processor']} ({machine['machine']})"),
        ("system", machine["system"]),
        ("cores, threads", f"{machine['cores']}, {machine['threads']}"),
        ("products by", machine["blas"]),
        ("versions", versions),
        ("load", load),
    )


def write_folder(folder: Path, findings: Findings) -> None:
    """Write bench.json, bench.csv and plots. Files of an earlier run are replaced."""
    from gru4rec_cli.bench.plots import write_plots

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "bench.json", findings.document)
    write_text(folder / "bench.csv", as_csv(findings.measurements))
    write_plots(folder, findings.measurements)


def as_csv(measurements: list[Measurement]) -> str:
    """Return CSV with a line for each figure; a column that a case does not have is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for found in measurements:
        case = [found.case.get(column, "") for column in CASE_COLUMNS]
        values = [found.quantity, found.unit, found.median, found.low, found.high, len(found.values)]
        writer.writerow([found.section, found.subject, *case, *values])
    return text.getvalue()
