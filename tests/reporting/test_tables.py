import math
from typing import Any

import pandas as pd
import pytest

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.markdown import markdown
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.data import data_table, removals_table
from gru4rec_cli.reporting.tables.pairs import turned
from gru4rec_cli.reporting.tables.results import all_cutoffs_table, results_table, ties_table
from gru4rec_cli.reporting.text.words import ENGLISH, escape_markdown

COLUMNS = ["model", "seed", "metric", "k", "ties", "slice", "value", "low", "high", "events"]
SUMMARY = {
    "events": 100000,
    "sessions": 20000,
    "items": 2000,
    "first_time": "2020-01-01T00:00:00Z",
    "last_time": "2020-02-01T12:30:59.5Z",
    "prefixes": 80_000,
    "mean_session_length": 5.0,
    "median_session_length": 4.5,
    "max_session_length": 33,
}


def row(
    model: str,
    metric: str,
    k: int,
    value: float,
    *,
    ties: str = "conservative",
    seed: str = "all",
    part: str = "all",
    low: float = math.nan,
    high: float = math.nan,
) -> tuple[Any, ...]:
    return (model, seed, metric, k, ties, part, value, low, high, 100)


def frame(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


def study() -> pd.DataFrame:
    """Markov beats GRU4Rec in MRR alone; the oracle beats both; other seeds, slices and tie rules stand by."""
    return frame(
        row("markov", "recall", 20, 0.43214, low=0.43006, high=0.4342),
        row("markov", "mrr", 20, 0.25, low=0.24, high=0.26),
        row("markov", "ndcg", 20, 0.3, low=0.29, high=0.31),
        row("gru4rec", "recall", 20, 0.5, low=0.49, high=0.51),
        row("gru4rec", "mrr", 20, 0.2, low=0.19, high=0.21),
        row("gru4rec", "ndcg", 20, 0.35, low=0.34, high=0.36),
        row("oracle", "recall", 20, 0.6, low=0.59, high=0.61),
        row("oracle", "mrr", 20, 0.4, low=0.39, high=0.41),
        row("oracle", "ndcg", 20, 0.45, low=0.44, high=0.46),
        row("markov", "recall", 20, 0.99, seed="42"),
        row("markov", "recall", 20, 0.98, part="position 1"),
        row("markov", "recall", 20, 0.97, ties="optimistic"),
        row("markov", "recall", 5, 0.1),
        row("gru4rec", "recall", 5, 0.2),
    )


def findings(metrics: pd.DataFrame, *, confidence: float = 0.95, **document: Any) -> Findings:
    protocol = {"ties": "conservative", "cutoffs": [20], "confidence": confidence}
    return Findings({"metrics": metrics.to_dict("records"), "protocol": protocol, **document})


def results(metrics: pd.DataFrame, **changes: Any) -> Table:
    return results_table(findings(metrics, **changes))


def test_models_stand_by_recall_below_the_labelled_bound():
    table = results(study())
    assert table.columns == ("Model", "Recall@20", "MRR@20", "NDCG@20")
    assert table.rows == (
        ("oracle (bound)", ".6000 [.5900–.6100]", ".4000 [.3900–.4100]", ".4500 [.4400–.4600]"),
        ("gru4rec", ".5000 [.4900–.5100]", ".2000 [.1900–.2100]", ".3500 [.3400–.3600]"),
        ("markov", ".4321 [.4301–.4342]", ".2500 [.2400–.2600]", ".3000 [.2900–.3100]"),
    )


def test_the_best_model_of_each_metric_is_marked_and_never_the_oracle():
    assert results(study()).best == {(1, 1), (2, 2), (1, 3)}


def test_values_that_look_the_same_are_marked_alike_and_keep_their_order():
    metrics = frame(row("a", "recall", 20, 0.30001), row("b", "recall", 20, 0.3), row("c", "recall", 20, 0.3))
    table = results(metrics)
    assert [cells[0] for cells in table.rows] == ["a", "b", "c"]
    assert table.best == {(0, 1), (1, 1), (2, 1)}


def test_one_model_alone_is_not_marked():
    table = results(frame(row("a", "recall", 20, 0.3)))
    assert table.best == frozenset()
    assert not any(note.startswith("Marked") for note in table.notes)


def test_notes_explain_interval_ties_mark_and_bound():
    assert results(study(), confidence=0.9).notes == (
        "Brackets: 90 % interval, bootstrap over sessions.",
        "Ties: conservative, rank = greater + equal + 1: items with the same score as the target count as better.",
        "Marked (bold): the highest value of the models, as shown, without the oracle.",
        "oracle: the Bayes-optimal ranking of the synthetic process; it is a bound, not a model.",
    )


def test_a_row_that_does_not_apply_comes_last_with_its_reason():
    metrics = study()
    table = results(metrics[metrics.model != "oracle"], not_applicable={"oracle": "cleaning changed the events"})
    assert table.rows[-1] == ("oracle (bound)", "n/a", "n/a", "n/a")
    assert table.notes[-1] == "oracle: not applicable: cleaning changed the events"


def test_a_missing_value_and_missing_intervals_are_named():
    table = results(frame(row("a", "recall", 20, 0.3), row("a", "mrr", 20, math.nan)))
    assert table.rows == (("a", ".3000", "missing", "missing"),)
    assert "missing: not available in the artifacts of this run." in table.notes
    assert table.notes[0] == "Intervals: not available, because the metrics have none."


def test_the_results_fit_the_terminal():
    metrics = study().replace({"model": {"markov": "seventeen-letters"}})
    table = results(metrics)
    cells = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(table.columns))]
    marks = 3
    assert sum(widths) + marks + len(widths) - 1 <= 80


