"""Tables in terminals of several widths: no word is cut, and what is left out is named (screen and page)."""

import io

import pytest
from rich.console import Console

from gru4rec_cli.commands import console
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.data import data_table
from gru4rec_cli.reporting.tables.pairs import differences_table
from gru4rec_cli.reporting.text.words import ENGLISH

RESULTS = Table(
    "T",
    ("Model", "Recall@20", "Fit time", "Peak RSS"),
    (("markov", ".3", "0.1 s", "9 MiB"),),
    optional=frozenset({2, 3}),
    notes=("Ties count.", "On fits."),
    optional_notes=frozenset({"On fits."}),
)


def shown(monkeypatch: pytest.MonkeyPatch, table: Table, width: int) -> list[str]:
    """Return the lines of a table in a terminal of this width."""
    out = io.StringIO()
    monkeypatch.setattr(console, "_console", lambda: Console(file=out, width=width))
    console.show_table(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize(("width", "there"), [(80, True), (20, False)])
def test_columns_that_are_left_out_are_named_and_their_notes_go_with_them(monkeypatch, width: int, there: bool):
    lines = " ".join(shown(monkeypatch, RESULTS, width))
    assert ("0.1 s" in lines) is there
    assert ("On fits." in lines) is there
    assert "Ties count." in lines
    left_out = "Not shown in 20 columns: Fit time, Peak RSS. A wider terminal shows them, and so does --json."
    assert (left_out in lines) is not there


def compared(models: tuple[str, str]) -> Table:
    entry: dict[str, object] = {
        "first": models[0],
        "second": models[1],
        "metric": "recall",
        "k": 20,
        "value": 0.01,
        "relative": 0.02,
    }
    entry |= {"low": 0.001, "high": 0.02, "p": 0.01, "p_holm": 0.03, "distinguishable": True}
    return differences_table(Findings({"protocol": {"permutations": 10_000}, "differences": [entry]}), ENGLISH)


@pytest.mark.parametrize("width", [40, 60, 70, 80, 100, 160])
def test_no_word_of_a_table_of_differences_is_cut(monkeypatch: pytest.MonkeyPatch, width: int):
    """The table is too wide for 80 columns: words were broken, such as "signific" and "ant"."""
    table = compared(("first run: gru4rec", "second run: session_popularity"))
    words = {word for line in shown(monkeypatch, table, width) for word in line.split()}
    expected = {word for cell in (*table.columns, *table.rows[0]) for word in cell.split()}
    assert expected <= words


def test_a_word_that_is_wider_than_the_terminal_is_in_a_block_of_its_row(monkeypatch: pytest.MonkeyPatch):
    """37 characters do not fit beside others into 30; the row becomes a block, the path goes on in the next line."""
    path = "runs/" + "a" * 27 + "/x.md"
    lines = shown(monkeypatch, Table("V", ("part", "finding"), (("x", path), ("y", "whole"))), 30)
    assert lines[1].split() == ["part", "x"]
    assert "".join(line.removeprefix("finding").strip() for line in lines[2:4]) == path
    assert [line.split() for line in lines[4:]] == [[], ["part", "y"], ["finding", "whole"]]


def test_without_a_terminal_every_column_is_shown_in_one_line_a_row(capsys: pytest.CaptureFixture[str]):
    console._console.cache_clear()
    console.show_table(Table("W", ("a", "b"), (("x y " * 200, "1"),), optional=frozenset({1}), notes=("n " * 300,)))
    console._console.cache_clear()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5  # title, heading, line, row, note
    assert lines[3].split() == ["x", "y"] * 200 + ["1"]


@pytest.mark.parametrize("width", [80, 160])
def test_notes_of_the_table_of_data_explain_only_what_is_shown(monkeypatch: pytest.MonkeyPatch, width: int):
    part: dict[str, object] = {"sessions": 1_200_000, "events": 23_000_000, "items": 52_739, "prefixes": 21_800_000}
    part |= {"mean_session_length": 3.5, "median_session_length": 2.0, "max_session_length": 200}
    part |= {"first_time": "2024-01-01T00:00:00", "last_time": "2024-02-01T00:00:00"}
    lines = " ".join(shown(monkeypatch, data_table({"parts": {"train": part, "test": part}}), width))
    for told, column in (
        ("Median and max: of the length.", "Median"),
        ("First and last: times of clicks", "2024-01-01"),
    ):
        assert (told in lines) is (column in lines.split("Length: clicks")[0])
    assert ("Not shown in 80 columns: Median, Max, First, Last." in lines) is (width == 80)


def test_a_huge_relative_difference_is_a_ratio():
    """.5411 against .001 is 540.1 times more; +54,010 % would not be read as that."""
    assert ENGLISH.relative(0.5411 / 0.001 - 1) == "×541"
    assert ENGLISH.relative(9.99) == "999.0 %"
    assert ENGLISH.relative(-0.998) == "−99.8 %"
