"""Several windows of one log: each model's mean over them, the spread, and what every window gave."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gru4rec_cli.base.names import METRICS_FILE, ORACLE
from gru4rec_cli.evaluation.metrics import HEADLINE, METRICS
from gru4rec_cli.evaluation.slices import WHOLE
from gru4rec_cli.reporting.figures.panels import Panel, Whisker, what_is_far
from gru4rec_cli.reporting.findings.run import Estimate, Findings, Key, contenders, is_near, metric_source, model_order
from gru4rec_cli.reporting.pages.about import provenance_blocks
from gru4rec_cli.reporting.pages.blocks import Block, Panels, Section, Sentences
from gru4rec_cli.reporting.pages.html import page_html
from gru4rec_cli.reporting.pages.markdown import sections_markdown
from gru4rec_cli.reporting.pages.report import warning_blocks
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import best_cells, few_note, marked_note, missing_note, tie_note
from gru4rec_cli.reporting.text.phrases import model_label
from gru4rec_cli.reporting.text.warned import Warned
from gru4rec_cli.reporting.text.words import ENGLISH, Words, page_file, words_of

JOINT = "joint"  # the stage over all windows, and its folder
JOINT_SOURCE = f"{JOINT}/{METRICS_FILE}"
_COUNTS = {
    "train_sessions": ("train", "sessions"),
    "train_events": ("train", "events"),
    "test_sessions": ("test", "sessions"),
    "test_events": ("test", "events"),
}


@dataclass(frozen=True)
class WindowFindings:
    """The metrics of one window, and the folder of its run in the run directory."""

    path: str
    findings: Findings


@dataclass(frozen=True)
class JointFindings:
    """The contents of `joint/metrics.json`, beside the metrics of every window."""

    document: Mapping[str, Any]
    windows: Sequence[WindowFindings]
    warned: Warned = field(default_factory=dict)  # by stage, with its path in the run directory

    @property
    def first(self) -> Findings:
        """The findings of the first window, whose ties, cutoffs and confidence are those of all."""
        return self.windows[0].findings

    @cached_property
    def rows(self) -> dict[Key, Mapping[str, Any]]:
        """Rows over all events, by key."""
        rows = (row for row in self.document["metrics"] if row["slice"] == WHOLE)
        return {(row["model"], row["metric"], row["k"], row["ties"]): row for row in rows}

    @cached_property
    def means(self) -> dict[Key, Estimate]:
        """The means as estimates without intervals."""
        return {key: Estimate(row["mean"], math.nan, math.nan) for key, row in self.rows.items()}

    @property
    def bound(self) -> float | None:
        """The mean headline of the oracle."""
        found = self.means.get(self.first.key(ORACLE))
        return found.value if found else None

    @cached_property
    def ranked(self) -> dict[str, float]:
        """The mean headline of the models proper, the best first."""
        keys = {model: self.first.key(model) for model in self.order if model != ORACLE}
        return {model: self.means[key].value for model, key in keys.items() if key in self.means}

    @cached_property
    def order(self) -> list[str]:
        """The oracle, then the models by their mean headline, the best first."""
        return model_order(self.means, ties=self.first.ties, cutoff=self.first.cutoff)

    def values(self, model: str, metric: str = HEADLINE) -> list[Estimate | None]:
        """Return the estimate of every window, None where a model has none there."""
        return [window.findings.found.get(window.findings.key(model, metric)) for window in self.windows]


def joint_table(joint: JointFindings, words: Words = ENGLISH) -> Table:
    """Return mean and standard deviation over windows of every metric at the largest cutoff, a row a model."""
    first = joint.first
    keys = [[first.key(model, metric) for metric in METRICS] for model in joint.order]
    rows = tuple(
        (
            model_label(model, words),
            *(_mean_cell(joint.rows.get(key), key, words) for key in row),
            words.count(max((joint.rows[key]["windows"] for key in row if key in joint.rows), default=0)),
        )
        for model, row in zip(joint.order, keys, strict=True)
    )
    best = best_cells(joint.means, keys, words)
    notes = [words("windows_note", count=len(joint.windows)), tie_note(first.ties, words)]
    notes += [*marked_note(best, words), *missing_note(rows, words)]
    for number, window in enumerate(joint.windows, start=1):
        for model, reason in window.findings.not_applicable.items():
            told = words("not_applicable", model=model, reason=words.phrase(reason))
            notes.append(words("window_says", number=number, told=told))
    return Table(
        words("windows_title", count=len(joint.windows), k=first.cutoff),
        (words("model"), *(first.metric_label(metric, first.cutoff) for metric in METRICS), words("windows")),
        rows,
        best,
        numeric=frozenset(range(1, 2 + len(METRICS))),
        notes=tuple(notes),
        source=JOINT_SOURCE,
    )


def _mean_cell(row: Mapping[str, Any] | None, key: Key, words: Words) -> str:
    if row is None:
        return words("missing")
    return Cell(_with_spread(row, words), value=row["mean"], source=_joint_source(key))


def _with_spread(row: Mapping[str, Any], words: Words) -> str:
    """Mean and spread, on one line wherever they stand."""
    return words.share(row["mean"]) + ("" if row["sd"] is None else f"\u00a0±\u00a0{words.share(row['sd'])}")


def _joint_source(key: Key) -> str:
    fields = zip(("model", "metric", "k", "ties", "slice"), (*key, WHOLE), strict=True)
    return f"{JOINT_SOURCE} › metrics[{', '.join(f'{name}={value}' for name, value in fields)}]"


def by_window_table(joint: JointFindings, words: Words = ENGLISH) -> Table:
    """Return the headline metric, a row a model, a column a window."""
    keys = [joint.first.key(model) for model in joint.order]
    rows = tuple(
        (
            model_label(key[0], words),
            *(
                "–"
                if found is None
                else Cell(words.share(found.value), value=found.value, source=f"{window.path}/{metric_source(key)}")
                for window, found in zip(joint.windows, joint.values(key[0]), strict=True)
            ),
        )
        for key in keys
    )
    best = {
        (row, column + shift)
        for shift, window in enumerate(joint.windows)
        for row, column in best_cells(window.findings.found, [[key] for key in keys], words)
    }
    few = next(filter(None, (few_note(window.findings.found.values(), words) for window in joint.windows)), [])
    return Table(
        words("by_window", metric=joint.first.label),
        (words("model"), *(str(number) for number in range(1, 1 + len(joint.windows)))),
        rows,
        frozenset(best),
        numeric=frozenset(range(1, 1 + len(joint.windows))),
        notes=(*marked_note(best, words), *few),
        source=f"windows/*/{metric_source(joint.first.key('*'))}",
    )


def windows_table(joint: JointFindings, words: Words = ENGLISH) -> Table:
    """Return when each window begins and ends, what was made of it, and where its run is."""
    rows = []
    for place, window in enumerate(joint.document["windows"]):
        source = f"{JOINT_SOURCE} › windows[{place}]"
        counts = [
            Cell(words.count(window[part][count]), value=window[part][count], source=f"{source}.{part}.{count}")
            for part, count in _COUNTS.values()
        ]
        items = Cell(words.count(window["items"]), value=window["items"], source=f"{source}.items")
        span = (window[end][:16].replace("T", " ") for end in ("start", "end"))
        rows.append((str(window["window"]), *span, *counts, items, window["run"]))
    columns = ("window", "window_from", "window_to", *_COUNTS)
    return Table(
        words("windows_made"),
        tuple(words(column) for column in (*columns, "items_column", "directory")),
        tuple(rows),
        numeric=frozenset(range(3, 8)),
        optional=frozenset({2, 4, 6, 7}),
        notes=(words("windows_span"),),
        source=JOINT_SOURCE,
    )


def joint_tables(joint: JointFindings, words: Words = ENGLISH) -> list[Table]:
    """Return the tables that the terminal shows."""
    return [joint_table(joint, words), by_window_table(joint, words), windows_table(joint, words)]


def joint_pages(
    joint: JointFindings, provenance: Mapping[str, Any], title: str, languages: Sequence[str]
) -> dict[str, str]:
    """Return the pages by their file names, HTML and markdown in every language.

    `provenance` holds `run`, `id` and `inputs`, as that of a report.
    """
    pages: dict[str, str] = {}
    for language in dict.fromkeys(languages):
        words = words_of(language)
        sections = joint_sections(joint, provenance, words)
        others = [(other, page_file("report.html", other)) for other in dict.fromkeys(languages) if other != language]
        pages[page_file("report.html", language)] = page_html(
            title, sections, words, drawings={}, identity=provenance["id"], others=others
        )
        pages[page_file("report.md", language)] = sections_markdown(title, sections, words)
    return pages


def joint_sections(joint: JointFindings, provenance: Mapping[str, Any], words: Words) -> list[Section]:
    """Return the sections of the page; `provenance` as in `joint_pages`."""
    caption = words("windows_caption"), what_is_far(joint.ranked, joint.bound, words)
    results: list[Block] = [
        *warning_blocks(joint.warned, words),
        Sentences(tuple(_summary(joint, words))),
        joint_table(joint, words),
        Panels(tuple(_panel(joint, metric, words) for metric in METRICS), " ".join(filter(None, caption))),
    ]
    return [
        Section("results", words("results"), results),
        Section("windows", words("windows"), [by_window_table(joint, words), windows_table(joint, words)]),
        Section("provenance", words("provenance"), provenance_blocks(provenance, words)),
    ]


def _summary(joint: JointFindings, words: Words) -> list[Any]:
    """Return sentences: which model is the best on average, in how many windows, and where the reports are."""
    sentences = []
    best = next((model for model in joint.order if model != ORACLE), None)
    key = joint.first.key(best) if best else None
    if best and key in joint.rows:
        won = [next(iter(window.findings.ranked), None) for window in joint.windows].count(best)
        value = _with_spread(joint.rows[key], words)
        told = {"metric": joint.first.label, "model": best, "value": value, "won": won, "count": len(joint.windows)}
        sentences.append(words.say("windows_best", _joint_source(key), **told))
    return [*sentences, words.say("windows_reports", path=f"windows/K-of-{len(joint.windows)}/report")]


def _panel(joint: JointFindings, metric: str, words: Words) -> Panel:
    rows = []
    bound = [ORACLE] if joint.bound is not None and is_near(joint.bound, joint.ranked) else []
    shown = [*bound, *contenders(joint.ranked)]
    for model in joint.order:
        key = joint.first.key(model, metric)
        row = joint.rows.get(key)
        if row is not None and model in shown:
            spread = math.nan if row["sd"] is None else row["sd"]
            single = tuple(found.value for found in joint.values(model, metric) if found)
            rows.append(
                Whisker(
                    model_label(model, words),
                    row["mean"],
                    row["mean"] - spread,
                    row["mean"] + spread,
                    _with_spread(row, words),
                    _joint_source(key),
                    single,
                    bound=model == ORACLE,
                )
            )
    return Panel(joint.first.metric_label(metric, joint.first.cutoff), tuple(rows))
