"""VSTAN by hand and against the slow, obvious version."""

import math

import pytest

from tests.models.plain import assert_proportional, fit_and_score, neighbours
from tests.models.test_stan import spread
from tests.worlds import sessions_of

FIELDS = {
    "k": 3,
    "sample_size": 3,
    "lambda_spw": 5.0,
    "lambda_snh": 0.001,
    "lambda_inh": 9.0,
    "lambda_ipw": 9.0,
    "lambda_idf": 0.0,
}


def test_votes_fall_with_the_age_of_the_shared_click_and_rise_with_rarity():
    train = sessions_of([[0, 1], [2, 3], [3, 4]], n_items=5)
    settings = {"lambda_spw": 1e9, "lambda_snh": 1e9, "lambda_inh": 1e9, "lambda_ipw": 2.0, "lambda_idf": 3.0}
    rare, common = 1 + 3 * math.log(3 / 1), 1 + 3 * math.log(3 / 2)
    old = math.exp(-1 / 2)
    expected = {0: old * rare, 1: old * rare, 2: rare, 3: common}
    assert_proportional(fit_and_score("vstan", train, [0, 2], **settings), expected)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_obvious_version(seed: int):
    train = spread(seed)
    for history in ([3], [5, 3, 5], [7, 1, 2, 9, 0, 11, 7]):
        expected = neighbours(
            train,
            history,
            k=7,
            sample_size=20,
            click=lambda age, length: math.exp(-age / 1.5),
            cosine=True,
            recency=lambda days: math.exp(-days / 2),
            vote=lambda age: math.exp(-age / 4),
            reach=lambda distance: math.exp(-distance / 3),
            rarity=lambda idf: 1 + 6 * idf,
        )
        settings = {"lambda_spw": 1.5, "lambda_snh": 2.0, "lambda_inh": 3.0, "lambda_ipw": 4.0, "lambda_idf": 6.0}
        assert_proportional(fit_and_score("vstan", train, history, k=7, sample_size=20, **settings), expected)


def test_distances_and_votes_count_from_two_different_shared_items():
    """Fault 1: distances from the shared item that stands last in the neighbour, votes from the last in the session."""
    train = sessions_of([[0, 1, 2], [3, 4]], n_items=5)
    settings = {"lambda_spw": 1e9, "lambda_snh": 1e9, "lambda_inh": 2.0, "lambda_ipw": 3.0, "lambda_idf": 0.0}
    # History [1, 0, 3]: of the first session, 0 is one click old and 1 stands last.
    vote = math.exp(-1 / 3) * 2 / 3**0.5
    near, last = math.exp(-1 / 2), 1 / 2**0.5
    expected = {0: vote * near, 1: vote, 2: vote * near, 3: last, 4: last * near}
    assert_proportional(fit_and_score("vstan", train, [1, 0, 3], **settings), expected)


def test_votes_for_old_clicks_keep_their_proportions():
    """Fault 3: if all neighbours share only old clicks, their votes are still relative to each other."""
    train = sessions_of([[3, 4], [0, 5], [1, 6]], n_items=7)
    settings = {"lambda_spw": 1e9, "lambda_snh": 1e9, "lambda_inh": 1e9, "lambda_ipw": 0.001, "lambda_idf": 0.0}
    found = fit_and_score("vstan", train, [0, 1, 3], sample_size=2, **settings)
    assert_proportional({item: score for item, score in found.items() if score > 1e-30}, {1: 1.0, 6: 1.0})


def test_a_huge_weight_of_rarity_is_the_order_by_rarity():
    train = sessions_of([[0, 1], [0, 2], [2, 3]], n_items=4)
    settings = {"lambda_spw": 1e9, "lambda_snh": 1e9, "lambda_inh": 1e9, "lambda_ipw": 1e9, "lambda_idf": 1e308}
    common, rare = math.log(3 / 2), math.log(3)
    assert_proportional(fit_and_score("vstan", train, [0], **settings), {0: 2 * common, 1: rare, 2: common})
