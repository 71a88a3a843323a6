"""Several runs beside each other."""

from collections.abc import Sequence
from dataclasses import replace

from gru4rec_cli.base.names import ORACLE, TEST_FILE, TRAIN_FILE
from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.reporting.findings.run import Estimate, Findings, Key, metric_label, metric_source
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import (
    cost_cells,
    few_note,
    has_few_events,
    interval_note,
    marked_note,
    missing_note,
    refit_note,
    tie_note,
)
from gru4rec_cli.reporting.tables.pairs import differences_table
from gru4rec_cli.reporting.text.comparison import Group, RunResults
from gru4rec_cli.reporting.text.phrases import model_label, with_interval
from gru4rec_cli.reporting.text.words import ENGLISH, Words
from gru4rec_cli.reporting.text.worth import cost_ratio

_RANKS = "RUN/evaluate/ranks/*.parquet"


def runs_table(group: Group, words: Words = ENGLISH, heading: str = "") -> Table:
    """Return a row for every model of every run, the best first: metrics with intervals, seeds, and what fitting
    took."""
    findings = group.runs[0].findings
    entries = [(run, model) for run in group.runs for model in run.findings.order]
    entries.sort(key=lambda entry: (entry[1] != ORACLE, -_headline(*entry)))
    rows = tuple(_run_row(run, model, words) for run, model in entries)
    metrics = [metric_label(metric, findings.cutoff) for metric in METRICS]
    columns = (words("run"), words("model"), *metrics, words("seeds"), words("fit_time"), words("memory"))
    best = _best(entries, words)
    found: dict[Key, Estimate] = {key: e for run in group.runs for key, e in run.findings.found.items()}
    notes = [
        interval_note(found, findings.confidence, words),
        tie_note(findings.ties, words),
        words("runs_tested" if group.differences else "runs_untested"),
    ]
    notes += [
        *marked_note(best, words),
        *few_note(found.values(), words),
        *missing_note(rows, words),
        *_training_note(group, words),
        *_budget_note(group, words),
    ]
    notes += [words("costs_note_runs"), *_refit_notes(group, words), *_worth_notes(group, words)]
    notes += _warning_notes(group, words)
    title = words("results_at", k=findings.cutoff)
    return Table(
        f"{heading}: {title}" if heading else title,
        columns,
        rows,
        best,
        numeric=frozenset(range(2, len(columns))),
        optional=frozenset(range(2 + len(METRICS), len(columns))),
        optional_notes=frozenset({words("costs_note_runs")}),
        notes=tuple(notes),
        source="RUN/evaluate/metrics.json, RUN/STAGE/MODEL/manifest.json",
    )


def _headline(run: RunResults, model: str) -> float:
    estimate = run.findings.found.get(run.findings.key(model))
    return estimate.value if estimate else -1.0


def _run_row(run: RunResults, model: str, words: Words) -> tuple[str, ...]:
    cells = []
    for metric in METRICS:
        key = run.findings.key(model, metric)
        estimate = run.findings.found.get(key)
        source = f"{run.path}/{metric_source(key)}"
        shown = with_interval(estimate, words) if estimate else words("missing")
        cells.append(Cell(shown, value=estimate.value if estimate else None, source=source))
    random = model != ORACLE and run.findings.models.get(model, {}).get("random", True)
    seeds = ", ".join(run.findings.seeds(model)) if random else "–"
    return (run.label, model_label(model, words), *cells, seeds or "–", *cost_cells(run.costs.get(model), words))


def _best(entries: Sequence[tuple[RunResults, str]], words: Words) -> frozenset[tuple[int, int]]:
    best: set[tuple[int, int]] = set()
    for column, metric in enumerate(METRICS, start=2):
        shown = {}
        for row, (run, model) in enumerate(entries):
            estimate = run.findings.found.get(run.findings.key(model, metric))
            if estimate and model != ORACLE and not has_few_events(estimate):
                shown[row] = words.share(estimate.value)
        if len(shown) > 1:
            best |= {(row, column) for row, text in shown.items() if text == max(shown.values())}
    return frozenset(best)


def _training_note(group: Group, words: Words) -> list[str]:
    """Return a note where the training data differ: a model that learnt from other clicks may be better for that
    alone."""
    hashes = {run.hashes.get(TRAIN_FILE) for run in group.runs}
    return [words("runs_training_differs", runs=words.listed(group.labels))] if len(hashes) > 1 else []