def test_all_cutoffs_stand_in_a_block_a_metric_ordered_by_recall_at_the_largest():
    metrics = frame(
        row("a", "recall", 5, 0.2),
        row("b", "recall", 5, 0.1),
        row("a", "recall", 20, 0.3),
        row("b", "recall", 20, 0.4),
        row("a", "mrr", 5, 0.15),
        row("b", "mrr", 5, 0.05),
        row("a", "mrr", 20, 0.16),
        row("b", "mrr", 20, 0.17),
    )
    table = all_cutoffs_table(findings(metrics))
    assert table.columns == ("Metric", "Model", "K = 5", "K = 20")
    assert table.rows == (
        ("Recall", "b", ".1000", ".4000"),
        ("Recall", "a", ".2000", ".3000"),
        ("MRR", "b", ".0500", ".1700"),
        ("MRR", "a", ".1500", ".1600"),
        ("NDCG", "b", "missing", "missing"),
        ("NDCG", "a", "missing", "missing"),
    )
    assert table.best == {(0, 3), (1, 2), (2, 3), (3, 2)}


def test_the_ties_table_shows_who_profits_from_equal_scores():
    rules = ("conservative", "median", "optimistic")
    rows = [row("flat", "recall", 20, value, ties=ties) for ties, value in zip(rules, (0, 0.5, 1), strict=True)]
    rows += [row("sharp", "recall", 20, 0.4, ties=ties) for ties in rules]
    table = ties_table(findings(frame(*rows)))
    assert table.columns == ("Model", "Conservative", "Median", "Optimistic", "Gap")
    assert table.rows == (
        ("sharp", ".4000", ".4000", ".4000", ".0000"),
        ("flat", ".0000", ".5000", "1.000", "+1.000"),
    )
    assert table.best == {(0, 1), (1, 2), (1, 3)}


def test_a_tie_rule_without_values_leaves_a_gap():
    table = ties_table(findings(frame(row("a", "recall", 20, 0.4))))
    assert table.rows == (("a", ".4000", "missing", "missing", "missing"),)


def test_a_table_without_the_agreed_columns_is_an_error_that_says_which():
    with pytest.raises(StageError, match="the metrics table lacks ties, slice"):
        results(study().drop(columns=["ties", "slice"]))


def test_the_data_table_shows_what_was_read_and_every_part():
    table = data_table({"input": {"log": SUMMARY}, "parts": {"train": {**SUMMARY, "events": 9}, "valid": None}})
    span = ("2020-01-01 00:00", "2020-02-01 12:30")
    assert table.rows == (
        ("read: log", "20,000", "100,000", "2,000", "80,000", "5.00", "4.50", "33", *span),
        ("train", "20,000", "9", "2,000", "80,000", "5.00", "4.50", "33", *span),
    )


def test_the_data_table_tells_cuts_unseen_items_and_overlap():
    statistics: dict[str, Any] = {
        "input": {"log": SUMMARY},
        "parts": {"train": SUMMARY, "valid": None, "test": SUMMARY},
        "cuts": {"valid": None, "test": {"time": "2020-01-31T00:00:00Z", "microseconds": 1}},
        "unseen": {"valid": None, "test": {"events": 1200, "sessions": 9, "items": 30, "rule": "drop"}},
        "overlap": {"train_events_at_or_after_first_test_event": 0, "of_sessions": 0},
    }
    assert data_table(statistics).notes == (
        "Length: clicks in a session.",
        "Median and max: of the length. First and last: times of clicks, UTC.",
        "Prefixes: clicks but the first of each session; papers count training and test examples like this.",
        "The test part begins at 2020-01-31T00:00:00Z.",
        "Not in the training data: 1,200 events of 30 items of the test part, dropped.",
        "Training events at or after the first test event: 0.",
    )
    statistics["unseen"]["test"]["rule"] = "miss"
    assert (
        "Not in the training data: 1,200 events of 30 items of the test part, kept as misses."
        in data_table(statistics).notes
    )


