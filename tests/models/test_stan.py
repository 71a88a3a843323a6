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


def test_distances_count_from_the_shared_item_that_stands_last_in_the_neighbour():
    """Fault 1: not from the one that was clicked last in the session so far."""
    train = sessions_of([[0, 1, 2, 3]], n_items=4)
    # History [1, 0]: 0 was clicked last, but 1 stands last in the neighbour.
    expected = {0: math.exp(-1 / 3), 1: 1.0, 2: math.exp(-1 / 3), 3: math.exp(-2 / 3)}
    assert_proportional(fit_and_score("stan", train, [1, 0], lambda_inh=3.0), expected)


def test_sessions_that_are_equal_by_two_decays_tie():
    """Fault 2: one click older and one day older weigh the same here, and the more recent session votes."""
    train = sessions_of([[0, 2], [1, 3]], n_items=5)
    for one_day in (86_400, 86_400 * 7):
        moved = with_times(train, np.array([0, 1, one_day, one_day + 1]) + 10**9)
        settings = {"lambda_spw": 1.0, "lambda_snh": one_day / 86_400, "k": 1}
        assert fit_and_score("stan", moved, [1, 0], **settings).keys() == {1, 3}


@pytest.mark.parametrize("lambda_snh", [1e-12, 0.0001, 5.0])
def test_old_sessions_keep_their_proportions(lambda_snh: float):
    """Fault 3: weights are relative to the newest session that shares an item, however small λ2 is."""
    train = sessions_of([[0, 1], [0, 2], [3, 4]], n_items=5)
    end = lambda_snh * 86_400e6  # microseconds
    times = np.array([0, 0, end, end, 10**17, 10**17]).astype(np.int64)
    train = Sessions(train.items, train.offsets, times, train.session_ids, train.vocabulary)
    older = math.exp(-times[2] / end)
    far = math.exp(-1 / 2.05)
    assert_proportional(
        fit_and_score("stan", train, [0], lambda_snh=lambda_snh), {0: 1 + older, 1: far * older, 2: far}
    )


def test_clicks_of_long_ago_keep_their_proportions():
    """Fault 3: the same for the age of clicks, if only sessions with old clicks are among the most recent."""
    train = sessions_of([[4, 3], [0, 1, 5], [2, 1, 6]], n_items=7)
    found = fit_and_score("stan", train, [0, 2, 1, 3], sample_size=2, lambda_spw=0.001, lambda_inh=1e9)
    # Both share 1, which is one click old; the first also shares 0, the second 2: e^-1000 and e^-2000 of that.
    assert_proportional(found, {0: 1.0, 1: 2.0, 2: 1.0, 5: 1.0, 6: 1.0})
