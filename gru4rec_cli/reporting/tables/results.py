"""The tables of results: by metric, by cutoff, by tie rule, by seed."""

from gru4rec_cli.evaluation.metrics import HEADLINE, METRICS, TIE_RULES
from gru4rec_cli.reporting.findings.run import (
    METRICS_SOURCE,
    Findings,
    metric_label,
    metric_source,
)
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import (
    best_cells,
    default_note,
    few_note,
    improving_note,
    interval_cell,
    interval_note,
    marked_note,
    mean_note,
    missing_note,
    model_notes,
    number_cell,
    predictions_note,
    refit_note,
    tie_note,
)
from gru4rec_cli.reporting.text.division import division_notes
from gru4rec_cli.reporting.text.phrases import model_label, tie_name, with_interval
from gru4rec_cli.reporting.text.words import ENGLISH, Words


def results_table(findings: Findings, words: Words = ENGLISH) -> Table:
    """Return every metric of every model at the largest cutoff with its interval.

    With one blank between columns and a mark before the best, 80 characters hold names of up to 17.
    """
    found, models, not_applicable = findings.found, findings.order, findings.not_applicable
    keys = [[findings.key(model, metric) for metric in METRICS] for model in models]
    rows = [
        [model_label(model, words), *(interval_cell(found.get(key), key, words) for key in row)]
        for model, row in zip(models, keys, strict=True)
    ]
    rows += [[model_label(model, words), *(words("n/a") for _ in METRICS)] for model in not_applicable]
    columns = [words("model"), *(metric_label(metric, findings.cutoff) for metric in METRICS)]
    best = best_cells(found, keys, words)
    notes = [interval_note(found, findings.confidence, words), tie_note(findings.ties, words)]
    notes += [
        *marked_note(best, words),
        *few_note(found.values(), words),
        *mean_note(findings, words),
        *missing_note(rows, words),
    ]
    return Table(
        words("results_at", k=findings.cutoff),
        tuple(columns),
        tuple(map(tuple, rows)),
        best,
        numeric=frozenset(range(1, len(columns))),
        notes=(
            *division_notes(findings.division, words),
            *default_note(findings, words),
            *improving_note(findings.models, words),
            *refit_note(findings.models, words),
            *notes,
            *model_notes(models, not_applicable, words),
            *predictions_note(findings.models, words),
        ),
        source=METRICS_SOURCE,
    )


def all_cutoffs_table(findings: Findings, words: Words = ENGLISH) -> Table:
    """Return every metric at every cutoff, without intervals: a block of rows a metric, a column a cutoff."""
    found = findings.found
    cutoffs = sorted({key[2] for key in found})
    rows: list[tuple[str, ...]] = []
    best: set[tuple[int, int]] = set()
    for metric in METRICS.values():
        keys = [[(model, metric.name, k, findings.ties) for k in cutoffs] for model in findings.order]
        best |= {(row + len(rows), column + 1) for row, column in best_cells(found, keys, words)}
        rows += [
            (metric.label, model_label(row[0][0], words), *(number_cell(found.get(key), key, words) for key in row))
            for row in keys
            if row
        ]
    columns = (words("metric"), words("model"), *(f"K = {k}" for k in cutoffs))
    notes = [tie_note(findings.ties, words), *marked_note(best, words), *few_note(found.values(), words)]
    notes += missing_note(rows, words)
    return Table(
        words("all_cutoffs"),
        columns,
        tuple(rows),
        frozenset(best),
        numeric=frozenset(range(2, len(columns))),
        notes=(*notes, *model_notes(findings.order, findings.not_applicable, words)),
        source=METRICS_SOURCE,
    )


def ties_table(findings: Findings, words: Words = ENGLISH) -> Table:
    """Return the headline metric under the three tie rules: shows which models profit from equal scores."""
    found = findings.found
    keys = [[(model, HEADLINE, findings.cutoff, rule) for rule in TIE_RULES] for model in findings.order]
    rows = []
    for model, row in zip(findings.order, keys, strict=True):
        lowest, highest = found.get(row[0]), found.get(row[-1])
        gap = words("missing")
        if lowest and highest:
            value = highest.value - lowest.value
            gap = Cell(words.signed(value), value=value, source=metric_source(row[-1]))
        rows.append((model_label(model, words), *(number_cell(found.get(key), key, words) for key in row), gap))
    best = best_cells(found, keys, words)
    notes = [
        *(f"{tie_name(rule, words).capitalize()}: {words(f'{rule}_rule')}." for rule in TIE_RULES),
        words("gap_note"),
        *marked_note(best, words),
        *few_note(found.values(), words),
        *missing_note(rows, words),
    ]
    return Table(
        words("by_tie_rule", metric=findings.label),
        (words("model"), *(tie_name(rule, words).capitalize() for rule in TIE_RULES), words("tie_gap")),
        tuple(rows),
        best,
        numeric=frozenset(range(1, 2 + len(TIE_RULES))),
        notes=tuple(notes),
        source=METRICS_SOURCE,
    )


def spread_table(findings: Findings, words: Words) -> Table:
    """Return lowest and highest value over the seeds, a column a metric, for the models that were fitted with
    several."""
    rows = tuple(
        (model, str(len(findings.seeds(model))), *(_spread(findings, model, metric, words) for metric in METRICS))
        for model in findings.several_seeds
    )
    return Table(
        words("spread_title", k=findings.cutoff),
        (words("model"), words("seeds"), *(metric_label(metric, findings.cutoff) for metric in METRICS)),
        rows,
        numeric=frozenset(range(1, 2 + len(METRICS))),
        notes=(words("spread_note"), *missing_note(rows, words)),
        source=METRICS_SOURCE,
    )


def _spread(findings: Findings, model: str, metric: str, words: Words) -> str:
    values = findings.by_seed(model, metric).values()
    if not values:
        return words("missing")
    low, high = min(values), max(values)
    source = metric_source(findings.key(model, metric), seed="*")
    return Cell(f"{words.share(low)} … {words.share(high)}", value=high - low, source=source)


def every_seed_table(findings: Findings, words: Words) -> Table:
    """Return the headline metric of every seed, beside the mean with its interval over events."""
    seeds = list(dict.fromkeys(seed for model in findings.several_seeds for seed in findings.seeds(model)))
    rows = []
    for model in findings.several_seeds:
        key, values = findings.key(model), findings.by_seed(model)
        mean = findings.found.get(key)
        shown = [
            Cell(words.share(values[seed]), value=values[seed], source=metric_source(key, seed=seed))
            if seed in values
            else "–"
            for seed in seeds
        ]
        told = words("missing")
        if mean is not None:
            told = Cell(with_interval(mean, words), value=mean.value, source=metric_source(key))
        rows.append((model, told, *shown))
    return Table(
        words("every_seed_title", metric=findings.label),
        (words("model"), words("mean_events"), *(words("seed_column", seed=seed) for seed in seeds)),
        tuple(rows),
        numeric=frozenset(range(1, 2 + len(seeds))),
        notes=(words("every_seed_note", level=words.level(findings.confidence)), *missing_note(rows, words)),
        source=METRICS_SOURCE,
    )
