"""What the sections say of metrics small enough to follow by hand."""

import math
from typing import Any

import pytest

from gru4rec_cli.reporting.figures.panels import difference_panel, interval_panel, interval_panels, left_out
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.markdown import summary_markdown
from gru4rec_cli.reporting.pages.report import Artifacts, report_sections
from gru4rec_cli.reporting.tables import Cell
from gru4rec_cli.reporting.tables.pairs import differences_table, matrix_table
from gru4rec_cli.reporting.tables.results import every_seed_table, spread_table
from gru4rec_cli.reporting.tables.sensitivity import factors_table, flips_table
from gru4rec_cli.reporting.tables.slices import beyond_table, slice_table
from gru4rec_cli.reporting.text.sentences import pair_sentences, sensitivity_sentences
from gru4rec_cli.reporting.text.summary import caveats, key_figures, summary_sentences
from gru4rec_cli.reporting.text.words import ENGLISH, words_of

SPANISH = words_of("es")


def row(model: str, value: float, **changes: Any) -> dict[str, Any]:
    given = {"model": model, "seed": "all", "metric": "recall", "k": 20, "ties": "conservative", "slice": "all"}
    return {**given, "value": value, "low": value - 0.01, "high": value + 0.01, "events": 100, **changes}


def pair(first: str, second: str, value: float, p: float, **changes: Any) -> dict[str, Any]:
    """`second` stands at .5 whatever it is, so that the relative difference is twice the difference."""
    entry = {"first": first, "second": second, "metric": "recall", "k": 20, "ties": "conservative", "value": value}
    entry |= {"relative": value * 2, "low": value - 0.005, "high": value + 0.005, "p": p / 3, "p_holm": p}
    return {**entry, "distinguishable": p < 0.05, **changes}


DOCUMENT: dict[str, Any] = {
    "protocol": {"ties": "conservative", "cutoffs": [20], "confidence": 0.95, "permutations": 1000},
    "models": {
        "knn": {"stage": "baseline", "random": False, "seeds": [1]},
        "gru4rec": {"stage": "train", "random": True, "seeds": [1, 2]},
        "markov": {"stage": "baseline", "random": False, "seeds": [1]},
    },
    "not_applicable": {},
    "metrics": [
        row("gru4rec", 0.42),
        row("gru4rec", 0.40, seed="1"),
        row("gru4rec", 0.44, seed="2"),
        row("knn", 0.41),
        row("knn", 0.41, seed="1"),
        row("markov", 0.3),
    ],
    "differences": [
        pair("gru4rec", "knn", 0.01, 0.3),
        pair("gru4rec", "markov", 0.12, 0.0001),
        pair("knn", "markov", 0.02, 0.03),
    ],
}


def findings(**changes: Any) -> Findings:
    return Findings({**DOCUMENT, **changes})


def said(sentences: list[Any]) -> list[str]:
    return [sentence.plain() for sentence in sentences]


def test_the_matrix_is_row_minus_column_and_marks_what_is_not_proven():
    table = matrix_table(findings(), ENGLISH)
    assert table.columns == ("Row − column", "gru4rec", "knn", "markov")
    assert table.rows == (
        ("gru4rec", "·", "+.0100 ≈", "+.1200"),
        ("knn", "−.0100 ≈", "·", "+.0200"),
        ("markov", "−.1200", "−.0200", "·"),
    )
    tones = [[cell.tone for cell in cells[1:] if isinstance(cell, Cell)] for cells in table.rows]
    assert tones == [["even", "up"], ["even", "up"], ["down", "down"]]


def test_a_pair_that_was_not_compared_is_missing():
    table = matrix_table(findings(differences=DOCUMENT["differences"][:2]), ENGLISH)
    assert table.rows[1][3] == "missing"
    assert table.notes[-1] == "missing: not available in the artifacts of this run."


def test_differences_have_intervals_p_after_holm_and_a_verdict():
    table = differences_table(findings(), ENGLISH)
    assert table.rows == (
        ("Recall@20", "gru4rec", "knn", "+.0100", "2.0 %", "[+.0050;+.0150]", ".3000",
         "not significant; same level (below 5 %)"),
        ("Recall@20", "gru4rec", "markov", "+.1200", "24.0 %", "[+.1150;+.1250]", "≤ .0001", "significant"),
        ("Recall@20", "knn", "markov", "+.0200", "4.0 %", "[+.0150;+.0250]", ".0300",
         "significant; same level (below 5 %)"),
    )  # fmt: skip
    assert "p from 1,000 random exchanges" in table.notes[0]


def test_the_verdict_is_the_artifacts_and_not_made_again_from_p():
    entry = pair("gru4rec", "knn", 0.01, 0.3, distinguishable=True, relative=None)
    (cells,) = differences_table(findings(differences=[entry]), ENGLISH).rows
    assert cells[4] == "–"
    assert cells[7] == "significant"


