"""What weaker protocols would have reported: factors of inflation, and pairs whose order changes."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.reporting.findings.run import Findings, source_path
from gru4rec_cli.reporting.findings.sensitivity import Protocol, Row, factors, row_source
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import missing_note, predictions_note
from gru4rec_cli.reporting.text.phrases import model_label, protocol_label
from gru4rec_cli.reporting.text.words import Words


def factors_table(findings: Findings, metric: str, words: Words) -> Table:
    """Return the factor between what a protocol reports and full ranking, and what it reports; a column a protocol."""
    found = factors(findings, metric)
    models = [m for m in findings.order if any(m in by_model for by_model in found.values())]
    rows = tuple(
        (
            model_label(model, words),
            _full_cell(findings, model, metric, found, words),
            *(_factor_cell(by_model.get(model), words) for by_model in found.values()),
        )
        for model in models
    )
    label = findings.metric_label(metric, findings.cutoff)
    return Table(
        words("factors_title", metric=label),
        (words("model"), words("full_ranking"), *(protocol_label(protocol, words) for protocol in found)),
        rows,
        numeric=frozenset(range(1, 2 + len(found))),
        notes=(words("factors_note"), *missing_note(rows, words), *predictions_note(findings.models, words)),
        source=source_path("sensitivity.rows"),
    )


def _full_cell(
    findings: Findings, model: str, metric: str, found: Mapping[Protocol, Mapping[str, Row]], words: Words
) -> str:
    row = next((by_model[model] for by_model in found.values() if model in by_model), {})
    value = row.get("full")
    return words("missing") if value is None else Cell(words.share(value), value=value, source=row_source(row))


def _factor_cell(row: Row | None, words: Words) -> str:
    value, factor = (row or {}).get("value"), (row or {}).get("factor")
    if row is None or value is None:
        return words("missing")
    inflated = f" ({words.factor(factor)})" if factor is not None else ""
    return Cell(words.share(value) + inflated, value=factor if factor is not None else value, source=row_source(row))


def flips_table(findings: Findings, words: Words) -> Table:
    """Return the pairs whose order is another under another protocol, with what each of the two reports."""
    flips = (findings.document.get("sensitivity") or {}).get("flips") or []
    rows = tuple(
        (
            findings.metric_label(str(flip.get("metric")), flip.get("k")),
            protocol_label(Protocol.of(flip), words),
            model_label(str(flip.get("first")), words),
            model_label(str(flip.get("second")), words),
            _two(flip.get("full"), words, flip),
            _two(flip.get("shown"), words, flip),
        )
        for flip in flips
    )
    columns = ("metric", "protocol", "above_in_full", "below_in_full", "in_full", "there")
    return Table(
        words("flips_title"),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({4, 5}),
        notes=(words("flips_note") if rows else words("no_flips"), *missing_note(rows, words)),
        source=source_path("sensitivity.flips"),
    )


def _two(values: Any, words: Words, flip: Row) -> str:
    if not values or len(values) != 2:
        return words("missing")
    fields = ("first", "second", "metric", "k", "protocol", "negatives", "ties")
    source = source_path("sensitivity.flips", **{name: flip.get(name) for name in fields})
    text = words.versus(*values)
    return Cell(text, value=values[0] - values[1], source=source)
