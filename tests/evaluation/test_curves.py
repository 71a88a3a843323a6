"""Metrics by cutoff, by hand and against one cutoff after the other."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation import uncertainty
from gru4rec_cli.evaluation.curves import curves_by_cutoff
from gru4rec_cli.evaluation.lists import ListSummary
from gru4rec_cli.evaluation.metrics import METRICS, TieRule, target_ranks
from gru4rec_cli.evaluation.session_values import RankedFit
from gru4rec_cli.evaluation.settings import EvaluateSettings
from tests.evaluation.resampling import curve_by_definition
from tests.worlds import random_sessions, sessions_of

NO_LISTS = ListSummary(np.zeros(0), np.zeros((0, 0, 0)))


def fit_of(greater: Sequence[int], equal: Sequence[int] | None = None) -> RankedFit:
    return RankedFit(np.array(greater), np.array([0] * len(greater) if equal is None else equal), NO_LISTS)


def random_fits(sessions: Sessions, number: int) -> list[RankedFit]:
    rng = np.random.default_rng(3)
    n = sessions.n_targets
    return [fit_of(rng.integers(0, 30, n).tolist(), rng.integers(0, 4, n).tolist()) for _ in range(number)]


def test_curves_by_hand_and_with_intervals_around_them():
    sessions = sessions_of([[0, 1, 2], [0, 1, 2]], n_items=9)
    fit = fit_of([0, 2, 1, 8])  # ranks 1, 3; 2, 9
    none = curves_by_cutoff([fit], sessions, EvaluateSettings(cutoffs=(3,), resamples=0), seed=1)
    assert none["recall"] == {"values": [0.25, 0.5, 0.75], "low": None, "high": None}
    both = curves_by_cutoff([fit, fit_of([0, 0, 8, 8])], sessions, EvaluateSettings(cutoffs=(3,), resamples=0), seed=1)
    assert both["recall"]["values"] == [(0.25 + 0.5) / 2, (0.5 + 0.5) / 2, (0.75 + 0.5) / 2]
    settings = EvaluateSettings(cutoffs=(3,), resamples=500, confidence=0.9)
    mrr = curves_by_cutoff([fit], sessions, settings, seed=1)["mrr"]
    assert mrr["values"] == pytest.approx([1 / 4, 3 / 8, 11 / 24])
    # Two sessions: a resample is twice the first, twice the second, or one of each.
    assert mrr["low"] == pytest.approx([0, 1 / 4, 1 / 4])
    assert mrr["high"] == pytest.approx([1 / 2, 1 / 2, 2 / 3])


@pytest.mark.parametrize("ties", ["conservative", "median", "optimistic"])
@pytest.mark.parametrize("n_fits", [1, 3])
def test_curves_are_those_of_one_cutoff_after_the_other_on_the_same_resamples(ties: TieRule, n_fits: int):
    sessions = random_sessions(40, 300, seed=4)
    sessions.items[5::17] = UNSEEN
    settings = EvaluateSettings(cutoffs=(7, 20), ties=ties, resamples=200, confidence=0.9)
    fits, targets = random_fits(sessions, n_fits), sessions.target_items()
    assert (targets < 0).any()
    rank = np.stack([target_ranks(fit.greater, fit.equal, targets, ties) for fit in fits])
    for size in (uncertainty.BLOCK, 64):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uncertainty, "BLOCK", size)
            curves = curves_by_cutoff(fits, sessions, settings, seed=6)
            assert list(curves) == list(METRICS)
            for metric, curve in curves.items():
                expected = curve_by_definition(
                    rank, sessions.event_sessions(), metric, 20, resamples=200, confidence=0.9, seed=6
                )
                for found, given in zip(curve.values(), expected, strict=True):
                    np.testing.assert_allclose(found, given, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("ties", ["conservative", "median"])
def test_no_list_is_longer_than_the_catalogue(ties: TieRule):
    sessions = random_sessions(12, 60, seed=2)
    sessions.items[3::11] = UNSEEN
    rng = np.random.default_rng(0)
    unseen = sessions.target_items() < 0
    fit = fit_of(np.where(unseen, 12, rng.integers(0, 12, sessions.n_targets)).tolist())
    exact, longer = (
        curves_by_cutoff([fit], sessions, EvaluateSettings(cutoffs=(k,), ties=ties, resamples=50), seed=1)
        for k in (12, 10**6)
    )
    assert longer == exact
    assert len(exact["recall"]["values"]) == 12
    assert exact["recall"]["values"][-1] == pytest.approx(1 - unseen.mean())


def test_memory_does_not_grow_with_events_times_cutoffs():
    peaks = {}
    for n_sessions in (2_000, 20_000):
        sessions = random_sessions(200, n_sessions, seed=5, longest=12)
        fits = random_fits(sessions, 1)
        settings = EvaluateSettings(cutoffs=(200,), resamples=2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uncertainty, "BLOCK", 500)
            tracemalloc.start()
            curves_by_cutoff(fits, sessions, settings, seed=1)
            peaks[n_sessions] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    # 18,000 sessions more are about 100,000 events: a few numbers an event, and not 200.
    assert peaks[20_000] - peaks[2_000] < 100_000 * 8 * 20
