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
