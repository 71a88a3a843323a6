"""The bootstrap against what is known of it."""

import numpy as np
import pytest

from gru4rec_cli.evaluation.uncertainty import bootstrap_means, percentile_interval, session_sums


def test_session_sums_by_hand():
    values, sessions = np.array([1.0, 0.0, 0.5, 1.0]), np.array([0, 0, 2, 2])
    assert session_sums(values, sessions, 4).tolist() == [1.0, 0.0, 1.5, 0.0]


def test_the_spread_is_that_of_the_ratio_of_means():
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 6, 4000).astype(float)
    sums = rng.binomial(counts.astype(int), 0.3).astype(float)
    means = bootstrap_means(sums[:, None], counts, resamples=2000, seed=1)[:, 0]
    value = sums.sum() / counts.sum()
    # The delta method for a ratio: variance of (sum - value * count) over sessions.
    expected = np.sqrt(np.sum((sums - value * counts) ** 2)) / counts.sum()
    assert means.std() == pytest.approx(expected, rel=0.05)
    assert means.mean() == pytest.approx(value, abs=4 * expected / np.sqrt(2000))
    low, high = percentile_interval(means[:, None], 0.95)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * expected, rel=0.1)


def test_events_of_one_session_stay_together():
    # All events of a session agree: the interval must be that of 100 sessions, not of 1,000 events.
    counts = np.full(100, 10.0)
    sums = np.repeat([10.0, 0.0], 50)
    means = bootstrap_means(sums[:, None], counts, resamples=3000, seed=2)[:, 0]
    assert means.std() == pytest.approx(np.sqrt(0.25 / 100), rel=0.06)


def test_columns_are_resampled_together():
    rng = np.random.default_rng(0)
    sums = rng.random((50, 1))
    means = bootstrap_means(np.hstack([sums, 2 * sums]), np.ones(50), resamples=40, seed=3)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0])


def test_seeds_decide_the_resamples_and_more_of_them_only_add():
    sums, counts = np.random.default_rng(0).random((50, 2)), np.ones(50)
    first = bootstrap_means(sums, counts, resamples=40, seed=3)
    assert first.tobytes() == bootstrap_means(sums, counts, resamples=40, seed=3).tobytes()
    assert first.tobytes() != bootstrap_means(sums, counts, resamples=40, seed=4).tobytes()
    np.testing.assert_allclose(bootstrap_means(sums, counts, resamples=80, seed=3)[:40], first)
