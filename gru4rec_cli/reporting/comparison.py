"""Several runs beside each other: which may stand in one table, and why others may not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gru4rec_cli.base.names import ITEMS_FILE, ORACLE, TEST_FILE, TRAIN_FILE
from gru4rec_cli.reporting.blocks import Block, Heading, Section, Sentences
from gru4rec_cli.reporting.estimates import METRIC_LABELS, WHOLE, Estimate, Key, metric_source
from gru4rec_cli.reporting.findings import Findings
from gru4rec_cli.reporting.tables import (
    Cell,
    Table,
    cost_cells,
    interval_note,
    marked_note,
    missing_note,
    model_label,
    tie_note,
    with_interval,
)
from gru4rec_cli.reporting.words import ENGLISH, Words

_DIGITS = 12  # of a hash: enough to tell two files apart

# Of the protocol: what may differ between runs that are compared. The rest says what was measured, and how.
_FREE = {"seed", "seeds", "resamples", "permutations", "test", "slices", "events", "sessions", "items"}


@dataclass(frozen=True)
class RunResults:
    """What is compared of one run; `hashes` are those of its split's files, `costs` what fitting took by model."""

    label: str
    path: str
    findings: Findings
    hashes: Mapping[str, str]
    costs: Mapping[str, Mapping[str, float]]
    machine: str = ""
    version: str = ""


@dataclass(frozen=True)
class Group:
    """Runs that may stand in one table, and what sets them apart from the first group's."""

    runs: tuple[RunResults, ...]
    reasons: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        return [run.label for run in self.runs]


def mismatches(first: RunResults, other: RunResults) -> tuple[str, ...]:
    """What keeps two runs from being compared: test set, items, protocol; each told with what it is in both."""
    found = []
    for file, what in ((TEST_FILE, "test set"), (ITEMS_FILE, "items")):
        digests = [run.hashes.get(file, "missing")[:_DIGITS] for run in (first, other)]
        if digests[0] != digests[1]:
            told = f"{digests[0]} in {first.label} and {digests[1]} in {other.label}"
            found.append(f"{what}: split/{file} is {told}")
    protocols = first.findings.protocol, other.findings.protocol
    for key in dict.fromkeys(key for protocol in protocols for key in protocol if key not in _FREE):
        one, two = (protocol.get(key) for protocol in protocols)
        if one != two:
            found.append(f"{key}: {ENGLISH.plain(one)} in {first.label} and {ENGLISH.plain(two)} in {other.label}")
    return tuple(found)


def grouped(runs: Sequence[RunResults]) -> list[Group]:
    """Runs put together where nothing keeps them apart, in the order given."""
    groups: list[Group] = []
    for run in runs:
        place = next((i for i, group in enumerate(groups) if not mismatches(group.runs[0], run)), None)
        if place is None:
            groups.append(Group((run,), mismatches(groups[0].runs[0], run) if groups else ()))
        else:
            groups[place] = Group((*groups[place].runs, run), groups[place].reasons)
    return groups


def runs_table(group: Group, words: Words = ENGLISH, heading: str = "") -> Table:
    """A row for every model of every run, the best first: metrics with intervals, seeds, and what fitting took."""
    findings = group.runs[0].findings
    entries = [(run, model) for run in group.runs for model in run.findings.order]
    entries.sort(key=lambda entry: (entry[1] != ORACLE, -_headline(*entry)))
    rows = tuple(_run_row(run, model, words) for run, model in entries)
    metrics = [f"{label}@{findings.cutoff}" for label in METRIC_LABELS.values()]
    best = _best(entries, words)
    found: dict[Key, Estimate] = {key: e for run in group.runs for key, e in run.findings.found.items()}
    notes = [interval_note(found, findings.confidence, words), tie_note(findings.ties, words), words("runs_untested")]
    notes += [*marked_note(best, words), *missing_note(rows, words), *_training_note(group, words)]
    notes += [words("costs_note_runs")]
    title = words("results_at", k=findings.cutoff)
    return Table(
        f"{heading}: {title}" if heading else title,
        (words("run"), words("model"), *metrics, words("seeds"), words("fit_time"), words("memory")),
        rows,
        best,
        numeric=frozenset(range(2, 8)),
        optional=frozenset({5, 6, 7}),
        notes=tuple(notes),
        source="RUN/evaluate/metrics.json, RUN/STAGE/MODEL/manifest.json",
    )


def _headline(run: RunResults, model: str) -> float:
    estimate = run.findings.found.get(run.findings.key(model))
    return estimate.value if estimate else -1.0


def _run_row(run: RunResults, model: str, words: Words) -> tuple[str, ...]:
    cells = []
    for metric in METRIC_LABELS:
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
    for column, metric in enumerate(METRIC_LABELS, start=2):
        shown = {}
        for row, (run, model) in enumerate(entries):
            estimate = run.findings.found.get(run.findings.key(model, metric))
            if estimate and model != ORACLE:
                shown[row] = words.share(estimate.value)
        if len(shown) > 1:
            best |= {(row, column) for row, text in shown.items() if text == max(shown.values())}
    return frozenset(best)


def _training_note(group: Group, words: Words) -> list[str]:
    """A model that learnt from other clicks may be better for that alone."""
    hashes = {run.hashes.get(TRAIN_FILE) for run in group.runs}
    return [words("runs_training_differs", runs=words.listed(group.labels))] if len(hashes) > 1 else []


def models_by_run(group: Group, words: Words = ENGLISH) -> Table:
    """The headline metric, a row a model, a column a run."""
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


def about_table(runs: Sequence[RunResults], words: Words = ENGLISH) -> Table:
    """Where the runs lie, what they were tested on, and which machine they ran on."""
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
    """Nothing where all runs stand together, else which runs this table is of."""
    return words("runs_group", number=number, runs=", ".join(groups[number - 1].labels)) if len(groups) > 1 else ""


def comparison_sections(groups: Sequence[Group], words: Words) -> list[Section]:
    """The page: a table a group, each saying what keeps it from the first; then what the runs are."""
    blocks: list[Block] = []
    if len(groups) == 1:
        blocks.append(Sentences((words.say("runs_same"),)))
    for number, group in enumerate(groups, start=1):
        heading = group_heading(groups, number, words)
        blocks += [Heading(heading)] if heading else []
        if group.reasons:
            blocks.append(Sentences(tuple(words.say("runs_apart", reason=reason) for reason in group.reasons)))
        blocks.append(runs_table(group, words))
        blocks += [models_by_run(group, words)] if len(group.runs) > 1 else []
    about = about_table([run for group in groups for run in group.runs], words)
    return [
        Section("results", words("results"), blocks),
        Section("runs", words("runs"), [about]),
    ]


def document(groups: Sequence[Group]) -> dict[str, Any]:
    """All of it for a script."""
    return {
        "comparable": len(groups) == 1,
        "groups": [
            {
                "runs": [
                    {
                        "run": run.label,
                        "path": run.path,
                        "test": run.hashes.get(TEST_FILE),
                        "items": run.hashes.get(ITEMS_FILE),
                        "protocol": dict(run.findings.protocol),
                        "costs": dict(run.costs),
                    }
                    for run in group.runs
                ],
                "differs": list(group.reasons),
                "metrics": [row for row in metric_rows(group.runs) if row["seed"] == WHOLE and row["slice"] == WHOLE],
            }
            for group in groups
        ],
    }


def metric_rows(runs: Sequence[RunResults]) -> list[dict[str, Any]]:
    """Every row of every run's metrics table, its run first."""
    return [{"run": run.label, **row} for run in runs for row in run.findings.document.get("metrics") or ()]
