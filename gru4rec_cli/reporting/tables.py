"""The tables of results, neutral: the terminal, the markdown page and the HTML page all show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.reporting.estimates import (
    METRIC_LABELS,
    METRICS_SOURCE,
    WHOLE,
    Estimate,
    Key,
    estimates,
    metric_source,
    model_order,
)
from gru4rec_cli.reporting.words import ENGLISH, Words

TIE_RULES = ("conservative", "median", "optimistic")
NO_COST = "–"
_SHORTEST = 0.05  # seconds; below it a time would be shown as none


class Cell(str):
    """A cell is its text. It may know the number behind it, by which a page sorts, and the artifact that holds it."""

    value: float | None
    source: str
    tone: str  # for pages that colour: `up`, `down`, `even`

    def __new__(cls, text: str, *, value: float | None = None, source: str = "", tone: str = "") -> Self:
        cell = super().__new__(cls, text)
        cell.value, cell.source, cell.tone = value, source, tone
        return cell


@dataclass(frozen=True)
class Table:
    """A table of text. Cells are (row, column); `best` are the cells to mark, `numeric` the columns to align right,
    `optional` those that a narrow terminal may leave out; `source` is the artifact that the table as a whole shows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    numeric: frozenset[int] = frozenset()
    optional: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    source: str = ""


def results_table(
    metrics: pd.DataFrame,
    *,
    ties: str,
    cutoff: int,
    oracle_name: str = ORACLE,
    not_applicable: Mapping[str, str],
    costs: Mapping[str, Mapping[str, float]] | None = None,
    confidence: float = 0.95,
    words: Words = ENGLISH,
) -> Table:
    """Recall, MRR and NDCG of every model at `cutoff` with their intervals, and what fitting took if `costs` is given.

    With one blank between columns and a mark before the best, 80 characters hold names of up to 17; 98 with `costs`.
    """
    found = estimates(metrics)
    models = model_order(found, ties=ties, cutoff=cutoff, oracle_name=oracle_name)
    keys = [[(model, metric, cutoff, ties) for metric in METRIC_LABELS] for model in models]
    rows = [
        [model_label(model, words, oracle_name), *(interval_cell(found.get(key), key, words) for key in row)]
        for model, row in zip(models, keys, strict=True)
    ]
    rows += [
        [model_label(model, words, oracle_name), *(words("n/a") for _ in METRIC_LABELS)] for model in not_applicable
    ]
    columns = [words("model"), *(f"{label}@{cutoff}" for label in METRIC_LABELS.values())]
    best = best_cells(found, keys, words, oracle_name)
    notes = [interval_note(found, confidence, words), tie_note(ties, words)]
    notes += [*marked_note(best, words), *mean_note(metrics, words), *missing_note(rows, words)]
    if costs is not None:
        columns += [words("fit_time"), words("memory")]
        for model, cells in zip([*models, *not_applicable], rows, strict=True):
            cells += cost_cells(costs.get(model), words)
        notes.append(words("costs_note"))
    return Table(
        words("results_at", k=cutoff),
        tuple(columns),
        tuple(map(tuple, rows)),
        best,
        numeric=frozenset(range(1, len(columns))),
        optional=frozenset(range(1 + len(METRIC_LABELS), len(columns))),
        notes=(*notes, *model_notes(models, oracle_name, not_applicable, words)),
        source=METRICS_SOURCE,
    )


def all_cutoffs_table(
    metrics: pd.DataFrame,
    *,
    ties: str,
    oracle_name: str = ORACLE,
    not_applicable: Mapping[str, str],
    words: Words = ENGLISH,
) -> Table:
    """Every metric at every cutoff, without intervals: a block of rows a metric, a column a cutoff."""
    found = estimates(metrics)
    cutoffs = sorted({key[2] for key in found})
    models = model_order(found, ties=ties, cutoff=cutoffs[-1] if cutoffs else 0, oracle_name=oracle_name)
    rows: list[tuple[str, ...]] = []
    best: set[tuple[int, int]] = set()
    for metric, label in METRIC_LABELS.items():
        keys = [[(model, metric, k, ties) for k in cutoffs] for model in models]
        best |= {(row + len(rows), column + 1) for row, column in best_cells(found, keys, words, oracle_name)}
        rows += [
            (
                label,
                model_label(row[0][0], words, oracle_name),
                *(number_cell(found.get(key), key, words) for key in row),
            )
            for row in keys
            if row
        ]
    columns = (words("metric"), words("model"), *(f"K = {k}" for k in cutoffs))
    notes = [tie_note(ties, words), *marked_note(best, words), *missing_note(rows, words)]
    return Table(
        words("all_cutoffs"),
        columns,
        tuple(rows),
        frozenset(best),
        numeric=frozenset(range(2, len(columns))),
        notes=(*notes, *model_notes(models, oracle_name, not_applicable, words)),
        source=METRICS_SOURCE,
    )


