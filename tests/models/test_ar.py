"""Association rules by hand and against dictionaries."""

import pytest

from tests.models import plain
from tests.models.plain import fit_and_score
from tests.worlds import random_sessions, sessions_of

FIELDS = {"pruning": 1}


def test_clicks_before_and_after_count_and_so_does_every_repetition():
    # In [0, 1, 1] two pairs lead from 0 to 1, two from 1 to 0, and two from 1 to 1, either way; in [2, 1] one each.
    train = sessions_of([[0, 1, 1], [2, 1]], n_items=4)
    assert fit_and_score("ar", train, [1]) == {0: 2.0, 1: 2.0, 2: 1.0}
    assert fit_and_score("ar", train, [1, 0]) == {1: 2.0}
    assert fit_and_score("ar", train, [3]) == {}


def test_pruning_keeps_the_strongest_equal_ones_by_popularity():
    train = sessions_of([[0, 1], [0, 2], [0, 3], [0, 3], [2, 3]], n_items=4)
    assert fit_and_score("ar", train, [0], pruning=2) == {3: 2.0, 2: 1.0}  # 1 and 2 are equal; 2 has more clicks


@pytest.mark.parametrize("seed", range(3))
def test_rules_are_those_of_dictionaries(seed: int):
    train = random_sessions(12, 60, seed=seed)
    expected = plain.rules(train, lambda x, y: 1.0)
    for item in range(12):
        assert fit_and_score("ar", train, [5, item]) == pytest.approx(expected[item])
