"""Metrics by position, by session length and by popularity, and what the lists of a model are like."""

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.evaluation.lists import COVERAGE, LIST_METRICS
from gru4rec_cli.evaluation.metrics import HEADLINE
from gru4rec_cli.evaluation.session_values import ANY
from gru4rec_cli.evaluation.slices import TARGETS
from gru4rec_cli.evaluation.summary import ALL_SEEDS
from gru4rec_cli.reporting.findings.run import METRICS_SOURCE, Estimate, Findings, Key, estimates, metric_source
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import (
    best_cells,
    few_note,
    interval_cell,
    marked_note,
    missing_note,
    predictions_note,
)
from gru4rec_cli.reporting.text.phrases import model_label
from gru4rec_cli.reporting.text.words import Words

GROUPS = ("position", "length", "target")
BEYOND = (COVERAGE, *LIST_METRICS)


def slice_names(findings: Findings, group: str) -> list[str]:
    """Return the slices of a group, such as `position=1`, in table order."""
    if "slice" not in findings.frame.columns:
        return []
    names = dict.fromkeys(map(str, findings.frame["slice"]))
    return [name for name in names if name.startswith(f"{group}=")]


def slice_table(findings: Findings, group: str, words: Words) -> Table:
    """Return the headline metric on every slice of a group, a column a slice."""
    slices = {name: estimates(findings.frame, slice_name=name) for name in slice_names(findings, group)}
    rows = tuple(
        (
            model_label(model, words),
            *(
                interval_cell(found.get(findings.key(model)), findings.key(model), words, s)
                for s, found in slices.items()
            ),
        )
        for model in findings.order
    )
    best: set[tuple[int, int]] = set()
    for column, found in enumerate(slices.values()):
        keys = [[findings.key(model)] for model in findings.order]
        best |= {(row, column + 1) for row, _ in best_cells(found, keys, words)}
    columns = [slice_label(name, words) for name in slices]
    notes = [words(f"slice_{group}_note"), *_event_notes(findings, slices, words)]
    notes += few_note((estimate for found in slices.values() for estimate in found.values()), words)
    return Table(
        words(f"slice_{group}", metric=findings.label),
        (words("model"), *columns),
        rows,
        frozenset(best),
        numeric=frozenset(range(1, len(columns) + 1)),
        notes=(*notes, *marked_note(best, words), *missing_note(rows, words)),
        source=METRICS_SOURCE,
    )


def slice_label(name: str, words: Words) -> str:
    """Return the label of a slice: `position=3-5` as `3–5`, `target=head` as a word."""
    value = name.partition("=")[2]
    return words(f"slice_{value}") if value in TARGETS else value.replace("-", "–")


def _event_notes(findings: Findings, slices: dict[str, dict[Key, Estimate]], words: Words) -> list[str]:
    """Return how many events each slice holds, where the artifacts tell."""
    counts = {}
    for name, found in slices.items():
        events = {e.events for key, e in found.items() if key[1] == HEADLINE and e.events is not None}
        if len(events) == 1:
            counts[name] = events.pop()
    if not counts:
        return []
    told = "; ".join(f"{slice_label(name, words)}: {words.count(events)}" for name, events in counts.items())
    return [words("slice_events", counts=told)]


def has_beyond(findings: Findings) -> bool:
    """Return whether the run measured its lists."""
    return any(key[1] in BEYOND for key in findings.found)


def beyond_table(findings: Findings, words: Words) -> Table:
    """Return coverage, popularity and repeats of the lists at the largest cutoff; no column has a best."""
    cutoff = max((key[2] for key in findings.found if key[1] in BEYOND), default=findings.cutoff)
    rows = tuple(
        (
            model_label(model, words),
            *(_beyond_cell(findings, (model, metric, cutoff, ANY), words) for metric in BEYOND),
        )
        for model in findings.order
        if model != ORACLE or any((model, metric, cutoff, ANY) in findings.found for metric in BEYOND)
    )
    return Table(
        words("beyond_title", k=cutoff),
        (words("model"), *(words(metric) for metric in BEYOND)),
        rows,
        numeric=frozenset(range(1, 1 + len(BEYOND))),
        notes=(
            *(words(f"{metric}_note") for metric in BEYOND),
            *missing_note(rows, words),
            *predictions_note(findings.models, words),
        ),
        source=METRICS_SOURCE,
    )


def _beyond_cell(findings: Findings, key: Key, words: Words) -> str:
    estimate = findings.found.get(key)
    if estimate is None:
        return words("missing")
    source = metric_source(key, seed=ALL_SEEDS)
    return Cell(words.percent(estimate.value), value=estimate.value, source=source)
