"""Verdicts worked out by hand."""

import pytest

from gru4rec_cli.reproducing.verdict import Value, first_difference, settings_difference, verdict

OURS = {"recall@20": Value(0.5, 0.495, 0.505, (0.498, 0.5, 0.502)), "mrr@20": Value(0.17, 0.167, 0.173, (0.17,) * 3)}


@pytest.mark.parametrize(
    ("printed", "word"),
    [
        ({"recall@20": 0.5, "mrr@20": 0.17}, "reproduced"),
        ({"recall@20": 0.5095, "mrr@20": 0.17}, "reproduced"),  # .0045 above the interval is .9 % of .5
        ({"recall@20": 0.5105, "mrr@20": 0.17}, "not reproduced"),  # 1.1 %
        ({"recall@20": 0.4895, "mrr@20": 0.17}, "not reproduced"),
        ({"recall@20": 0.5, "mrr@20": 0.178}, "reproduced"),  # .005 above is 2.9 % of .17
        ({"recall@20": 0.5, "mrr@20": 0.1785}, "not reproduced"),  # 3.2 %
        ({"recall@20": 0.2945}, "not reproduced"),
        ({}, "not in the table"),
    ],
)
def test_a_figure_counts_within_the_interval_and_the_tolerance(printed: dict[str, float], word: str):
    assert verdict(printed, OURS, random=True).word == word


def test_the_reason_names_the_worst_figure():
    found = verdict({"recall@20": 0.2945, "mrr@20": 0.0833}, OURS, random=True)
    assert found.reason == "mrr@20: printed 0.0833, found 0.1700 (-51 %)"


def test_other_data_cannot_be_compared():
    found = verdict({"recall@20": 0.5}, OURS, random=True, difference="9 items in place of 10")
    assert found == ("not comparable", "9 items in place of 10")


def test_one_seed_decides_only_what_no_seed_makes():
    one = {"recall@20": Value(0.5, 0.495, 0.505, (0.5,))}
    assert verdict({"recall@20": 0.52}, one, random=True).word == "cannot decide"
    assert verdict({"recall@20": 0.52}, one, random=False).word == "not reproduced"
    assert verdict({"recall@20": 0.2945}, one, random=True).word == "not reproduced"


def test_a_wide_interval_decides_nothing():
    wide = {"recall@20": Value(0.5, 0.44, 0.56)}
    assert verdict({"recall@20": 0.6}, wide, random=False).word == "cannot decide"
    assert verdict({"recall@20": 0.55}, wide, random=False).word == "reproduced"


def test_seeds_widen_the_interval():
    seeds = {"recall@20": Value(0.5, 0.495, 0.505, (0.49, 0.5, 0.52))}
    assert verdict({"recall@20": 0.523}, seeds, random=True).word == "reproduced"


def test_settings_are_the_same_differ_or_are_not_stated():
    rows = settings_difference({"layers": [100], "epochs": 10}, {"layers": (100,), "epochs": 5, "momentum": 0.2})
    assert rows == [
        ("layers", "[100]", "[100]", "same"),
        ("epochs", "10", "5", "differs"),
        ("momentum", "–", "0.2", "not stated"),
    ]


def test_the_first_count_that_differs_is_named():
    found = {"train_events": 10, "items": 4}
    assert first_difference({"train_events": 10, "items": None}, found) == ""
    assert first_difference({"train_events": 10, "items": 5}, found) == "4 items in place of 5"


def test_without_an_interval_the_value_itself_decides():
    alone = {"recall@20": Value(0.5, 0.5, 0.5)}
    assert verdict({"recall@20": 0.504}, alone, random=False).word == "reproduced"  # .8 %
    assert verdict({"recall@20": 0.506}, alone, random=False).word == "not reproduced"  # 1.2 %


def test_a_value_of_zero_has_no_relative_distance():
    nothing = {"recall@20": Value(0.0, 0.0, 0.0)}
    assert verdict({"recall@20": 0.0}, nothing, random=False).word == "reproduced"
    found = verdict({"recall@20": 0.5}, nothing, random=False)
    assert found == ("not reproduced", "recall@20: printed 0.5000, found 0.0000")