def test_a_difference_without_an_interval_is_a_gap():
    entry = pair("gru4rec", "knn", 0.01, 0.3, low=None, high=None, p_holm=None, distinguishable=None)
    (cells,) = differences_table(findings(differences=[entry]), ENGLISH).rows
    assert cells[5:] == ("missing", "missing", "missing; same level (below 5 %)")


def test_what_is_significantly_different_is_said_in_words():
    assert said(pair_sentences(findings(), ENGLISH)) == [
        "In Recall@20, the difference from the best, gru4rec, is not significant for knn.",
        "Significantly different in Recall@20, but by less than 5 % relative and so at the same level: knn and markov.",
    ]
    clear = [{**entry, "distinguishable": True, "relative": 0.2} for entry in DOCUMENT["differences"]]
    assert said(pair_sentences(findings(differences=clear), ENGLISH)) == [
        "In Recall@20, every other model is significantly different from the best, gru4rec.",
        "All pairs of models are significantly different in Recall@20.",
    ]
    even = [{**entry, "distinguishable": entry["second"] == "knn"} for entry in DOCUMENT["differences"]]
    assert said(pair_sentences(findings(differences=even), SPANISH))[:2] == [
        "En Recall@20, la diferencia con el mejor, gru4rec, no es significativa para markov.",
        "Tampoco difieren significativamente en Recall@20: knn con markov.",
    ]


def test_differences_from_the_best_are_drawn_from_it_whichever_stands_first():
    turned = pair("knn", "gru4rec", -0.01, 0.3)
    panel = difference_panel(findings(differences=[turned, DOCUMENT["differences"][1]]), ENGLISH)
    assert panel is not None
    assert [
        (row.label, round(row.value, 3), round(row.low, 3), round(row.high, 3), row.even) for row in panel.rows
    ] == [
        ("knn", 0.01, 0.005, 0.015, True),
        ("markov", 0.12, 0.115, 0.125, False),
    ]
    low, high = panel.scale()
    assert low < 0 < high
    assert panel.place(low) == 0
    assert panel.place((low + high) / 2) == pytest.approx(50)
    assert 0.0 in panel.ticks()


def test_a_model_far_below_is_left_out_of_the_figures_of_intervals_by_name():
    # screen and page: popularity stretched the axis until no interval could be seen
    values = {"oracle": 0.7, "gru4rec": 0.4, "knn": 0.3, "markov": 0.2, "popularity": 0.19, "random": 0.01}
    found = findings(metrics=[row(model, value) for model, value in values.items()], differences=[])
    (panel,) = interval_panels(found, ENGLISH)
    assert [each.label for each in panel.rows] == ["oracle (bound)", "gru4rec", "knn", "markov"]
    told = "Left out, because they are below half of the best model: popularity .1900, random .0100."
    assert left_out(found, ENGLISH) == told
    two = findings(metrics=[row("gru4rec", 0.4), row("popularity", 0.1), row("random", 0.01)], differences=[])
    assert two.contenders == ["gru4rec", "popularity"]  # the best alone would have nothing beside it
    assert left_out(findings(metrics=[row("gru4rec", 0.4)]), ENGLISH) == ""
    far = findings(metrics=[row("oracle", 0.81), row("gru4rec", 0.4), row("knn", 0.3)], differences=[])
    assert [each.label for each in interval_panels(far, ENGLISH)[0].rows] == ["gru4rec", "knn"]
    told = "The bound (oracle), .8100, is more than twice the best model and is left out."
    assert left_out(far, ENGLISH) == told


@pytest.mark.parametrize("half", [0.05, 0.01, 0.004])
def test_no_dot_is_wider_than_an_interval_on_a_phone(half: float):
    metrics = [row(model, value, low=value - half, high=value + half) for model, value in (("a", 0.4), ("b", 0.3))]
    (panel,) = interval_panels(findings(metrics=metrics), ENGLISH)
    low, high = panel.scale()
    pixels = 2 * half / (high - low) * 280  # of the narrowest scale
    assert 2 * panel.radius() + 0.75 <= pixels  # with its edge
    assert panel.radius() >= 1.25


def test_the_spread_over_seeds_stands_apart_from_the_interval_over_events():
    assert spread_table(findings(), ENGLISH).rows == (("gru4rec", "2", ".4000 … .4400", "missing", "missing"),)
    table = every_seed_table(findings(), ENGLISH)
    assert table.columns == ("Model", "Mean [interval over events]", "Seed 1", "Seed 2")
    assert table.rows == (("gru4rec", ".4200 [.4100–.4300]", ".4000", ".4400"),)
    assert [row.single for row in interval_panel(findings(), "recall", ENGLISH).rows] == [(0.40, 0.44), (), ()]


