"""Sequential rules by hand and against dictionaries."""

import math

import pytest

from tests.models import plain
from tests.models.plain import fit_and_score
from tests.worlds import random_sessions, sessions_of

FIELDS = {"steps": 1, "weighting": "same", "pruning": 1}


def test_only_later_clicks_count_by_their_distance():
    train = sessions_of([[0, 1, 2, 3], [1, 3]], n_items=4)
    assert fit_and_score("sr", train, [1]) == pytest.approx({2: 1.0, 3: 1 / 2 + 1})
    assert fit_and_score("sr", train, [0]) == pytest.approx({1: 1.0, 2: 1 / 2, 3: 1 / 3})
    assert fit_and_score("sr", train, [3]) == {}
    assert fit_and_score("sr", train, [0], steps=2) == pytest.approx({1: 1.0, 2: 1 / 2})


@pytest.mark.parametrize(
    ("weighting", "of"),
    [
        ("same", lambda d: 1.0),
        ("div", lambda d: 1 / d),
        ("linear", lambda d: max(1 - 0.1 * d, 0.0)),
        ("log", lambda d: 1 / math.log10(d + 1.7)),
        ("quadratic", lambda d: 1 / d**2),
    ],
)
def test_rules_are_those_of_dictionaries(weighting: str, of):
    train = random_sessions(12, 60, seed=4, longest=15)
    expected = plain.rules(train, lambda x, y: of(y - x) if 0 < y - x <= 11 else 0.0)
    for item in range(12):
        found = fit_and_score("sr", train, [item], weighting=weighting, steps=11)
        assert found == pytest.approx(expected[item], rel=1e-6)


def test_rules_reach_no_farther_than_the_longest_session():
    """Fault 11: a large `steps` takes no memory."""
    train = random_sessions(15, 80, seed=1)
    assert fit_and_score("sr", train, [3], steps=10**12) == fit_and_score("sr", train, [3], steps=100)
