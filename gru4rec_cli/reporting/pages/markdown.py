"""Pages as markdown: the same bytes for the same artifacts, so no timings and no dates of the run itself."""

from collections.abc import Sequence

from gru4rec_cli.reporting.figures.drawing import Figure
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
from gru4rec_cli.reporting.pages.report import Artifacts, summary_blocks
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.text.words import ENGLISH, Sentence, Words, page_file
from gru4rec_cli.reporting.text.words import escape_markdown as escape


def markdown_row(cells: Sequence[str]) -> str:
    """Return cells as a row of a markdown table."""
    return f"| {' | '.join(cells)} |"


def summary_markdown(artifacts: Artifacts, words: Words = ENGLISH, report: str = "report.md") -> str:
    """Return the summary alone, on one page; `report` is where the rest stands."""
    blocks = [block_markdown(block, words) for block in summary_blocks(artifacts, words)]
    pointer = words.say("whole_report", file=report)
    title = f"# {escape(words('summary_of', name=artifacts.name))}\n"
    return "\n".join([title, *blocks, pointer.markdown() + "\n"])


def sections_markdown(title: str, sections: Sequence[Section], words: Words, figure_folder: str = "figures") -> str:
    """Return sections below a title."""
    lines = [f"# {escape(title)}\n"]
    for section in sections:
        lines.append(f"## {escape(section.title)}\n")
        lines += [block_markdown(block, words, figure_folder) for block in section.blocks]
    return "\n".join(line for line in lines if line)


def block_markdown(block: Block, words: Words, figure_folder: str = "figures") -> str:
    """Return a block as markdown."""
    match block:
        case Sentences():
            return "".join(_sentence(sentence) for sentence in block.said)
        case Notice():
            return f"### {escape(block.title)}\n\n" + "".join(_sentence(sentence) for sentence in block.said)
        case Heading():
            return f"### {escape(block.text)}\n"
        case Link():
            place = f"#{_address(words(block.section))}" if block.section else ""
            return f"[{escape(block.text)}]({page_file(f'{block.stem}.md', words.language)}{place})\n"
        case Gap():
            return words("gap", what=block.what.markdown()) + "\n"
        case Table():
            return markdown(block, words)
        case Folded():
            return markdown(block.table, words)
        case Panels():
            return _figure(block.figure, figure_folder) if block.figure else ""
        case Picture():
            if block.figure is None:
                return words("gap", what=words.say("gap_figure", stem=block.stem).markdown()) + "\n"
            return _figure(block.figure, figure_folder)


def _address(heading: str) -> str:
    """Return the address of a heading of letters and blanks, as GitHub makes it."""
    return heading.lower().replace(" ", "-")


def markdown(table: Table, words: Words = ENGLISH) -> str:
    """Return the table as GitHub-flavoured markdown: title, rows with the marked cells in bold, notes as a list."""
    lines = [f"**{escape(table.title)}**", ""]
    if table.rows:
        lines.append(markdown_row([escape(name) for name in table.columns]))
        lines.append(markdown_row(["---:" if i in table.numeric else "---" for i in range(len(table.columns))]))
    else:
        lines.append(words("no_rows"))
    for row, cells in enumerate(table.rows):
        texts = [escape(cell) for cell in cells]
        lines.append(markdown_row([f"**{t}**" if (row, i) in table.best else t for i, t in enumerate(texts)]))
    if table.notes:
        lines += ["", *(f"- {escape(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def _sentence(sentence: Sentence, indent: str = "") -> str:
    below = "".join(_sentence(inner, f"{indent}  ") for inner in sentence.below)
    return f"{indent}- {sentence.markdown()}\n{below}"


def _figure(figure: Figure, folder: str) -> str:
    alt = escape(figure.alt.replace("[", "(").replace("]", ")"))  # a bracket would end it
    picture = f"{folder}/{figure.stem}"
    return f"![{alt}]({picture}.png)\n\n*{escape(figure.caption)}* ([SVG]({picture}.svg))\n"