SENSITIVITY: dict[str, Any] = {
    "ties": "conservative",
    "rows": [
        {"model": model, "protocol": protocol, "negatives": n, "ties": ties, "metric": "recall", "k": 20,
         "value": value, "full": full, "factor": value / full}
        for model, full, values in (("gru4rec", 0.4, (0.4, 0.44, 0.8)), ("knn", 0.32, (0.32, 0.32, 0.96)))
        for (protocol, n, ties), value in zip(
            (("ties", None, "conservative"), ("ties", None, "optimistic"), ("uniform", 1000, "conservative")),
            values, strict=True)
    ],
    "flips": [
        {"first": "gru4rec", "second": "knn", "metric": "recall", "k": 20, "protocol": "uniform", "negatives": 1000,
         "ties": "conservative", "full": [0.4, 0.32], "shown": [0.8, 0.96]}
    ],
}  # fmt: skip


def test_other_protocols_stand_beside_full_ranking_with_their_factor():
    table = factors_table(findings(sensitivity=SENSITIVITY), "recall", ENGLISH)
    assert table.columns == ("Model", "Full ranking", "ties: optimistic", "1,000 uniform negatives")
    assert table.rows == (
        ("gru4rec", ".4000", ".4400 (×1.10)", ".8000 (×2.00)"),
        ("knn", ".3200", ".3200 (×1.00)", ".9600 (×3.00)"),
    )


def test_pairs_whose_order_changes_are_listed_and_counted():
    assert flips_table(findings(sensitivity=SENSITIVITY), ENGLISH).rows == (
        ("Recall@20", "1,000 uniform negatives", "gru4rec", "knn", ".4000 / .3200", ".8000 / .9600"),
    )
    assert said(sensitivity_sentences(findings(sensitivity=SENSITIVITY), ENGLISH)) == [
        "The largest inflation: with 1,000 uniform negatives, knn would have a Recall@20 of .9600 instead of .3200 "
        "(×3.00).",
        "Pairs of models whose order in Recall@20 changes under another protocol: 1.",
    ]
    lower = [{**row, "factor": 0.5} for row in SENSITIVITY["rows"]]
    assert len(sensitivity_sentences(findings(sensitivity={**SENSITIVITY, "rows": lower}), ENGLISH)) == 1
    none = {**SENSITIVITY, "flips": []}
    assert "No other protocol changes the order" in said(sensitivity_sentences(findings(sensitivity=none), ENGLISH))[1]
    assert flips_table(findings(sensitivity=none), ENGLISH).notes == ("None: no protocol changes the order of a pair.",)


def test_slices_are_columns_with_their_events():
    rows = [
        *DOCUMENT["metrics"],
        row("gru4rec", 0.5, slice="target=head", events=160),
        row("knn", 0.6, slice="target=head", events=160, low=None, high=None),
        row("gru4rec", 0.2, slice="target=tail", events=1040),
    ]
    table = slice_table(findings(metrics=rows), "target", ENGLISH)
    assert table.columns == ("Model", "Head", "Tail")
    assert table.rows == (
        ("gru4rec", ".5000 [.4900–.5100]", ".2000 [.1900–.2100]"),
        ("knn", ".6000", "missing"),
        ("markov", "missing", "missing"),
    )
    assert table.best == {(1, 1)}
    assert "Events: Head: 160; Tail: 1,040." in table.notes


def test_no_value_of_few_events_is_marked_and_the_table_says_so():
    # screen and page: a slice of 7 events had a best model
    few = [row(model, value, slice="target=head", events=7) for model, value in (("gru4rec", 0.5), ("knn", 0.6))]
    many = [row(model, value, slice="target=tail", events=100) for model, value in (("gru4rec", 0.5), ("knn", 0.6))]
    table = slice_table(findings(metrics=[*DOCUMENT["metrics"], *few, *many]), "target", ENGLISH)
    assert table.best == {(1, 2)}
    note = "Nothing is marked where there are fewer than 100 events: which model is the best there is chance."
    assert note in table.notes
    assert note not in slice_table(findings(metrics=[*DOCUMENT["metrics"], *many]), "target", ENGLISH).notes


def test_what_lists_are_like_is_told_in_percent():
    rows = [
        *DOCUMENT["metrics"],
        *(row("knn", value, metric=metric, ties="any", low=None, high=None) for metric, value in
          (("coverage", 0.25), ("popularity_rank", 0.031), ("repeats", 0.0))),
    ]  # fmt: skip
    table = beyond_table(findings(metrics=rows), ENGLISH)
    assert table.columns == ("Model", "Coverage", "Popularity rank", "Repeats")
    assert {cells[0]: cells[1:] for cells in table.rows}["knn"] == ("25.0 %", "3.1 %", "0.0 %")
    assert table.best == frozenset()


