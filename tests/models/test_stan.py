"""STAN by hand and against the slow, obvious version."""

import math

import numpy as np
import pytest

from gru4rec_cli.data.sessions import Sessions
from tests.models.plain import assert_proportional, fit_and_score, neighbours, with_times
from tests.worlds import random_sessions, sessions_of

FIELDS = {"k": 3, "sample_size": 3, "lambda_spw": 5.0, "lambda_snh": 0.001, "lambda_inh": 9.0}


def spread(seed: int) -> Sessions:
    """Random sessions over ten days."""
    train = random_sessions(15, 80, seed=seed)
    return with_times(train, np.sort(np.random.default_rng(seed).integers(0, 864_000, train.n_events)))


def test_the_three_decays_by_hand():
    train = sessions_of([[0, 1], [2, 3, 4]], n_items=5)
    train = with_times(train, np.array([0, 86_400, 2 * 86_400, 2 * 86_400, 3 * 86_400]))  # ends at days 1 and 3
    settings = {"lambda_spw": 2.0, "lambda_snh": 4.0, "lambda_inh": 3.0}
    first = math.exp(-1 / 2) / 2**0.5 * math.exp(-2 / 4)  # shares the click before the last, ended two days earlier
    second = 1 / 3**0.5
    expected = {
        0: first,
        1: first * math.exp(-1 / 3),
        2: second,
        3: second * math.exp(-1 / 3),
        4: second * math.exp(-2 / 3),
    }
    assert_proportional(fit_and_score("stan", train, [0, 2], **settings), expected)


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
            reach=lambda distance: math.exp(-distance / 3),
        )
        settings = {"k": 7, "sample_size": 20, "lambda_spw": 1.5, "lambda_snh": 2.0, "lambda_inh": 3.0}
        assert_proportional(fit_and_score("stan", train, history, **settings), expected)


def test_sessions_of_long_ago_still_vote():
    train = sessions_of([[0, 1], [2, 3]], n_items=4)
    train = with_times(train, np.array([0, 1, 10**10, 10**10 + 1]))  # three centuries apart
    assert fit_and_score("stan", train, [0]).keys() == {0, 1}
