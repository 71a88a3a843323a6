"""Item-kNN by hand and against dictionaries."""

import pytest

from tests.models import plain
from tests.models.plain import fit_and_score
from tests.worlds import random_sessions, sessions_of

FIELDS = {"n_sims": 1, "lmbd": 0.0, "alpha": 0.9}


def test_the_shrunk_cosine_counts_a_session_once():
    # Sessions with 0: 3, with 1: 2, with 2: 2; with 0 and 1: 2, with 0 and 2: 1.
    train = sessions_of([[0, 1, 0, 1], [0, 1], [0, 2], [2, 3]], n_items=4)
    found = fit_and_score("iknn", train, [0], lmbd=20.0)
    assert found == pytest.approx({1: 2 / (23 * 22) ** 0.5, 2: 1 / (23 * 22) ** 0.5})
    assert fit_and_score("iknn", train, [0], lmbd=0.0) == pytest.approx({1: 2 / 6**0.5, 2: 1 / 6**0.5})
    skewed = fit_and_score("iknn", train, [0], lmbd=1.0, alpha=0.75)
    assert skewed == pytest.approx({1: 2 / (4**0.75 * 3**0.25), 2: 1 / (4**0.75 * 3**0.25)})
    assert fit_and_score("iknn", train, [0], n_sims=1).keys() == {1}


@pytest.mark.parametrize("seed", range(3))
def test_similarities_are_those_of_sets(seed: int):
    train = random_sessions(12, 60, seed=seed)
    sessions = [set(clicks) for clicks in plain.as_lists(train)]
    holding = [sum(item in clicks for clicks in sessions) for item in range(12)]
    for item in range(12):
        both = {j: sum({item, j} <= clicks for clicks in sessions) for j in range(12) if j != item}
        expected = {j: n / ((holding[item] + 2) * (holding[j] + 2)) ** 0.5 for j, n in both.items() if n}
        assert fit_and_score("iknn", train, [item], lmbd=2.0) == pytest.approx(expected, rel=1e-6)
