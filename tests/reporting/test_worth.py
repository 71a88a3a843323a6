"""Whether the neural model is worth it: the answer by hand-made differences, and what it costs."""

from typing import Any

import pytest

from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.text.words import ENGLISH, words_of
from gru4rec_cli.reporting.text.worth import cost_ratio, worth_sentences

STAGES = {"gru4rec": "train", "sasrec": "train", "markov": "baseline", "popularity": "baseline"}
TIMES = {"gru4rec": 60.0, "markov": 1.5}


def findings(values: dict[str, float], differences: list[dict[str, Any]] | None = None) -> Findings:
    """These values of every metric for each model."""
    given = {"seed": "all", "k": 20, "ties": "conservative", "slice": "all", "low": None, "high": None}
    rows = [
        {**given, "model": m, "metric": metric, "value": value} for m, value in values.items() for metric in METRICS
    ]
    models = {model: {"stage": STAGES[model]} for model in values}
    protocol = {"ties": "conservative", "cutoffs": [20], "permutations": 10_000}
    return Findings({"protocol": protocol, "models": models, "metrics": rows, "differences": differences})


def pair(first: str, second: str, value: float, relative: float, p: float) -> dict[str, Any]:
    entry = {"first": first, "second": second, "metric": "recall", "k": 20, "value": value, "relative": relative}
    return {**entry, "low": value - 0.01, "high": value + 0.01, "p": p, "p_holm": p, "distinguishable": p < 0.05}


ABOVE = {"gru4rec": 0.3, "markov": 0.2, "sasrec": 0.15, "popularity": 0.1}
BELOW = {"gru4rec": 0.2, "markov": 0.3, "sasrec": 0.15, "popularity": 0.1}


@pytest.mark.parametrize(
    ("values", "entry", "answer"),
    [
        (ABOVE, pair("gru4rec", "markov", 0.1, 0.5, 0.01), "**yes**"),
        (ABOVE, pair("markov", "gru4rec", -0.1, -0.5, 0.01), "**yes**"),  # whichever stands first
        (ABOVE, pair("gru4rec", "markov", 0.1, 0.04, 0.01), "**hardly**"),
        (ABOVE, pair("gru4rec", "markov", 0.1, 0.5, 0.2), "**not shown**"),
        (BELOW, pair("markov", "gru4rec", 0.1, 0.5, 0.01), "**no**"),
        (ABOVE, None, "**not tested**"),
    ],
)
def test_the_answer_follows_from_the_paired_test(values: dict[str, float], entry: dict[str, Any] | None, answer: str):
    (said,) = worth_sentences(findings(values, [entry] if entry else None), ENGLISH)
    assert said.markdown().startswith(f"By Recall@20, {answer}: gru4rec, the best trained model, has ")
    assert [below.values["metric"] for below in said.below] == ["MRR@20", "NDCG@20"]


def test_the_difference_is_that_of_the_trained_model_with_its_interval_and_a_p_that_may_be_a_bound():
    (said,) = worth_sentences(findings(BELOW, [pair("markov", "gru4rec", 0.1, 0.5, 1 / 10_001)]), ENGLISH)
    told = (
        "The difference is \u2212.1000 [\u2212.1100;\u2212.0900] and significant (p ≤ .0001 after Holm's correction)."
    )
    assert said.plain().endswith(told)
    (said,) = worth_sentences(findings(BELOW, [pair("markov", "gru4rec", 0.1, 0.5, 0.04)]), words_of("es"))
    assert said.plain().endswith(
        "es \u22120,1000 [\u22120,1100;\u22120,0900] y es significativa (p = 0,0400 con la corrección de Holm)."
    )


def test_a_p_that_holm_raised_to_the_smallest_possible_is_a_bound_too():
    # three pairs, 10,000 exchanges: p = 1/10,001 times 3; the second, 1.1/10,001 times 2, is raised to it
    floor = 3 / 10_001
    entries = [pair("gru4rec", second, 0.1, 0.5, floor) for second in ("markov", "sasrec", "popularity")]
    entries[1]["p"] = 1.1 / 10_001
    entries[2] |= {"p": 0.01, "p_holm": 0.01}
    found = findings(ABOVE, entries)
    assert [found.at_floor(entry) for entry in entries] == [True, True, False]


def test_every_metric_has_its_own_best_models():
    document = findings(ABOVE).document
    rows = [row | {"value": 0.9} if (row["model"], row["metric"]) in (("sasrec", "mrr"), ("popularity", "mrr")) else row
            for row in document["metrics"]]  # fmt: skip
    (said,) = worth_sentences(Findings({**document, "metrics": rows}), ENGLISH)
    assert (said.values["trained"], said.values["baseline"]) == ("gru4rec", "markov")
    assert (said.below[0].values["trained"], said.below[0].values["baseline"]) == ("sasrec", "popularity")


def test_without_a_trained_model_or_a_baseline_there_is_no_answer():
    assert worth_sentences(findings({"markov": 0.2, "popularity": 0.1}), ENGLISH) == []
    assert worth_sentences(findings({"gru4rec": 0.2}), ENGLISH) == []


def test_the_cost_is_a_ratio_of_fitting_times():
    costs = {model: {"seconds": seconds} for model, seconds in TIMES.items()}
    said = cost_ratio(findings(ABOVE), costs, ENGLISH)
    assert said is not None
    assert said.plain() == (
        "Fitting gru4rec, the best trained model, took 40 times as long as fitting markov, the best baseline. "
        "Difference in Recall@20: +.1000."
    )
    quick = cost_ratio(findings(ABOVE), {**costs, "markov": {"seconds": 0.001}}, ENGLISH)
    assert quick is not None
    assert "took more than 600 times as long" in quick.plain()  # 60 / .1: a shorter time is not known well enough
    assert cost_ratio(findings(ABOVE), {"gru4rec": {"seconds": 60.0}}, ENGLISH) is None