def ties_table(
    metrics: pd.DataFrame,
    *,
    cutoff: int,
    oracle_name: str = ORACLE,
    metric: str = "recall",
    ties: str = "conservative",
    words: Words = ENGLISH,
) -> Table:
    """One metric under the three tie rules, models in the order of `ties`: shows who profits from equal scores."""
    found = estimates(metrics)
    models = model_order(found, ties=ties, cutoff=cutoff, oracle_name=oracle_name)
    keys = [[(model, metric, cutoff, rule) for rule in TIE_RULES] for model in models]
    rows = []
    for model, row in zip(models, keys, strict=True):
        lowest, highest = found.get(row[0]), found.get(row[-1])
        gap = highest.value - lowest.value if lowest and highest else None
        told = words("missing") if gap is None else Cell(words.signed(gap), value=gap, source=metric_source(row[-1]))
        label = model_label(model, words, oracle_name)
        rows.append((label, *(number_cell(found.get(key), key, words) for key in row), told))
    best = best_cells(found, keys, words, oracle_name)
    notes = [
        *(f"{tie_name(rule, words).capitalize()}: {words(f'{rule}_rule')}." for rule in TIE_RULES),
        words("gap_note"),
        *marked_note(best, words),
        *missing_note(rows, words),
    ]
    return Table(
        words("by_tie_rule", metric=f"{METRIC_LABELS[metric]}@{cutoff}"),
        (words("model"), *(tie_name(rule, words).capitalize() for rule in TIE_RULES), words("tie_gap")),
        tuple(rows),
        best,
        numeric=frozenset(range(1, 5)),
        notes=tuple(notes),
        source=METRICS_SOURCE,
    )


def model_label(model: str, words: Words, oracle_name: str = ORACLE) -> str:
    return words("bound", model=model) if model == oracle_name else model


def number_cell(estimate: Estimate | None, key: Key, words: Words, slice_name: str = "all") -> str:
    if estimate is None:
        return words("missing")
    source = metric_source(key, slice_name=slice_name)
    return Cell(words.share(estimate.value), value=estimate.value, source=source)


def interval_cell(estimate: Estimate | None, key: Key, words: Words, slice_name: str = "all") -> str:
    if estimate is None or not estimate.has_interval:
        return number_cell(estimate, key, words, slice_name)
    source = metric_source(key, slice_name=slice_name)
    return Cell(with_interval(estimate, words), value=estimate.value, source=source)


def with_interval(estimate: Estimate, words: Words) -> str:
    """The value and, where there is one, its interval."""
    interval = f" {words.interval(estimate.low, estimate.high)}" if estimate.has_interval else ""
    return words.share(estimate.value) + interval


def cost_cells(cost: Mapping[str, float] | None, words: Words) -> tuple[str, str]:
    """Time and memory, in units that a person reads."""
    seconds, peak = (cost or {}).get("seconds"), (cost or {}).get("peak_memory_bytes")
    return (
        NO_COST if seconds is None else Cell(_duration(seconds, words), value=seconds),
        NO_COST if peak is None else Cell(_memory(peak, words), value=peak),
    )


def _duration(seconds: float, words: Words) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{words.fixed(seconds / size, 1)} {unit}"
    return f"{words.fixed(seconds, 1)} s" if seconds >= _SHORTEST else f"< {words.fixed(0.1, 1)} s"


def _memory(count: float, words: Words) -> str:
    return f"{words.fixed(count / 2**30, 1)} GiB" if count >= 2**30 else f"{words.fixed(count / 2**20, 0)} MiB"


def best_cells(
    found: Mapping[Key, Estimate], keys: Sequence[Sequence[Key]], words: Words, oracle_name: str = ORACLE
) -> frozenset[tuple[int, int]]:
    """Cells (row, column + 1) whose value, as shown, is the highest of the column among the real models."""
    best: set[tuple[int, int]] = set()
    for column, cells in enumerate(zip(*keys, strict=True)):
        shown = {
            row: words.share(found[key].value)
            for row, key in enumerate(cells)
            if key in found and key[0] != oracle_name
        }
        if len(shown) > 1:
            best |= {(row, column + 1) for row, text in shown.items() if text == max(shown.values())}
    return frozenset(best)


def tie_note(ties: str, words: Words) -> str:
    rule = f", {words(f'{ties}_rule')}" if ties in TIE_RULES else ""
    return words("ties_note", ties=tie_name(ties, words), rule=rule)


def tie_name(ties: str, words: Words) -> str:
    return words(f"ties_{ties}") if ties in TIE_RULES else ties


def marked_note(best: object, words: Words) -> list[str]:
    return [words("marked_note")] if best else []


def mean_note(metrics: pd.DataFrame, words: Words) -> list[str]:
    """Which models' values are means over several seeds."""
    seeds = metrics[metrics["seed"].astype(str) != WHOLE].groupby("model", sort=False)["seed"].nunique()
    several = [f"{model} ({count})" for model, count in seeds.items() if count > 1]
    return [words("mean_note", models=words.listed(several))] if several else []


def missing_note(rows: Sequence[Sequence[str]], words: Words = ENGLISH) -> list[str]:
    gaps = any(words("missing") in row[1:] for row in rows)
    return [words("missing_note", missing=words("missing"))] if gaps else []


def interval_note(found: Mapping[Key, Estimate], confidence: float, words: Words) -> str:
    if any(estimate.has_interval for estimate in found.values()):
        return words("brackets_note", level=words.level(confidence))
    return words("no_intervals_note")


def model_notes(models: Sequence[str], oracle_name: str, not_applicable: Mapping[str, str], words: Words) -> list[str]:
    notes = [words("oracle_note", oracle=oracle_name)] if oracle_name in models else []
    return notes + [
        words("not_applicable", model=model, reason=words.phrase(reason)) for model, reason in not_applicable.items()
    ]