def _budget_note(group: Group, words: Words) -> list[str]:
    """Return a note where the runs searched for settings with different budgets: more trials make a model better."""
    budgets = {run.label: sorted(set(run.trials.values())) for run in group.runs}
    if len({tuple(found) for found in budgets.values()}) == 1:
        return []
    told = []
    for label, found in budgets.items():
        trials = words.listed([f"{count:,}" for count in found] or ["0"])
        told.append(words("run_says", run=label, told=words("trials_of_run", trials=trials)))
    return [words("runs_budgets_differ", told=" ".join(told))]


def _refit_notes(group: Group, words: Words) -> list[str]:
    """Return which models of which runs were fitted again on more sessions, and which runs have none such."""
    told = {run.label: refit_note(run.findings.models, words) for run in group.runs}
    notes = [words("run_says", run=label, told=note) for label, found in told.items() for note in found]
    others = [label for label, found in told.items() if not found]
    return [*notes, words("runs_not_refit", runs=words.enumerated(others))] if notes and others else notes


def _worth_notes(group: Group, words: Words) -> list[str]:
    """Return what the best trained model of every run costs and brings beside the best baseline."""
    ratios = {run.label: cost_ratio(run.findings, run.costs, words) for run in group.runs}
    return [words("run_says", run=label, told=ratio.plain()) for label, ratio in ratios.items() if ratio is not None]


def _warning_notes(group: Group, words: Words) -> list[str]:
    """Return which warnings the stages of every run gave."""
    ids = {run.label: {w["id"]: None for warnings in run.warned.values() for w in warnings} for run in group.runs}
    return [words("run_warned", run=label, ids=", ".join(found)) for label, found in ids.items() if found]


def models_by_run(group: Group, words: Words = ENGLISH) -> Table:
    """Return the headline metric, a row a model, a column a run."""
    models = list(dict.fromkeys(model for run in group.runs for model in run.findings.order))
    rows = []
    for model in models:
        cells = []
        for run in group.runs:
            key = run.findings.key(model)
            estimate = run.findings.found.get(key)
            source = f"{run.path}/{metric_source(key)}"
            cells.append(Cell(words.share(estimate.value), value=estimate.value, source=source) if estimate else "–")
        rows.append((model_label(model, words), *cells))
    return Table(
        words("runs_wide", metric=group.runs[0].findings.label),
        (words("model"), *group.labels),
        tuple(rows),
        numeric=frozenset(range(1, 1 + len(group.runs))),
        source="RUN/evaluate/metrics.json",
    )


def between_runs(group: Group, words: Words = ENGLISH, *, all_of_them: bool = False) -> Table:
    """Return the differences between models of different runs: those that are most asked for, or all of them."""
    protocol = {**group.runs[0].findings.protocol, **group.tested_with}
    tested = Findings({"protocol": protocol, "differences": list(group.differences)})
    table = differences_table(tested, words, None if all_of_them else group.most_asked())
    cells = tuple(
        tuple(Cell(str(c), value=getattr(c, "value", None), source=_RANKS) for c in row) for row in table.rows
    )
    notes = (
        *table.notes,
        words("runs_family", pairs=words.count(len({(r["first"], r["second"]) for r in group.differences}))),
        *_numbers_notes(group, words),
    )
    title = words("runs_all_pairs" if all_of_them else "runs_pairs")
    return replace(table, title=title, rows=cells, notes=notes, source=_RANKS)


def _numbers_notes(group: Group, words: Words) -> list[str]:
    """Return with which numbers of resamples and exchanges the runs were tested, where they have different ones."""
    notes = []
    for name in ("permutations", "resamples"):
        values = [run.findings.protocol.get(name) for run in group.runs]
        if len(set(values)) > 1:
            told = words.enumerated([words.plain(value) for value in values])
            chosen = words.plain(group.tested_with[name])
            notes.append(words("runs_numbers", key=f"evaluate.{name}", values=told, chosen=chosen))
    return notes


def about_table(runs: Sequence[RunResults], words: Words = ENGLISH) -> Table:
    """Return where the runs lie, what they were tested on, and which machine they ran on."""
    rows = tuple(
        (
            run.label,
            run.path,
            words.plain(run.findings.protocol.get("events")),
            run.hashes.get(TEST_FILE, words("missing")),
            run.version or words("missing"),
            run.machine or words("missing"),
        )
        for run in runs
    )
    columns = ("run", "directory", "runs_events", "runs_test", "version", "runs_machine")
    return Table(
        words("runs_about"),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({2}),
        notes=tuple(missing_note(rows, words)),
        source="RUN/STAGE/manifest.json",
    )


def group_heading(groups: Sequence[Group], number: int, words: Words) -> str:
    """Return which runs a table is of; nothing where all runs are in one table."""
    return words("runs_group", number=number, runs=", ".join(groups[number - 1].labels)) if len(groups) > 1 else ""
