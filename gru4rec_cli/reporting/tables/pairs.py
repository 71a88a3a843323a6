"""Every model against every other: differences with intervals and verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from gru4rec_cli.reporting.findings.run import Findings, source_path
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import missing_note
from gru4rec_cli.reporting.text.phrases import model_label
from gru4rec_cli.reporting.text.sentences import SAME_LEVEL
from gru4rec_cli.reporting.text.words import Words

_EVEN = "≈"


def matrix_table(findings: Findings, words: Words) -> Table:
    """Return every row's model minus every column's in the headline metric; `≈` marks no significant difference."""
    models = [model for model in findings.order if findings.key(model) in findings.found]
    rows = tuple(
        (model_label(row, words), *(_matrix_cell(findings, row, column, words) for column in models)) for row in models
    )
    notes = (words("matrix_note", metric=findings.label), words("even_note", mark=_EVEN, level=_level(findings, words)))
    return Table(
        words("matrix_title", metric=findings.label),
        (words("row_minus_column"), *(model_label(model, words) for model in models)),
        rows,
        numeric=frozenset(range(1, len(models) + 1)),
        notes=(*notes, *missing_note(rows, words)),
        source=source_path("differences"),
    )


def _matrix_cell(findings: Findings, row: str, column: str, words: Words) -> str:
    if row == column:
        return "·"
    entry = findings.difference(row, column)
    if entry is None or entry.get("value") is None:
        return words("missing")
    value = entry["value"] if entry["first"] == row else -entry["value"]
    distinct = bool(entry.get("distinguishable"))
    text = words.signed(value) + ("" if distinct else f" {_EVEN}")
    tone = "even" if not distinct else "up" if value > 0 else "down"
    return Cell(text, value=value, source=_source(entry), tone=tone)


def differences_table(findings: Findings, words: Words, shown: Sequence[Mapping[str, Any]] | None = None) -> Table:
    """Return every pair and metric: the difference, its interval, the p-value after Holm's correction, and the
    verdict. With `shown`, only these of them."""
    entries = findings.differences or [] if shown is None else shown
    rows = tuple(difference_row(findings, entry, words) for entry in entries)
    columns = ("metric", "higher", "lower", "difference", "relative", "interval", "p_holm", "verdict")
    notes = (*difference_notes(findings, entries, words), *missing_note(rows, words))
    return Table(
        words("differences_title"),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({3, 4, 5, 6}),
        notes=notes,
        source=source_path("differences"),
    )


def difference_notes(
    findings: Findings, entries: Sequence[Mapping[str, Any]], words: Words, about: str = "difference_note"
) -> tuple[str, ...]:
    """Return how intervals and p-values were made."""
    permutations = findings.protocol.get("permutations")
    drawn = words("missing") if permutations is None else words.count(permutations)
    return (
        words(about, level=words.level(findings.confidence), permutations=drawn),
        words("holm_note", level=_level(findings, words)),
        *([words("floor_note")] if any(map(findings.at_floor, entries)) else []),
    )


def from_best_table(findings: Findings, words: Words) -> Table:
    """Return how far the best model is above every other one in the headline metric."""
    best = next(iter(findings.ranked), "")
    pairs = [(other, findings.difference(best, other)) for other in findings.ranked if other != best]
    entries = [(other, entry) for other, entry in pairs if entry is not None]
    rows = tuple((other, *_from_first(difference_row(findings, turned(e, best), words))) for other, e in entries)
    columns = ("model", "difference_from_best", "relative", "interval", "p_holm", "verdict")
    return Table(
        words("from_best_title", best=best, metric=findings.label),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({1, 2, 3, 4}),
        notes=difference_notes(findings, [entry for _, entry in entries], words, about="from_best_note"),
        source=source_path("differences"),
    )


def _from_first(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cells of a pair without metric and models."""
    return cells[3:]


def turned(entry: Mapping[str, Any], first: str) -> Mapping[str, Any]:
    """Return the comparison with `first` first; its relative difference then refers to the other one's value."""
    if entry.get("first") == first:
        return entry
    value, low, high = (None if entry.get(key) is None else -entry[key] for key in ("value", "high", "low"))
    relative = entry.get("relative")  # (a - b) / b = r, so (b - a) / a = -r / (1 + r)
    return {
        **entry,
        "first": first,
        "second": entry["first"],
        "value": value,
        "low": low,
        "high": high,
        "relative": None if relative is None or relative <= -1 else -relative / (1 + relative),
    }


def difference_row(findings: Findings, entry: Mapping[str, Any], words: Words) -> tuple[str, ...]:
    """Return the cells of a pair: metric, both models, difference, relative, interval, p, verdict."""
    source = _source(entry)

    def number(value: float | None, text: str) -> str:
        return words("missing") if value is None else Cell(text, value=value, source=source)

    value, relative = entry.get("value"), entry.get("relative")
    low, high, p = entry.get("low"), entry.get("high"), entry.get("p_holm")
    interval = words("missing") if low is None or high is None else words.signed_interval(low, high)
    distinct = entry.get("distinguishable")
    verdict = words("missing") if distinct is None else words("distinct" if distinct else "not_distinct")
    if relative is not None and abs(relative) < SAME_LEVEL:
        verdict += f"; {words('same_level')}"
    return (
        findings.metric_label(str(entry.get("metric")), entry.get("k")),
        model_label(str(entry.get("first")), words),
        model_label(str(entry.get("second")), words),
        number(value, words.signed(value or 0)),
        number(relative, words.relative(relative or 0)) if relative is not None else "–",
        Cell(interval, value=low, source=source),
        number(p, words.probability(p or 0, at_most=findings.at_floor(entry))),
        Cell(verdict, tone="" if distinct is None else "up" if distinct else "even"),
    )


def _source(entry: Mapping[str, Any]) -> str:
    return source_path("differences", **{key: entry.get(key) for key in ("first", "second", "metric", "k")})


def _level(findings: Findings, words: Words) -> str:
    """Return the p-value below which two models are significantly different."""
    return words.fixed(1 - findings.confidence, 2)
