"""Hand-computed metrics."""

import math

import numpy as np
import pytest

from gru4rec_cli.evaluation.metrics import HEADLINE, METRICS, metric_at_k, metric_values, ranks, target_ranks

RANKS = np.array([1.0, 2.0, 5.0, 6.0, 21.0, np.inf])

HAND_COMPUTED = [
    ("recall", 1, [1, 0, 0, 0, 0, 0]),
    ("recall", 5, [1, 1, 1, 0, 0, 0]),
    ("recall", 20, [1, 1, 1, 1, 0, 0]),
    ("mrr", 1, [1, 0, 0, 0, 0, 0]),
    ("mrr", 5, [1, 1 / 2, 1 / 5, 0, 0, 0]),
    ("mrr", 20, [1, 1 / 2, 1 / 5, 1 / 6, 0, 0]),
    ("ndcg", 5, [1, math.log(2) / math.log(3), math.log(2) / math.log(6), 0, 0, 0]),
    ("ndcg", 20, [1, math.log(2) / math.log(3), math.log(2) / math.log(6), math.log(2) / math.log(7), 0, 0]),
]


@pytest.mark.parametrize(("metric", "k", "expected"), HAND_COMPUTED)
def test_metrics_by_hand(metric: str, k: int, expected: list[float]):
    assert metric_values(RANKS, metric, k) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_an_unseen_target_is_a_miss_at_any_cutoff(metric: str):
    assert metric_values(np.array([np.inf]), metric, 10**9).tolist() == [0.0]


def test_tie_rules_by_hand():
    greater, equal = np.array([0, 3, 7]), np.array([0, 4, 1])
    assert ranks(greater, equal, "optimistic").tolist() == [1, 4, 8]
    assert ranks(greater, equal, "median").tolist() == [1, 6, 8.5]
    assert ranks(greater, equal, "conservative").tolist() == [1, 8, 9]


def test_a_half_rank_beyond_the_cutoff_is_a_miss():
    rank = ranks(np.array([4]), np.array([1]), "median")
    assert rank.tolist() == [5.5]
    assert metric_values(rank, "recall", 5).tolist() == [0.0]
    assert metric_values(rank, "mrr", 6) == pytest.approx([1 / 5.5])


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="unknown metric 'map'; known: recall, mrr, ndcg"):
        metric_values(RANKS, "map", 5)


def test_a_target_that_training_never_saw_has_no_rank():
    greater, equal, targets = np.array([0, 3, 5]), np.array([0, 1, 0]), np.array([2, 0, -1])
    assert target_ranks(greater, equal, targets, "median").tolist() == [1, 4.5, np.inf]


def test_the_table_gives_the_headline():
    assert HEADLINE == "recall"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("recall@20", ("recall", 20)), ("mrr@1", ("mrr", 1)), ("ndcg@1000000", ("ndcg", 1_000_000))],
)
def test_a_text_names_a_metric_and_a_cutoff(text: str, expected: tuple[str, int]):
    assert metric_at_k(text) == expected


@pytest.mark.parametrize(
    "text", ["recall", "map@20", "mrr@0", "mrr@-1", "ndcg@05", "xmrr@5", "mrr@5x", "mrr@5\n", "mrr@٣"]
)
def test_a_text_of_another_form_is_refused(text: str):
    with pytest.raises(ValueError, match="allowed: recall, mrr, ndcg with a cutoff, such as recall@20"):
        metric_at_k(text)


@pytest.mark.parametrize("cutoff", ["1000001", "99999999", "9" * 5000])  # Python reads at most 4,300 digits
def test_a_cutoff_above_the_largest_is_refused(cutoff: str):
    with pytest.raises(ValueError, match=r"the largest cutoff is 1,000,000; one above the number of") as caught:
        metric_at_k(f"mrr@{cutoff}")
    assert len(str(caught.value)) < 150
