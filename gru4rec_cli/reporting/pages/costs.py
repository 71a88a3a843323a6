"""What a run took, as a page of its own: it differs from run to run, and the report does not."""

from collections.abc import Mapping, Sequence
from typing import Any

from gru4rec_cli.reporting.figures.drawing import Figure
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.findings.search import Search
from gru4rec_cli.reporting.pages.blocks import Block, Heading, Link, Picture, Section, Sentences
from gru4rec_cli.reporting.tables.costs import costs_table
from gru4rec_cli.reporting.tables.tuning import search_time_table
from gru4rec_cli.reporting.text.words import Words
from gru4rec_cli.reporting.text.worth import cost_ratio


def costs_sections(
    findings: Findings,
    costs: Mapping[str, Mapping[str, Any]],
    figure: Figure | None,
    words: Words,
    tuning: Sequence[Block] = (),
) -> list[Section]:
    """Return how much longer the best trained model took than the best baseline, the table, and the figure; then what
    a search took, as `search_time_blocks` gives it."""
    ratio = cost_ratio(findings, costs, words)
    blocks: list[Block] = [
        Sentences((words.say("costs_differ"), *([ratio] if ratio else []))),
        costs_table(findings, costs, words),
        *([Picture(figure.stem, figure)] if figure else []),
        *tuning,
        Link(words("report_link"), "../report"),
    ]
    return [Section("costs", words("accuracy_and_costs"), blocks)]


def search_time_blocks(
    search: Search, seconds: Mapping[str, Sequence[float]], figure: Figure, words: Words
) -> list[Block]:
    """Return how long the trials of every tuned model took, and what they reached by then."""
    return [Heading(words("tuning")), search_time_table(search, seconds, words), Picture(figure.stem, figure)]
