"""Random: uniform, and the same for the same history."""

import numpy as np

from gru4rec_cli.evaluation.metrics import ranks
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.models.random import Model, Settings
from tests.worlds import random_sessions, sessions_of

FIELDS: dict[str, object] = {}


def fitted(n_items: int) -> Model:
    model = Model(Settings())
    model.fit(random_sessions(n_items, 20, seed=1))
    return model


def test_every_rank_is_as_likely_as_any_other():
    test = random_sessions(10, 4000, seed=2)
    found = rank_targets(fitted(10).score(test), test)
    counts = np.bincount(ranks(found.greater, found.equal, "conservative").astype(int), minlength=11)[1:]
    expected = test.n_targets / 10
    # Pearson's statistic has 9 degrees of freedom; above 27.9 one time in a thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 27.9


def test_the_history_decides_and_its_order_counts():
    scores = [fitted(10).recommend(history, 10)[0].tolist() for history in ([1, 2], [1, 2], [2, 1], [2])]
    assert scores[0] == scores[1]
    assert len({tuple(order) for order in scores}) == 3
    (block,) = fitted(10).score(sessions_of([[1, 2, 3]], 10))
    assert block.scores.min() >= 0
    assert block.scores.max() < 1