def test_what_the_statistics_lack_is_named():
    table = data_table({"parts": {"train": {"sessions": 3, "events": 9}}})
    assert table.rows == (("train", "3", "9", *["missing"] * 7),)
    assert table.notes[3:] == (
        "The test part begins at a time that is not available.",
        "Training events at or after the first test event: missing.",
        "summary of the input: not available.",
        "missing: not available in the artifacts of this run.",
    )


def test_removals_keep_their_order_and_reasons():
    removals = [
        {"step": "repeats", "reason": "same item again", "events": 1200, "sessions": 0, "items": 0},
        {"step": "short", "reason": "one click"},
    ]
    assert removals_table({"removals": removals}).rows == (
        ("repeats", "same item again", "1,200", "0", "0"),
        ("short", "one click", "missing", "missing", "missing"),
    )


def test_rules_that_removed_nothing_make_no_table():
    rule = {"step": "cleaning", "reason": "immediate repeat", "events": 0, "sessions": 0, "items": 0}
    read = {"log": {"removals": [{**rule, "events": 3, "sessions": None, "items": 1}]}}
    nothing = removals_table({"removals": [rule, rule], "reading": {"log": {"removals": []}}})
    assert (nothing.rows, nothing.notes) == ((), ("Nothing was removed.",))
    some = removals_table({"removals": [rule], "reading": read})
    assert [row[2:] for row in some.rows] == [("3", "–", "1"), ("0", "0", "0")]
    assert some.notes[0].startswith("A session or item is counted")
    assert some.notes[1].startswith("–: not counted, because sessions are made after this step")


def test_no_removal_and_no_record_of_removals_are_told_apart():
    assert removals_table({"removals": []}).notes == ("Nothing was removed.",)
    assert removals_table({}).notes == ("Removals: not available.",)


def test_markdown_aligns_numbers_and_prints_the_best_in_bold():
    table = Table(
        "T", ("Model", "R"), (("a", ".1"), ("b", ".2")), frozenset({(1, 1)}), frozenset({1}), notes=("a note",)
    )
    assert markdown(table) == "**T**\n\n| Model | R |\n| --- | ---: |\n| a | .1 |\n| b | **.2** |\n\n- a note\n"


def test_markdown_without_rows_says_so():
    assert markdown(Table("T", ("A",), ())) == "**T**\n\nnot available: there are no rows.\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("`rm`", "\\`rm\\`"),
        ("two\nlines\r\n\tand more", "two lines and more"),
        ("right\u202eleft", "right left"),
        ("*a* ~b~ $c$ \\d &lt;", "\\*a\\* \\~b\\~ \\$c\\$ \\\\d &amp;lt;"),
        ("_a_ snake_case a__b", "\\_a\\_ snake_case a\\_\\_b"),
        ("![x](http://y)", "![x]\\(http://y)"),
        (".4 [.3–.5]", ".4 [.3–.5]"),
    ],
)
def test_data_cannot_become_markup(text, escaped):
    assert escape_markdown(text) == escaped


def test_a_hostile_model_name_stays_in_its_cell():
    page = markdown(results(frame(row("a|b\n| c | <script>`", "recall", 20, 0.1))))
    assert "| a\\|b \\| c \\| &lt;script&gt;\\` | .1000 | missing | missing |" in page.splitlines()


@pytest.mark.parametrize(("value", "text"), [(0.43214, ".4321"), (0.0, ".0000"), (1.0, "1.000"), (0.99996, "1.000")])
def test_shares_take_five_characters(value, text):
    assert ENGLISH.share(value) == text


def test_a_pair_the_other_way_round_has_the_other_relative_difference():
    """.25 against .2 is a quarter more; .2 against .25 a fifth less."""
    pair = {"first": "a", "second": "b", "value": 0.05, "low": 0.01, "high": 0.09, "relative": 0.25}
    turned_pair = turned(pair, "b")
    assert turned_pair["relative"] == pytest.approx(-0.2)
    assert (turned_pair["value"], turned_pair["low"], turned_pair["high"]) == (-0.05, -0.09, -0.01)
    assert turned(turned_pair, "a")["relative"] == pytest.approx(0.25)
    assert turned({**pair, "relative": None}, "b")["relative"] is None
