"""Expected metrics under sampled negatives against all samples there are."""

from fractions import Fraction
from itertools import combinations, product
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.evaluation.sampled import items_above, popularity_means, share_above, uniform_table


def expected(metric: str, k: int, ranks: list[int], weights: list[float]) -> float:
    """The mean of the metric over samples in which the target has these ranks."""
    values = {"recall": lambda _: 1.0, "mrr": lambda r: 1 / r, "ndcg": lambda r: 1 / log2(r + 1)}[metric]
    return float(sum(w * values(r) for r, w in zip(ranks, weights, strict=True) if r <= k) / sum(weights))


def test_a_sample_of_two_out_of_four_by_hand():
    # Five items, the target at rank 3: two of the four others are above it. Of the 6 pairs of negatives, 1 holds none
    # of the two, 4 hold one, 1 holds both.
    recall, mrr, ndcg = uniform_table(5, 2, (1, 2, 3))[:, :, 2]
    assert recall == pytest.approx([1 / 6, 5 / 6, 1])
    assert mrr == pytest.approx([1 / 6, 1 / 6 + 4 / 6 / 2, 1 / 6 + 4 / 6 / 2 + 1 / 6 / 3])
    assert ndcg == pytest.approx([1 / 6, 1 / 6 + 4 / 6 / log2(3), 1 / 6 + 4 / 6 / log2(3) + 1 / 6 / 2])


@pytest.mark.parametrize("negatives", range(1, 7))
def test_uniform_negatives_are_those_of_all_subsets(negatives: int):
    n_items, cutoffs = 7, (1, 2, 4, 9)
    table = uniform_table(n_items, negatives, cutoffs)
    for above in range(n_items):  # the others are 0 … 5, and those below `above` are above the target
        samples = combinations(range(n_items - 1), negatives)
        ranks = [1 + sum(item < above for item in sample) for sample in samples]
        for row, metric in enumerate(METRICS):
            for column, k in enumerate(cutoffs):
                assert table[row, column, above] == pytest.approx(expected(metric, k, ranks, [1.0] * len(ranks)))


@pytest.mark.parametrize("negatives", [1, 2, 4])
def test_popular_negatives_are_those_of_all_draws(negatives: int):
    supports, cutoffs = [5, 1, 3, 2, 4], (1, 2, 3, 9)  # items in the order of their scores
    above = np.cumsum([0, *supports[:-1]])
    share = share_above(above, np.array(supports), sum(supports))
    found = popularity_means(share, negatives, cutoffs)
    for target in range(5):
        others = [item for item in range(5) if item != target]
        draws = list(product(others, repeat=negatives))
        weights = [float(np.prod([supports[item] for item in draw])) for draw in draws]
        ranks = [1 + sum(item < target for item in draw) for draw in draws]
        for row, metric in enumerate(METRICS):
            for column, k in enumerate(cutoffs):
                assert found[row, column, target] == pytest.approx(expected(metric, k, ranks, weights))


@pytest.mark.parametrize("negatives", [9, 100])
def test_as_many_negatives_as_there_are_other_items_are_full_ranking(negatives: int):
    recall, mrr, ndcg = uniform_table(10, negatives, (3, 20))
    ranks = np.arange(1, 11)
    assert recall.tolist() == [(ranks <= 3).astype(float).tolist(), [1.0] * 10]
    np.testing.assert_allclose(mrr, [np.where(ranks <= 3, 1 / ranks, 0), 1 / ranks], atol=1e-15)
    np.testing.assert_allclose(ndcg[1], 1 / np.log2(ranks + 1), atol=1e-15)


def test_nothing_above_and_everything_above():
    assert popularity_means(np.array([0.0, 1.0]), 100, (20,))[:, 0].tolist() == [[1, 0], [1, 0], [1, 0]]
    assert uniform_table(500, 100, (20,))[:, 0, [0, 499]].tolist() == [[1, 0], [1, 0], [1, 0]]


def test_large_cutoffs_do_not_underflow():
    # P(X = 0) is 0.4 ^ 1000, far below what a float64 holds, yet X is below 620 nine times out of ten.
    p, n = Fraction(6, 10), 1000
    pmf, mass = (1 - p) ** n, Fraction(0)
    for x in range(620):
        mass += pmf
        pmf *= Fraction(n - x, x + 1) * p / (1 - p)
    found = popularity_means(np.array([0.6]), 1000, (620,))[0, 0, 0]
    assert 0.85 < float(mass) < 0.95
    assert found == pytest.approx(float(mass), rel=1e-10)


def test_a_large_catalogue_is_exact():
    n_items, negatives, above, k = 20_001, 1000, 300, 20
    others = n_items - 1
    total = Fraction(0)
    pmf = Fraction(1)
    for i in range(above):  # no sampled item is above: all of them are among the other others
        pmf *= Fraction(others - negatives - i, others - i)
    for x in range(k):
        total += pmf
        pmf *= Fraction((above - x) * (negatives - x), (x + 1) * (others - above - negatives + x + 1))
    assert uniform_table(n_items, negatives, (k,))[0, 0, above] == pytest.approx(float(total), rel=1e-11)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(1, 50), st.integers(1, 30))
def test_fewer_items_above_never_score_less_and_sampling_never_lowers(n_items: int, negatives: int, k: int):
    table = uniform_table(n_items, negatives, (k,))[:, 0]  # (metrics, items)
    assert (np.diff(table, axis=1) <= 1e-12).all()
    assert (table >= uniform_table(n_items, n_items - 1, (k,))[:, 0] - 1e-12).all()
    assert (table <= 1 + 1e-12).all()


def test_tie_rules_count_whole_items():
    greater, equal = np.array([2, 2]), np.array([3, 0])
    assert items_above(greater, equal, "conservative").tolist() == [5, 2]
    assert items_above(greater, equal, "median").tolist() == [3, 2]
    assert items_above(greater, equal, "optimistic").tolist() == [2, 2]


def test_an_only_item_has_nothing_above_it():
    assert share_above(np.array([0]), np.array([7]), 7).tolist() == [0.0]
