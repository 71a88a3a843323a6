"""The report as sections, in the language of the reader and without markup; every page is made of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gru4rec_cli.base.names import COSTS
from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.reporting.figures.drawing import Figure
from gru4rec_cli.reporting.figures.panels import difference_panel, interval_panels, left_out
from gru4rec_cli.reporting.figures.study import curve_stem
from gru4rec_cli.reporting.figures.tuning import BEST, IMPORTANCE, SPACE
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.findings.search import Search
from gru4rec_cli.reporting.pages.about import (
    environment_blocks,
    model_blocks,
    protocol_sentences,
    provenance_blocks,
    split_settings,
)
from gru4rec_cli.reporting.pages.blocks import (
    Block,
    Folded,
    Gap,
    Heading,
    Link,
    Notice,
    Panels,
    Picture,
    Section,
    Sentences,
)
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.data import data_table, removals_table
from gru4rec_cli.reporting.tables.pairs import differences_table, from_best_table, matrix_table
from gru4rec_cli.reporting.tables.results import (
    all_cutoffs_table,
    every_seed_table,
    results_table,
    spread_table,
    ties_table,
)
from gru4rec_cli.reporting.tables.sensitivity import factors_table, flips_table
from gru4rec_cli.reporting.tables.slices import GROUPS, beyond_table, has_beyond, slice_names, slice_table
from gru4rec_cli.reporting.tables.training import training_table
from gru4rec_cli.reporting.tables.tuning import own_or_tuned_table, search_table
from gru4rec_cli.reporting.text.division import leak_sentences
from gru4rec_cli.reporting.text.sentences import pair_sentences, sensitivity_sentences
from gru4rec_cli.reporting.text.summary import caveats, summary_sentences
from gru4rec_cli.reporting.text.tuning import tuned_sentence, tuning_sentences
from gru4rec_cli.reporting.text.warned import Warned, warning_sentences
from gru4rec_cli.reporting.text.words import ENGLISH, Words
from gru4rec_cli.reporting.text.worth import worth_sentences

COSTS_PAGE = f"{COSTS}/{COSTS}"  # its stem, from the report
_MOST_OPEN = 12  # rows of a list of details that stands open


@dataclass(frozen=True)
class Artifacts:
    """Data that a report is made from; if something is missing, the report names the gap.

    `warned` holds the warnings by stage, `search` a search for settings, where there was one;
    `provenance` holds `run`, `id`, `inputs` (stage: {artifact: hash}) and `versions` (package: version).
    """

    name: str
    metrics_json: Mapping[str, Any]
    statistics: Mapping[str, Any]
    fits: Mapping[str, Mapping[str, Any]]
    figures: Sequence[Figure]
    provenance: Mapping[str, Any]
    warned: Warned = field(default_factory=dict)
    search: Search | None = None

    @cached_property
    def findings(self) -> Findings:
        return Findings(self.metrics_json)

    def picture(self, stem: str) -> Picture:
        """Return the figure of this stem as a block."""
        return Picture(stem, next((figure for figure in self.figures if figure.stem == stem), None))


def report_sections(artifacts: Artifacts, words: Words = ENGLISH) -> list[Section]:
    """Return the sections of the report, most important first."""
    findings = artifacts.findings
    parts: list[tuple[str, Iterable[Block]]] = [
        ("summary", summary_blocks(artifacts, words)),
        ("results", _results(artifacts, words)),
        ("pairs", _pairs(findings, words)),
        ("curves", [artifacts.picture(curve_stem(metric)) for metric in METRICS]),
        ("seeds_section", _seeds(findings, words)),
        ("ties", _ties(findings, words)),
        ("sensitivity", _sensitivity(artifacts, words)),
        ("slices", _slices(findings, words)),
        ("beyond", [beyond_table(findings, words)] if has_beyond(findings) else [Gap(words.say("gap_beyond"))]),
        *([("tuning", _tuning(artifacts, artifacts.search, words))] if artifacts.search else []),
        ("training", _training(artifacts, words)),
        ("data", _data(artifacts, words)),
        ("protocol_section", [Sentences(tuple(protocol_sentences(findings.protocol, words)))]),
        ("models_section", model_blocks(findings.models, findings.not_applicable, words)),
        ("environment", environment_blocks(artifacts.provenance, words)),
        ("provenance", provenance_blocks(artifacts.provenance, words)),
    ]
    return [Section(key.removesuffix("_section"), words(key), list(blocks)) for key, blocks in parts]


def summary_blocks(artifacts: Artifacts, words: Words) -> list[Block]:
    """Return the summary: warnings, the best model, whether a trained one is worth it, the table of results,
    caveats."""
    return [*warning_blocks(artifacts.warned, words), *_main_results(artifacts, words)]


def warning_blocks(warned: Warned, words: Words) -> list[Block]:
    """Return the warnings of a run's stages, where there are some."""
    said = warning_sentences(warned, words)
    return [Notice(words("warnings"), tuple(said))] if said else []


def _main_results(artifacts: Artifacts, words: Words) -> list[Block]:
    findings = artifacts.findings
    if not findings.found:
        return [Gap(words.say("gap_metrics"))]
    said = summary_sentences(findings, words)
    if not said:
        return [Gap(words.say("gap_headline", metric=findings.label))]
    limits = caveats(findings, artifacts.statistics, words)
    leaks, worth = leak_sentences(artifacts.statistics, words), worth_sentences(findings, words)
    answer: list[Block] = [Heading(words("worth")), Sentences(tuple(worth))] if worth else []
    return [
        Sentences((*leaks, *said)),
        *answer,
        *_tuned(artifacts.search, words),
        Link(words("costs_link"), COSTS_PAGE),
        results_table(findings, words),
        Heading(words("caveats")),
        Sentences(tuple(limits)),
    ]