def test_the_summary_says_whether_the_best_is_told_from_the_best_baseline():
    lines = said(summary_sentences(findings(), ENGLISH))
    assert lines[0] == "The best model by Recall@20 is gru4rec: .4200 [.4100–.4300]."
    assert lines[1].startswith("In plain words: for 42 of 100 clicks")
    # .42 / .41 = 1.0244
    assert lines[2] == (
        "gru4rec (trained) is .0100 (2.4 % relative) above knn (baseline), which has .4100 [.4000–.4200]; "
        "the difference is not significant (p = .3000 after Holm's correction)."
    )


@pytest.mark.parametrize(
    ("recall", "told"), [(0.42, "42 of 100"), (0.1, "10 of 100"), (0.0336, "34 of 1,000"), (0.0021, "21 of 10,000")]
)
def test_a_small_recall_is_told_of_more_clicks(recall: float, told: str):
    lines = said(summary_sentences(findings(metrics=[row("a", recall)], differences=None), ENGLISH))
    assert f"for {told} clicks" in lines[1]


def test_key_figures_are_the_best_the_best_baseline_and_the_way_between():
    figures = key_figures(findings(), ENGLISH)
    assert [(figure.label, figure.value) for figure in figures] == [
        ("Best model", "gru4rec"),
        ("Best baseline", "knn"),
        ("Above the best baseline", "+2.4 %"),
    ]
    assert all("metrics[model=" in figure.source for figure in figures)
    bound = key_figures(findings(metrics=[*DOCUMENT["metrics"], row("oracle", 0.56)]), SPANISH)
    assert (bound[-1].label, bound[-1].value) == ("Parte de la cota", "75,0 %")


def test_caveats_follow_from_the_artifacts():
    lines = said(caveats(findings(), {}, ENGLISH))
    assert lines == [
        "Results under other protocols (sampled negatives, other tie rules) were not computed.",
        "There is one division into training and test: another may order the models differently.",
    ]
    one_seed = [r for r in DOCUMENT["metrics"] if r["seed"] != "2"] + [row("markov", 0.33, ties="optimistic")]
    told = findings(metrics=one_seed, differences=None, not_applicable={"oracle": "cleaning"}, sensitivity=SENSITIVITY)
    statistics = {
        "input": {"log": {"events": 4000}},
        "removals": [{"events": 900}, {"events": 100}],
        "unseen": {"test": {"events": 12, "items": 3, "rule": "miss"}},
    }
    lines = said(caveats(told, statistics, ENGLISH))
    assert [line.split(":")[0].split(",")[0] for line in lines] == [
        "The clicks are synthetic",
        "The differences between models were not tested; whether intervals overlap or not proves nothing.",
        "Only one seed",
        "markov depends on how equal scores are counted",
        "The largest inflation",
        "Pairs of models whose order in Recall@20 changes under another protocol",
        "Cleaning and splitting removed 1",
        "12 events of the test part count as misses",
        "There is one division into training and test",
    ]
    assert "Only one seed: it is not known how much another would change the results of gru4rec." in lines
    assert "Cleaning and splitting removed 1,000 of 4,000 events (25.0 %)." in lines
    assert (
        "markov depends on how equal scores are counted: Recall@20 is between .3000 (conservative) and .3300 "
        "(optimistic)." in lines
    )


def test_the_executive_summary_is_one_page_in_either_language_and_names_where_costs_stand():
    artifacts = Artifacts("<shop>", DOCUMENT, {}, {}, [], {})
    english, spanish = summary_markdown(artifacts), summary_markdown(artifacts, SPANISH, "report.es.md")
    assert english.startswith("# &lt;shop&gt;: summary\n")
    assert spanish.startswith("# &lt;shop&gt;: resumen\n")
    for page in (english, spanish):
        assert len(page.splitlines()) < 45
    assert "(costs/costs.md)" in english
    assert "(costs/costs.es.md)" in spanish
    assert "report.es.md" in spanish
    assert summary_markdown(Artifacts("x", {}, {}, {}, [], {})).splitlines()[2] == "not available: metrics"


def test_every_section_has_something_to_say_whatever_is_missing():
    for document in ({}, DOCUMENT, {**DOCUMENT, "sensitivity": None}, {**DOCUMENT, "sensitivity": SENSITIVITY}):
        for words in (ENGLISH, SPANISH):
            for section in report_sections(Artifacts("x", document, {}, {}, [], {}), words):
                assert section.blocks, section.key


def test_a_panel_without_intervals_has_a_scale_all_the_same():
    bare = findings(metrics=[row("a", 0.3, low=math.nan, high=math.nan)])
    panel = interval_panel(bare, "recall", ENGLISH)
    low, high = panel.scale()
    assert low < 0.3 < high
    assert panel.rows[0].text == ".3000"
