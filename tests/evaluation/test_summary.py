"""The metrics table and the differences between models, by hand and by definition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation.lists import summarise_lists
from gru4rec_cli.evaluation.metrics import metric_values
from gru4rec_cli.evaluation.session_values import RankedFit
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.summary import Summary
from gru4rec_cli.evaluation.uncertainty import percentile_interval
from tests.evaluation.resampling import bootstrap_means, session_sums
from tests.worlds import random_sessions, sessions_of, with_supports

Cell = tuple[str, str, str, str, str, int]  # model, seed, metric, tie rule, slice, cutoff


def fit_of(greater: Sequence[int], equal: Sequence[int], sessions: Sessions, settings: EvaluateSettings) -> RankedFit:
    """Ranks with lists of the first items of the vocabulary."""
    longest = min(sessions.n_items, max(settings.cutoffs))
    lists = np.tile(np.arange(longest, dtype=np.int32), (sessions.n_targets, 1))
    return RankedFit(np.array(greater), np.array(equal), summarise_lists(lists, sessions, settings.cutoffs))


def random_fit(sessions: Sessions, settings: EvaluateSettings, seed: int, worst: int = 30) -> RankedFit:
    rng = np.random.default_rng(seed)
    greater = rng.integers(0, worst, sessions.n_targets).tolist()
    return fit_of(greater, rng.integers(0, 3, sessions.n_targets).tolist(), sessions, settings)


def by_cell(rows: list[dict[str, Any]]) -> dict[Cell, dict[str, Any]]:
    found = {(r["model"], r["seed"], r["metric"], r["ties"], r["slice"], r["k"]): r for r in rows}
    assert len(found) == len(rows)
    return found


def test_the_table_by_hand():
    sessions = with_supports(sessions_of([[0, 1, 2], [3, 4]]), [4, 3, 2, 2, 1])  # three events
    settings = EvaluateSettings(cutoffs=(3,), resamples=0, permutations=1)
    fits = {"a": {9: fit_of([0, 2, 5], [0, 1, 0], sessions, settings)}}
    rows = by_cell(Summary(fits, sessions, settings, seed=9).rows())
    assert rows["a", "all", "recall", "optimistic", "all", 3]["value"] == pytest.approx(2 / 3)  # ranks 1, 3, 6
    assert rows["a", "all", "recall", "conservative", "all", 3]["value"] == pytest.approx(1 / 3)  # ranks 1, 4, 6
    assert rows["a", "9", "mrr", "optimistic", "all", 3]["value"] == pytest.approx((1 + 1 / 3) / 3)
    assert rows["a", "9", "ndcg", "median", "all", 3]["value"] == pytest.approx(1 / 3)  # rank 3.5 is a miss at 3
    first = rows["a", "all", "recall", "conservative", "position=1", 3]
    assert (first["value"], first["events"]) == (pytest.approx(1 / 2), 2)
    # The lists hold items 0, 1 and 2 of five; histories are 0; 0 1; 3.
    assert rows["a", "all", "coverage", "any", "all", 3]["value"] == pytest.approx(3 / 5)
    assert rows["a", "all", "repeats", "any", "all", 3]["value"] == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    assert rows["a", "all", "popularity_rank", "any", "all", 3]["value"] == pytest.approx((1 + 2 + 3.5) / 5 / 3)
    assert {row["low"] for row in rows.values()} == {None}
    assert {row["events"] for row in rows.values() if row["slice"] == "all"} == {3}
    assert {slice for *_, slice, _ in rows} == {
        *("all", "position=1", "position=2", "length=2", "length=3-5", "target=torso", "target=tail")
    }  # those with events


def test_an_unseen_target_counts_as_a_miss():
    sessions = sessions_of([[0, 1, 2]], n_items=3)
    sessions.items[2] = UNSEEN
    settings = EvaluateSettings(cutoffs=(1000,), resamples=0, permutations=1)
    rows = Summary({"a": {1: fit_of([0, 3], [0, 0], sessions, settings)}}, sessions, settings, seed=1).rows()
    assert {row["value"] for row in rows if row["metric"] == "recall" and row["slice"] == "all"} == {0.5}


def test_the_values_of_a_slice_are_means_over_its_events():
    sessions = with_supports(random_sessions(40, 300, seed=1, longest=14), range(40, 0, -1))
    settings = EvaluateSettings(cutoffs=(3, 12), ties="median", resamples=0, permutations=1)
    fit = random_fit(sessions, settings, seed=2)
    rows = by_cell(Summary({"a": {1: fit}}, sessions, settings, seed=1).rows())
    rank = (fit.greater + fit.equal / 2 + 1).astype(np.float64)
    late, length = sessions.event_positions() >= 6, sessions.lengths[sessions.event_sessions()]
    for name, mask in (("position=6+", late), ("length=6-10", (length >= 6) & (length <= 10))):
        for metric in ("recall", "mrr", "ndcg"):
            row = rows["a", "all", metric, "median", name, 12]
            assert row["value"] == pytest.approx(metric_values(rank[mask], metric, 12).mean())
            assert row["events"] == mask.sum()
    assert {ties for _, _, _, ties, name, _ in rows if name == "position=6+"} == {"median"}


def test_intervals_are_those_of_the_bootstrap_of_each_metric_alone():
    sessions = random_sessions(40, 200, seed=3)
    settings = EvaluateSettings(cutoffs=(5, 10), resamples=300, confidence=0.9, permutations=1)
    fits = {name: {1: random_fit(sessions, settings, seed)} for seed, name in enumerate("ab")}
    rows = by_cell(Summary(fits, sessions, settings, seed=6).rows())
    fit, counts = fits["b"][1], (sessions.lengths - 1).astype(float)
    for metric in ("recall", "mrr"):
        values = metric_values((fit.greater + fit.equal + 1).astype(np.float64), metric, 10)
        sums = session_sums(values, sessions.event_sessions(), 200)
        low, high = percentile_interval(bootstrap_means(sums[:, None], counts, resamples=300, seed=6), 0.9)
        row = rows["b", "all", metric, "conservative", "all", 10]
        assert (row["low"], row["high"]) == pytest.approx((low[0], high[0]), abs=1e-9)
        assert row["low"] < row["value"] < row["high"]
    assert rows["b", "all", "recall", "conservative", "position=2", 5]["low"] is None
    assert rows["b", "all", "recall", "conservative", "position=2", 10]["low"] > 0
    assert rows["b", "all", "repeats", "any", "all", 5]["low"] > 0
    assert rows["b", "all", "coverage", "any", "all", 10]["low"] is None


def test_the_mean_over_seeds_and_its_interval():
    sessions = random_sessions(40, 200, seed=3)
    settings = EvaluateSettings(cutoffs=(10,), resamples=200, permutations=1)
    one, other = (random_fit(sessions, settings, seed) for seed in (4, 5))
    fits = {"two": {4: one, 5: other}, "twice": {4: one, 6: one}, "one": {4: one}}
    rows = by_cell(Summary(fits, sessions, settings, seed=1).rows())

    def row(model: str, seed: str) -> dict[str, Any]:
        return rows[model, seed, "mrr", "conservative", "all", 10]

    assert {seed for model, seed, *_ in rows if model == "two"} == {"4", "5", "all"}
    assert row("two", "all")["value"] == pytest.approx((row("two", "4")["value"] + row("two", "5")["value"]) / 2)
    # A seed that changes nothing narrows nothing: the interval is of the events.
    for end in ("value", "low", "high"):
        assert row("twice", "all")[end] == row("one", "all")[end] == row("one", "4")[end]
    # Independent errors of two seeds average out over the same events.
    width = {model: row(model, "all")["high"] - row(model, "all")["low"] for model in ("one", "two")}
    assert width["two"] < 0.9 * width["one"]


def differences(fits: Mapping[str, RankedFit], sessions: Sessions, settings: EvaluateSettings) -> list[dict[str, Any]]:
    return Summary({name: {1: fit} for name, fit in fits.items()}, sessions, settings, seed=2).differences()


def test_differences_by_hand():
    sessions = sessions_of([[0, 1]] * 3)  # three sessions of one event
    settings = EvaluateSettings(cutoffs=(1, 2), resamples=400, permutations=2000)
    fits = {
        "low": fit_of([2, 0, 2], [0] * 3, sessions, settings),
        "high": fit_of([0] * 3, [0] * 3, sessions, settings),
        "none": fit_of([9] * 3, [0] * 3, sessions, settings),
    }
    rows = differences(fits, sessions, settings)
    assert [(r["first"], r["second"], r["metric"]) for r in rows[:4]] == [
        *(("high", "low", "recall"), ("high", "none", "recall"), ("low", "none", "recall"), ("high", "low", "mrr"))
    ]
    assert {(row["k"], row["ties"]) for row in rows} == {(2, "conservative")}
    first, second, third = rows[:3]
    assert (first["value"], first["relative"]) == (pytest.approx(2 / 3), pytest.approx(2))
    assert (second["value"], second["relative"]) == (1, None)
    assert (second["low"], second["high"]) == (1, 1)
    # Recall: of 8 flips of (1, 0, 1) half leave ±2; of (1, 1, 1) two leave ±3; of (0, 1, 0) all leave ±1.
    for row, p in ((first, 1 / 2), (second, 1 / 4), (third, 1)):
        assert row["p"] == pytest.approx(p, abs=0.05)
        assert not row["distinguishable"]
    assert second["p_holm"] == pytest.approx(3 * second["p"])


def test_a_clear_difference_is_told_apart_and_none_is_not():
    sessions = random_sessions(40, 400, seed=7)
    settings = EvaluateSettings(cutoffs=(10,), resamples=100, permutations=500)
    fits = {"good": random_fit(sessions, settings, 1, worst=20), "bad": random_fit(sessions, settings, 2)}
    fits["same"] = fits["bad"]
    recall = [row for row in differences(fits, sessions, settings) if row["metric"] == "recall"]
    assert [(row["first"], row["second"], row["distinguishable"]) for row in recall] == [
        *(("good", "bad", True), ("good", "same", True), ("bad", "same", False))
    ]
    assert recall[0]["p"] == 1 / 501
    assert recall[0]["low"] > 0
    same = recall[2]
    assert (same["value"], same["low"], same["high"], same["p"], same["p_holm"]) == (0, 0, 0, 1, 1)


def test_the_order_of_sessions_does_not_matter():
    sessions = with_supports(random_sessions(40, 500, seed=7, longest=12), range(1, 41))
    settings = EvaluateSettings(cutoffs=(5, 10), resamples=800, permutations=4000)
    order = np.random.default_rng(0).permutation(500)
    moved = sessions.select(order)
    events = np.concatenate([np.flatnonzero(sessions.event_sessions() == session) for session in order])
    fits = {name: random_fit(sessions, settings, seed, worst=30 + 2 * seed) for seed, name in enumerate("abc")}
    fits_moved = {
        name: fit_of(fit.greater[events].tolist(), fit.equal[events].tolist(), moved, settings)
        for name, fit in fits.items()
    }
    one, other = (
        Summary({name: {1: fit} for name, fit in each.items()}, over, settings, seed=2)
        for each, over in ((fits, sessions), (fits_moved, moved))
    )
    for before, after in zip(one.rows(), other.rows(), strict=True):
        assert after["value"] == pytest.approx(before["value"], abs=1e-12)
        assert {**after, "value": 0, "low": 0, "high": 0} == {**before, "value": 0, "low": 0, "high": 0}
        if before["low"] is not None:  # other resamples of the same sessions
            width = before["high"] - before["low"]
            assert after["high"] - after["low"] == pytest.approx(width, rel=0.2, abs=1e-8)
    for before, after in zip(one.differences(), other.differences(), strict=True):
        assert (after["first"], after["second"]) == (before["first"], before["second"])
        assert after["value"] == pytest.approx(before["value"], abs=1e-12)
        assert after["p"] == pytest.approx(before["p"], abs=0.05)