def _tuned(search: Search | None, words: Words) -> list[Block]:
    """Return that settings were searched for, and where to read of it."""
    if search is None:
        return []
    return [Sentences((tuned_sentence(search, words),)), Link(words("tuning_link"), "report", section="tuning")]


def paper_tables(artifacts: Artifacts, words: Words) -> dict[str, Table]:
    """Return the tables that a paper would take over, by file name."""
    findings = artifacts.findings
    tables = {"results": results_table(findings, words), "pairs": from_best_table(findings, words)}
    if artifacts.search:
        tables["tuning"] = search_table(artifacts.search, words)
    return {name: table for name, table in tables.items() if table.rows}


def _results(artifacts: Artifacts, words: Words) -> list[Block]:
    findings = artifacts.findings
    if not findings.found:
        return [Gap(words.say("gap_metrics"))]
    level = words.level(findings.confidence)
    caption = [words("intervals_caption", level=level)]
    caption += [words("seed_ticks")] if findings.several_seeds else []
    caption += [left_out(findings, words)]
    return [
        Panels(
            interval_panels(findings, words), " ".join(filter(None, caption)), artifacts.picture("intervals").figure
        ),
        all_cutoffs_table(findings, words),
    ]


def _pairs(findings: Findings, words: Words) -> list[Block]:
    if findings.differences is None:
        return [Gap(words.say("gap_differences"))]
    blocks: list[Block] = []
    said = pair_sentences(findings, words)
    if said:
        blocks.append(Sentences((*said, words.say("yardstick"))))
    panel = difference_panel(findings, words)
    if panel:
        caption = words("difference_caption", level=words.level(findings.confidence))
        blocks.append(Panels((panel,), " ".join(filter(None, (caption, left_out(findings, words))))))
    return [*blocks, matrix_table(findings, words), Folded(differences_table(findings, words))]


def _seeds(findings: Findings, words: Words) -> list[Block]:
    if not findings.found:
        return [Gap(words.say("gap_metrics"))]
    if not findings.several_seeds:
        return [Sentences((words.say("one_seed", source="evaluate/metrics.json › protocol.seeds"),))]
    return [
        Sentences((words.say("seeds_explained"),)),
        spread_table(findings, words),
        every_seed_table(findings, words),
    ]


def _ties(findings: Findings, words: Words) -> list[Block]:
    if not findings.found:
        return [Gap(words.say("gap_metrics"))]
    return [ties_table(findings, words)]


def _sensitivity(artifacts: Artifacts, words: Words) -> list[Block]:
    findings = artifacts.findings
    if "sensitivity" not in findings.document:
        return [Gap(words.say("gap_sensitivity"))]
    if not findings.document["sensitivity"]:
        return [Sentences((words.say("no_sensitivity"),))]
    flips = flips_table(findings, words)
    tables: list[Table] = [factors_table(findings, metric, words) for metric in METRICS]
    return [
        Sentences((words.say("sensitivity_explained"), *sensitivity_sentences(findings, words))),
        artifacts.picture("sensitivity"),
        *(table for table in tables if table.rows),
        Folded(flips) if len(flips.rows) > _MOST_OPEN else flips,
    ]


def _slices(findings: Findings, words: Words) -> list[Block]:
    groups = [group for group in GROUPS if slice_names(findings, group)]
    missing = [Gap(words.say("gap_slices", group=words(f"group_{group}"))) for group in GROUPS if group not in groups]
    return [*(slice_table(findings, group, words) for group in groups), *missing]


def _tuning(artifacts: Artifacts, search: Search, words: Words) -> list[Block]:
    """Return the budgets, the search, what it is worth on the test part, and where the best points are."""
    worth = own_or_tuned_table(search, artifacts.findings, words)
    return [
        Sentences(tuple(tuning_sentences(search, artifacts.findings, words))),
        search_table(search, words),
        worth if worth.rows else Sentences((words.say("no_default_rows"),)),
        *(artifacts.picture(stem) for stem in (BEST, IMPORTANCE, SPACE)),
        Link(words("tuning_costs_link"), COSTS_PAGE),
    ]


def _training(artifacts: Artifacts, words: Words) -> list[Block]:
    """Return the curves, then first and last loss of every model, and what else fitting found out."""
    curved = any(fit.get("curve") for fit in artifacts.fits.values())
    curves = artifacts.picture("training_curve") if curved else Gap(words.say("gap_curves"))
    fitting = training_table(artifacts.fits, artifacts.findings.models, words)
    return [curves, fitting] if fitting.rows else [curves]


def _data(artifacts: Artifacts, words: Words) -> list[Block]:
    removals = removals_table(artifacts.statistics, words)
    nothing = Sentences((words.say("nothing_removed", removals.source),))
    known = "removals" in artifacts.statistics
    return [
        data_table(artifacts.statistics, words),
        split_settings(artifacts.statistics.get("settings"), words),
        Heading(words("removed")),
        removals if removals.rows or not known else nothing,
        artifacts.picture("session_lengths"),
        artifacts.picture("item_popularity"),
    ]
