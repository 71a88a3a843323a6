"""The page on several runs."""

from collections.abc import Sequence

from gru4rec_cli.reporting.pages.blocks import Block, Folded, Heading, Section, Sentences
from gru4rec_cli.reporting.tables.comparison import about_table, between_runs, group_heading, models_by_run, runs_table
from gru4rec_cli.reporting.text.comparison import Group
from gru4rec_cli.reporting.text.words import Words


def comparison_sections(groups: Sequence[Group], words: Words) -> list[Section]:
    """Return the sections of the page: a table a group, each with what keeps it from the first; then the runs."""
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
        if group.differences:
            blocks += [between_runs(group, words), Folded(between_runs(group, words, all_of_them=True))]
    about = about_table([run for group in groups for run in group.runs], words)
    return [
        Section("results", words("results"), blocks),
        Section("runs", words("runs"), [about]),
    ]
