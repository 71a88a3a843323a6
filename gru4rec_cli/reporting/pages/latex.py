"""Tables as LaTeX, for a paper: `\\input` them; they need the package booktabs and nothing else."""

import re
from collections.abc import Sequence

from gru4rec_cli.reporting.tables import Table

# What LaTeX reads as its own, and signs that pdfLaTeX has no letter for.
_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"{{{sign}}}" for sign in "[]*-"},  # after the end of a row, or as a dash, they would be read as commands
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≈": r"$\approx$",
    "↔": r"$\leftrightarrow$",
    "\u00a0": "~",
    "\u202f": r"\,",
}
_ANY_SPECIAL = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex_escape(text: str) -> str:
    """Return `text` such that LaTeX shows it as it is, on one line."""
    line = " ".join("".join(c if c.isprintable() or c in _SPECIAL else " " for c in text).split(" "))
    return _ANY_SPECIAL.sub(lambda sign: _SPECIAL[sign[0]], line)


def latex_page(tables: Sequence[Table]) -> str:
    """Return tables as LaTeX, one after the other, below a line on what they need."""
    return "\n".join([r"% Made by gru4rec-study. Needs \usepackage{booktabs}.", *map(_latex_table, tables)])


def _latex_table(table: Table) -> str:
    """Return a table as a float: numbers to the right, the marked cells bold, notes below it."""
    rows = [
        [_cell(text, column in table.numeric, (row, column) in table.best) for column, text in enumerate(cells)]
        for row, cells in enumerate(table.rows)
    ]
    columns = "".join("r" if column in table.numeric else "l" for column in range(len(table.columns)))
    notes = [f"  {latex_escape(note)}\\par" for note in table.notes]
    lines = [
        f"% {latex_escape(table.source)}",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{latex_escape(table.title)}}}",
        f"  \\begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join(map(latex_escape, table.columns))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(cells)} \\\\" for cells in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        *([r"  \par\smallskip\footnotesize\raggedright", *notes] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str, numeric: bool, best: bool) -> str:
    """Return a cell; of a marked one, the value is bold and its interval is not."""
    main, bracket, interval = text.partition(" [") if numeric else (text, "", "")
    shown = f"\\textbf{{{latex_escape(main)}}}" if best else latex_escape(main)
    return shown + latex_escape(bracket + interval)
