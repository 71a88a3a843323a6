"""What another seed would have given: the spread over fits, which is not the interval over events."""

from gru4rec_cli.reporting.estimates import METRIC_LABELS, METRICS_SOURCE, metric_source
from gru4rec_cli.reporting.findings import Findings
from gru4rec_cli.reporting.tables import Cell, Table, missing_note, with_interval
from gru4rec_cli.reporting.words import Words


def spread_table(findings: Findings, words: Words) -> Table:
    """Lowest and highest value over the seeds, a column a metric, for the models that were fitted with several."""
    rows = tuple(
        (model, str(len(findings.seeds(model))), *(_spread(findings, model, metric, words) for metric in METRIC_LABELS))
        for model in findings.several_seeds
    )
    return Table(
        words("spread_title", k=findings.cutoff),
        (words("model"), words("seeds"), *(f"{label}@{findings.cutoff}" for label in METRIC_LABELS.values())),
        rows,
        numeric=frozenset(range(1, 2 + len(METRIC_LABELS))),
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
    """The headline metric of every seed, beside the mean with its interval over events."""
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
