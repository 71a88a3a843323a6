"""V-SkNN by hand and against the slow, obvious version."""

import math

import pytest

from tests.models.plain import assert_proportional, fit_and_score, neighbours
from tests.worlds import random_sessions, sessions_of

FIELDS = {"k": 3, "sample_size": 3, "weighting": "quadratic", "weighting_score": "same", "idf_weighting": 3.0}
CLICK = {
    "same": lambda age, length: 1.0,
    "div": lambda age, length: (length - age) / length,
    "linear": lambda age, length: max(1 - 0.1 * age, 0.0),
    "log": lambda age, length: 1 / math.log10(age + 1.7),
    "quadratic": lambda age, length: ((length - age) / length) ** 2,
}
VOTE = {
    "same": lambda age: 1.0,
    "div": lambda age: 1 / (age + 1),
    "linear": lambda age: max(1 - 0.1 * (age + 1), 0.0),
    "log": lambda age: 1 / math.log10(age + 2.7),
    "quadratic": lambda age: 1 / (age + 1) ** 2,
}


def test_late_clicks_count_more_in_similarity_and_vote():
    train = sessions_of([[0, 1], [2, 3]], n_items=5)
    # History [0, 2]: weights 1/2 and 1. Session 0 shares the one before the last, 1/2 · 1/2, session 1 the last, 1 · 1.
    assert_proportional(fit_and_score("vsknn", train, [0, 2]), {0: 1 / 4, 1: 1 / 4, 2: 1.0, 3: 1.0})


def test_rare_items_count_more_with_idf():
    train = sessions_of([[0, 1], [0, 2], [2, 3]], n_items=4)
    idf = {0: math.log(3 / 2), 1: math.log(3), 2: math.log(3 / 2)}
    expected = {0: 2 * (1 + 4 * idf[0]), 1: 1 + 4 * idf[1], 2: 1 + 4 * idf[2]}
    assert_proportional(fit_and_score("vsknn", train, [0], idf_weighting=4.0), expected)


@pytest.mark.parametrize("weighting", CLICK)
@pytest.mark.parametrize("weighting_score", VOTE)
def test_scores_are_those_of_the_obvious_version(weighting: str, weighting_score: str):
    train = random_sessions(15, 80, seed=5)
    for history in ([3], [5, 3, 5], [7, 1, 2, 9, 0, 11, 7], [7, 1, 2, 9, 0, 11, 7, 3, 4, 5, 6, 7, 6]):
        expected = neighbours(
            train,
            history,
            k=6,
            sample_size=11,
            click=CLICK[weighting],
            vote=VOTE[weighting_score],
            rarity=lambda idf: 1 + 2 * idf,
        )
        kinds: dict[str, object] = {"weighting": weighting, "weighting_score": weighting_score, "idf_weighting": 2.0}
        found = fit_and_score("vsknn", train, history, k=6, sample_size=11, **kinds)
        assert_proportional(found, {item: max(score, 1e-30) for item, score in expected.items()})


@pytest.mark.parametrize("weighting", ["div", "linear"])
def test_equal_sums_of_weights_are_equal(weighting: str):
    """Fault 2: of a history of five, 4/5 + 2/5 (.9 + .7) and 5/5 + 1/5 (1 + .6), and the more recent session votes."""
    for sharing in ([[1, 3, 5], [0, 4, 6]], [[0, 4, 6], [1, 3, 5]]):
        train = sessions_of([[2, 7], *sharing], n_items=8)
        found = fit_and_score("vsknn", train, [0, 1, 2, 3, 4], k=1, weighting=weighting)
        assert found.keys() == set(sharing[1])


def test_sessions_are_sampled_also_by_clicks_without_weight():
    """As in session-rec: sampling comes before similarity; a session of similarity 0 does not vote."""
    train = sessions_of([[20, 21], [0, 22]], n_items=23)
    history = [*range(11), 20]  # 0 is eleven clicks old: linear weight 0
    settings = {"weighting": "linear", "weighting_score": "same"}
    assert fit_and_score("vsknn", train, history, **settings).keys() == {20, 21}
    assert fit_and_score("vsknn", train, history, sample_size=1, **settings) == {}
