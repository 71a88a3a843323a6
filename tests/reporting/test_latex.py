"""Tables for a paper: nothing in a name is a command, the marked value is bold, and LaTeX takes them as they are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.latex import latex_escape, latex_page
from gru4rec_cli.reporting.pages.report import Artifacts, paper_tables
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.pairs import from_best_table
from gru4rec_cli.reporting.text.words import ENGLISH, words_of
from tests.reporting.rich import metrics_json

HOSTILE = r"_&%#~^\${}<>|[*]--`'\end{table}"
PDFLATEX = shutil.which("pdflatex")


def tables(language: str = "en", **renamed: str) -> dict[str, Table]:
    return paper_tables(Artifacts("demo", metrics_json(**renamed), {}, {}, [], {}), words_of(language))


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("session_knn & 95 %", r"session\_knn \& 95 \%"),
        ("a#b$c{d}", r"a\#b\$c\{d\}"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("−.0100 [.1–.2] ≤ ×2", "$-$.0100 {[}.1--.2{]} $\\le$ $\\times$2"),
        ("a--b", "a{-}{-}b"),  # no dash
        ("two\nlines\x00", "two lines "),
        ("12\u202f345\u00a0%", r"12\,345~\%"),
    ],
)
def test_a_text_stays_what_it_is(text: str, latex: str):
    assert latex_escape(text) == latex


def test_a_table_has_rules_columns_the_best_in_bold_and_notes():
    table = Table(
        "Results at K = 20",
        ("Model", "Recall@20"),
        (("sr_2", ".4000 [.3900–.4100]"), ("ar", ".3000 [.2900–.3100]")),
        best=frozenset({(0, 1)}),
        numeric=frozenset({1}),
        notes=("Brackets: 95 % interval.",),
        source="evaluate/metrics.json",
    )
    assert latex_page([table]).splitlines() == [
        r"% Made by gru4rec-study. Needs \usepackage{booktabs}.",
        "% evaluate/metrics.json",
        r"\begin{table}",
        r"  \centering",
        r"  \caption{Results at K = 20}",
        r"  \begin{tabular}{lr}",
        r"    \toprule",
        r"    Model & Recall@20 \\",
        r"    \midrule",
        r"    sr\_2 & \textbf{.4000} {[}.3900--.4100{]} \\",
        r"    ar & .3000 {[}.2900--.3100{]} \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"  \par\smallskip\footnotesize\raggedright",
        r"  Brackets: 95 \% interval.\par",
        r"\end{table}",
    ]


def test_pairs_are_the_best_against_every_other_whichever_stands_first():
    document = metrics_json()
    best, second = list(Findings(document).ranked)[:2]
    for entry in document["differences"]:
        if entry["metric"] == "recall" and {entry["first"], entry["second"]} == {best, second}:
            turned = {"first": second, "second": best, "value": -entry["value"], "low": -entry["high"]}
            turned |= {"high": -entry["low"], "relative": -0.5}
            expected = ENGLISH.signed_interval(entry["low"], entry["high"])
            entry.update(turned)
    table = from_best_table(Findings(document), ENGLISH)
    assert [row[0] for row in table.rows] == list(Findings(document).ranked)[1:]
    in_headline = [row for row in table.rows if row[0] == second]
    assert [(row[2], row[3]) for row in in_headline] == [("100.0 %", expected)]  # the second is 50 % below the best


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_brace_and_environment_is_closed_whatever_a_model_is_named(language: str):
    for table in tables(language, knn=HOSTILE).values():
        page = latex_page([table])
        bare = re.sub(r"\\[{}]", "", page)
        assert bare.count("{") == bare.count("}")
        assert re.findall(r"\\end\{(\w+)\}", page) == ["tabular", "table"]
        rows = page.split("\\midrule\n")[1].split("    \\bottomrule")[0].splitlines()
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.columns) - 1}


@pytest.mark.skipif(PDFLATEX is None, reason="no pdflatex on this machine: the tables are not compiled")
@pytest.mark.parametrize("language", ["en", "es"])
def test_latex_takes_the_tables_as_they_are(tmp_path: Path, language: str):
    (tmp_path / "tables.tex").write_text(latex_page([*tables(language, knn=HOSTILE).values()]), encoding="utf-8")
    page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{tables}\\end{document}"
    (tmp_path / "page.tex").write_text(page, encoding="utf-8")
    command = [str(PDFLATEX), "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "page.pdf").exists()
