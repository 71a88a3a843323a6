"""S-kNN by hand and against the slow, obvious version."""

from fractions import Fraction

import pytest

from tests.models.plain import assert_proportional, fit_and_score, neighbours
from tests.worlds import random_sessions, sessions_of

FIELDS = {"k": 3, "sample_size": 3}


def test_the_cosine_of_sets_by_hand():
    train = sessions_of([[0, 1, 2], [1, 3], [4, 5]], n_items=6)
    # History {0, 1}: session 0 shares both, 2 / sqrt(3) but for the norm of the history; session 1 one, 1 / sqrt(2).
    first, second = 2 / 3**0.5, 1 / 2**0.5
    assert_proportional(fit_and_score("sknn", train, [0, 1]), {0: first, 1: first + second, 2: first, 3: second})
    assert fit_and_score("sknn", train, [0, 1], k=1).keys() == {0, 1, 2}
    assert fit_and_score("sknn", train, [0, 1], sample_size=1).keys() == {1, 3}  # the more recent of the two


def test_of_equally_similar_sessions_the_more_recent_one_votes():
    train = sessions_of([[0, 1], [0, 2], [0, 3]], n_items=4)
    assert fit_and_score("sknn", train, [0], k=2).keys() == {0, 2, 3}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k", "sample_size"), [(5, 8), (8, 12), (100, 1000), (1, 1)])
def test_scores_are_those_of_the_obvious_version(seed: int, k: int, sample_size: int):
    train = random_sessions(15, 80, seed=seed)
    for history in ([3], [5, 3, 5], [7, 1, 2, 9, 0, 11, 7]):
        expected = neighbours(train, history, k=k, sample_size=sample_size, click=lambda age, length: 1.0, cosine=True)
        assert_proportional(fit_and_score("sknn", train, history, k=k, sample_size=sample_size), expected)


def test_similarities_that_differ_by_rounding_are_equal():
    """Fault 2: 1/√2 = 3/√18, whichever is the more recent."""
    short, long = [0, 3], [0, 1, 2, *range(4, 19)]
    for sharing in ([short, long], [long, short]):
        train = sessions_of(sharing, n_items=19)
        assert fit_and_score("sknn", train, [0, 1, 2], k=1).keys() == set(sharing[1])


def test_all_cosines_are_compared_exactly():
    """Fault 2: over all small numbers of shared items and of items, the k nearest are those of whole-number squares."""
    sharing = [(shared, length) for length in range(1, 30) for shared in range(1, min(length, 6) + 1)]
    sessions = [
        [*range(shared), *range(100 + n * 40, 100 + n * 40 + length - shared)]
        for n, (shared, length) in enumerate(sharing)
    ]
    train = sessions_of(sessions, n_items=100 + 40 * len(sessions))
    order = sorted(range(len(sharing)), key=lambda n: (Fraction(sharing[n][0] ** 2, sharing[n][1]), n), reverse=True)
    for k in range(1, len(sharing)):
        voted = {item for n in order[:k] for item in sessions[n]}
        assert fit_and_score("sknn", train, list(range(6)), k=k).keys() == voted


@pytest.mark.parametrize("number", [10**9, 2**62, 2**63, 10**30])
def test_more_neighbours_than_sessions_are_all_sessions(number: int):
    """Fault 11: large settings are no overflow."""
    train = random_sessions(15, 80, seed=1)
    found = fit_and_score("sknn", train, [3, 5], k=number, sample_size=number)
    assert found == fit_and_score("sknn", train, [3, 5], k=80, sample_size=80)
