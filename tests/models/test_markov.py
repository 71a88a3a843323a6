"""Markov chains by hand and against dictionaries."""

from collections import Counter

import pytest

from gru4rec_cli.models.markov import Model, Settings
from tests.models import plain
from tests.models.plain import fit_and_score
from tests.worlds import random_sessions, sessions_of

FIELDS = {"order": 2, "backoff": ({"order": 2}, 0.9)}
TRAIN = sessions_of([[0, 1, 2], [3, 1, 4], [0, 1, 2], [5, 1, 4, 4]], n_items=6)


def test_first_order_counts_what_directly_followed():
    assert fit_and_score("markov", TRAIN, [0, 1]) == {2: 2.0, 4: 2.0}
    model = Model(Settings())
    model.fit(TRAIN)
    # 4 and 2 followed twice each; 4 was clicked 3 times in all, 2 twice; then 1 (4 clicks), 0 (2), 3 and 5 (1 each).
    assert model.recommend([0, 1], 6)[0].tolist() == [4, 2, 1, 0, 3, 5]


def test_second_order_takes_the_last_two_and_backs_off_to_the_last():
    found = fit_and_score("markov", TRAIN, [0, 1], order=2, backoff=0.4)
    assert found == pytest.approx({2: 2 / 2, 4: 0.4 * 2 / 4})
    assert fit_and_score("markov", TRAIN, [2, 1], order=2) == pytest.approx({2: 0.4 * 2 / 4, 4: 0.4 * 2 / 4})
    assert fit_and_score("markov", TRAIN, [1], order=2) == pytest.approx({2: 0.4 * 2 / 4, 4: 0.4 * 2 / 4})


@pytest.mark.parametrize("seed", range(3))
def test_both_orders_are_those_of_dictionaries(seed: int):
    train = random_sessions(12, 60, seed=seed)
    singles = plain.rules(train, lambda x, y: 1.0 if y == x + 1 else 0.0)
    pairs: dict[tuple[int, int], Counter[int]] = {}
    for clicks in plain.as_lists(train):
        for h, i, j in zip(clicks, clicks[1:], clicks[2:], strict=False):
            pairs.setdefault((h, i), Counter())[j] += 1
    for history in ([3], [5, 3], [7, 7, 2]):
        last = singles[history[-1]]
        assert fit_and_score("markov", train, history) == pytest.approx(last)
        expected = {j: 0.3 * count / sum(last.values()) for j, count in last.items()}
        known = pairs.get((history[-2], history[-1]), Counter()) if len(history) > 1 else Counter()
        expected |= {j: count / sum(known.values()) for j, count in known.items()}
        assert fit_and_score("markov", train, history, order=2, backoff=0.3) == pytest.approx(expected)


def test_second_order_backs_off_where_no_session_has_three_clicks():
    assert fit_and_score("markov", sessions_of([[0, 1]]), [0, 0], order=2, backoff=0.4) == pytest.approx({1: 0.4})
