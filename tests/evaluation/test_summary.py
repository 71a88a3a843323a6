"""The metrics table and the curves by cutoff, by hand."""

import numpy as np
import pytest

from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.summary import curve_by_cutoff, metric_rows
from tests.worlds import ranks_of, sessions_of


def test_the_table_by_hand():
    sessions = sessions_of([[0, 1, 2], [3, 4]])  # three events
    counts = {"a": ranks_of([0, 2, 5], [0, 1, 0])}
    rows = metric_rows(counts, sessions, EvaluateSettings(cutoffs=(3,), resamples=0), seed=9)
    found = {(row["seed"], row["ties"], row["metric"]): row["value"] for row in rows}
    assert found["all", "optimistic", "recall"] == pytest.approx(2 / 3)  # ranks 1, 3, 6
    assert found["all", "conservative", "recall"] == pytest.approx(1 / 3)  # ranks 1, 4, 6
    assert found["9", "optimistic", "mrr"] == pytest.approx((1 + 1 / 3) / 3)
    assert found["9", "median", "ndcg"] == pytest.approx(1 / 3)  # rank 3.5 is a miss at 3
    assert {row["low"] for row in rows} == {None}
    assert {row["events"] for row in rows} == {3}


def test_an_unseen_target_counts_as_a_miss():
    sessions = sessions_of([[0, 1, 2]], n_items=3)
    sessions.items[2] = UNSEEN
    counts = {"a": ranks_of([0, 3], [0, 0])}
    rows = metric_rows(counts, sessions, EvaluateSettings(cutoffs=(1000,), resamples=0), seed=1)
    assert {row["value"] for row in rows if row["metric"] == "recall"} == {0.5}


def test_curves_by_hand_and_with_intervals_around_them():
    rank, session = np.array([1.0, 3.0, 2.0, 9.0]), np.array([0, 0, 1, 1])
    recall = curve_by_cutoff(rank, session, "recall", 3, resamples=0, confidence=0.9, seed=1)
    assert recall.values.tolist() == [0.25, 0.5, 0.75]
    assert recall.interval is None
    mrr = curve_by_cutoff(rank, session, "mrr", 3, resamples=500, confidence=0.9, seed=1)
    assert mrr.values == pytest.approx([1 / 4, 3 / 8, 11 / 24])
    assert mrr.interval is not None
    # Two sessions: a resample is twice the first, twice the second, or one of each.
    assert mrr.interval[0] == pytest.approx([0, 1 / 4, 1 / 4])
    assert mrr.interval[1] == pytest.approx([1 / 2, 1 / 2, 2 / 3])
