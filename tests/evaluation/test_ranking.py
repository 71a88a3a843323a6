"""Ranks against the plain definition."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.evaluation.metrics import TIE_RULES, metric_values, ranks
from gru4rec_cli.evaluation.ranking import ScoreError, count_above, rank_targets
from gru4rec_cli.scores import ScoreBlock
from tests.worlds import random_sessions, sessions_of


def blocks_of(scores: np.ndarray, size: int) -> Iterator[ScoreBlock]:
    for start in range(0, len(scores), size):
        yield ScoreBlock(start, scores[start : start + size].astype(np.float32))


# Few distinct scores, so that ties are common; infinities are scores too.
SCORES = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, np.inf])


@settings(deadline=None)
@given(
    st.integers(2, 7).flatmap(lambda v: st.lists(st.lists(SCORES, min_size=v, max_size=v), min_size=1, max_size=6)),
    st.data(),
)
def test_counts_are_those_of_the_definition(rows: list[list[float]], data: st.DataObject):
    n_items = len(rows[0])
    targets = data.draw(st.lists(st.integers(0, n_items - 1), min_size=len(rows), max_size=len(rows)))
    greater, equal = count_above(np.array(rows, dtype=np.float32), np.array(targets, dtype=np.int32))
    for row, target, g, e in zip(rows, targets, greater.tolist(), equal.tolist(), strict=True):
        assert g == sum(1 for score in row if score > row[target])
        assert e == sum(1 for item, score in enumerate(row) if score == row[target] and item != target)
        optimistic, median, conservative = (
            ranks(np.array([g]), np.array([e]), rule)[0] for rule in ("optimistic", "median", "conservative")
        )
        assert 1 <= optimistic <= median <= conservative <= n_items


def test_a_constant_scorer_under_each_tie_rule():
    test = random_sessions(50, 30, seed=3)
    found = rank_targets(blocks_of(np.zeros((test.n_targets, 50)), 7), test)
    recall = {rule: metric_values(ranks(found.greater, found.equal, rule), "recall", 20).mean() for rule in TIE_RULES}
    assert recall == {"conservative": 0.0, "median": 0.0, "optimistic": 1.0}
    assert set(ranks(found.greater, found.equal, "median")) == {25.5}


def test_a_perfect_scorer_is_always_first():
    test = random_sessions(50, 30, seed=3)
    perfect = np.eye(50)[test.target_items()]
    found = rank_targets(blocks_of(perfect, 16), test)
    assert found.greater.sum() == 0
    assert found.equal.sum() == 0


def test_a_target_that_training_lacks_has_every_item_above_it():
    test = sessions_of([[0, 1, 2], [1, 0]], n_items=3)
    test.items[1] = UNSEEN
    found = rank_targets(blocks_of(np.arange(9).reshape(3, 3), 2), test)
    assert found.greater.tolist() == [3, 0, 2]


def test_nan_scores_are_an_error_and_never_a_rank():
    test = sessions_of([[0, 1, 2]])
    scores = np.array([[0.0, 1.0, 2.0], [0.0, np.nan, 2.0]])
    with pytest.raises(ScoreError, match=r"not numbers \(NaN\)"):
        rank_targets(blocks_of(scores, 2), test)


@pytest.mark.parametrize("events", [1, 3])
def test_scores_for_too_few_or_too_many_events_are_an_error(events: int):
    test = sessions_of([[0, 1, 2]])
    with pytest.raises(ScoreError, match=r"expected scores|are missing"):
        rank_targets(blocks_of(np.zeros((events, 3)), 5), test)


def test_scores_of_another_vocabulary_are_an_error():
    with pytest.raises(ScoreError, match="over 3 items"):
        rank_targets(blocks_of(np.zeros((2, 4)), 5), sessions_of([[0, 1, 2]]))
