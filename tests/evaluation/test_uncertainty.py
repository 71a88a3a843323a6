"""The bootstrap against what is known of it."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gru4rec_cli.evaluation import uncertainty
from gru4rec_cli.evaluation.uncertainty import (
    BLOCK,
    SessionBootstrap,
    grid_step,
    on_grid,
    percentile_interval,
    session_blocks,
)
from tests.evaluation.resampling import bootstrap_means, session_sums


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
    for size in (50, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uncertainty, "BLOCK", size)
            fewer, more = (bootstrap_means(sums, counts, resamples=resamples, seed=3) for resamples in (40, 80))
        assert more[:40].tobytes() == fewer.tobytes()


def test_sessions_of_several_blocks_are_resampled_as_those_of_one():
    # 40 blocks of one session, five alike, and one block of 40: the same distribution, so the same spread.
    sums, counts = np.tile(np.random.default_rng(0).random((8, 1)), (5, 1)), np.ones(40)
    spread = {}
    with pytest.MonkeyPatch.context() as patch:
        for size in (1, 8, 40):
            patch.setattr(uncertainty, "BLOCK", size)
            means = bootstrap_means(sums, counts, resamples=4000, seed=1)[:, 0]
            spread[size] = means.std()
            assert means.mean() == pytest.approx(sums.mean(), abs=5 * sums.std() / np.sqrt(40 * 4000))
    expected = sums.std() / np.sqrt(40)
    assert list(spread.values()) == pytest.approx([expected] * 3, rel=0.05)


def test_every_resample_draws_as_many_sessions_as_there_are():
    n_sessions = BLOCK + 5
    bootstrap = SessionBootstrap(n_sessions, 1, resamples=30, seed=4, largest=1.0)
    for number, block in enumerate(session_blocks(n_sessions)):
        bootstrap.add(number, np.ones((1, block.stop - block.start)))
    assert bootstrap.totals.tolist() == [[float(n_sessions)]] * 30


def test_draws_in_one_block_say_nothing_of_those_in_another():
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "BLOCK", 500)
        for number in (0, 1):
            bootstrap = SessionBootstrap(1000, 500, resamples=1, seed=4, largest=1.0)
            bootstrap.add(number, np.eye(500))
            drawn.append(bootstrap.totals[0])
    assert abs(np.corrcoef(*drawn)[0, 1]) < 0.2
    assert drawn[0].sum() + drawn[1].sum() == 1000


def test_sums_on_the_grid_are_exact_in_any_order():
    rng = np.random.default_rng(2)
    values = on_grid(rng.random(10_000), 10_000.0)
    exact = int(sum(int(value / grid_step(10_000.0)) for value in values.tolist())) * grid_step(10_000.0)
    for order in (np.arange(10_000), rng.permutation(10_000), np.argsort(values)):
        assert np.cumsum(values[order])[-1] == exact
    assert np.abs(values - on_grid(values, 1.0)).max() <= grid_step(10_000.0) / 2


def test_the_ends_pass_over_resamples_without_an_event():
    low, high = percentile_interval(np.array([[np.nan], [1.0], [2.0], [3.0]]), 0.999)
    assert (low[0], high[0]) == pytest.approx((1.0, 3.0), abs=0.01)


def test_threads_do_not_change_a_byte():
    code = """
import sys, numpy as np
from gru4rec_cli.evaluation.differences import SignFlips
from tests.evaluation.resampling import bootstrap_means
sums = np.random.default_rng(0).random((3000, 40))
flips = SignFlips(3000, 3000, 40, permutations=700, seed=5)
flips.add(0, sums.T)
means = bootstrap_means(sums, np.ones(3000), resamples=700, seed=5)
sys.stdout.buffer.write(means.tobytes() + flips.totals.tobytes())
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(found) == 1
    assert len(found.pop()) == 2 * 700 * 40 * 8
