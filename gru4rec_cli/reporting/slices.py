"""Where a model is good: metrics by position, by session length, by popularity; and what its lists are like."""

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.reporting.estimates import METRICS_SOURCE, WHOLE, Estimate, Key, estimates, metric_source
from gru4rec_cli.reporting.findings import HEADLINE, Findings
from gru4rec_cli.reporting.tables import Cell, Table, best_cells, interval_cell, marked_note, missing_note, model_label
from gru4rec_cli.reporting.words import Words

GROUPS = ("position", "length", "target")
BEYOND = ("coverage", "popularity_rank", "repeats")
_ANY = "any"  # tie rule of metrics that know none


def slice_names(findings: Findings, group: str) -> list[str]:
    """The slices of a group, such as `position=1`, in table order."""
    if "slice" not in findings.frame.columns:
        return []
    names = dict.fromkeys(map(str, findings.frame["slice"]))
    return [name for name in names if name.startswith(f"{group}=")]


def slice_table(findings: Findings, group: str, words: Words) -> Table:
    """The headline metric on every slice of a group, a column a slice."""
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
    """`position=3-5` as `3–5`, `target=head` as a word."""
    value = name.partition("=")[2]
    return words(f"slice_{value}") if value in ("head", "torso", "tail") else value.replace("-", "–")


def _event_notes(findings: Findings, slices: dict[str, dict[Key, Estimate]], words: Words) -> list[str]:
    """How many events each slice holds, where the artifacts tell."""
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
    return any(key[1] in BEYOND for key in findings.found)


def beyond_table(findings: Findings, words: Words) -> Table:
    """Coverage, popularity and repeats of the lists at the largest cutoff; no column has a best."""
    cutoff = max((key[2] for key in findings.found if key[1] in BEYOND), default=findings.cutoff)
    rows = tuple(
        (
            model_label(model, words),
            *(_beyond_cell(findings, (model, metric, cutoff, _ANY), words) for metric in BEYOND),
        )
        for model in findings.order
        if model != ORACLE or any((model, metric, cutoff, _ANY) in findings.found for metric in BEYOND)
    )
    return Table(
        words("beyond_title", k=cutoff),
        (words("model"), *(words(metric) for metric in BEYOND)),
        rows,
        numeric=frozenset(range(1, 1 + len(BEYOND))),
        notes=(*(words(f"{metric}_note") for metric in BEYOND), *missing_note(rows, words)),
        source=METRICS_SOURCE,
    )


def _beyond_cell(findings: Findings, key: Key, words: Words) -> str:
    estimate = findings.found.get(key)
    if estimate is None:
        return words("missing")
    source = metric_source(key, seed=WHOLE)
    return Cell(words.percent(estimate.value), value=estimate.value, source=source)
