"""The randomisation test against enumeration, against what is known of p-values, and Holm's correction by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.evaluation.differences import SignFlips, holm
from gru4rec_cli.evaluation.uncertainty import BLOCK, session_blocks


def p_value(first: np.ndarray, second: np.ndarray, *, permutations: int, seed: int, n_events: int = 1000) -> float:
    """Of two models' session sums, (n_sessions,) each."""
    return flipped(np.stack([first, second]), permutations=permutations, seed=seed, n_events=n_events).p_value(0, 1)


def flipped(columns: np.ndarray, *, permutations: int, seed: int, n_events: int = 1000) -> SignFlips:
    n_sessions = columns.shape[1]
    flips = SignFlips(n_sessions, n_events, len(columns), permutations=permutations, seed=seed)
    for number, block in enumerate(session_blocks(n_sessions)):
        flips.add(number, columns[:, block])
    return flips


def test_three_sessions_that_agree_by_hand():
    # Of the 8 ways to flip three differences of 1, two (+++ and ---) are as extreme: p is 1/4.
    p = p_value(np.ones(3), np.zeros(3), permutations=20_000, seed=1)
    assert p == pytest.approx(1 / 4, abs=4 * np.sqrt(1 / 4 * 3 / 4 / 20_000))


@pytest.mark.parametrize("seed", range(4))
def test_p_values_are_those_of_all_flips(seed: int):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 4, (2, 8)) / 3  # thirds are not binary fractions, and make many exact ties
    difference = first - second
    flips = np.abs(np.array(list(product([-1, 1], repeat=8))) @ difference)
    exact = np.mean(flips >= abs(difference.sum()) - 1e-9)
    found = p_value(first, second, permutations=20_000, seed=seed)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def test_the_smallest_p_value_is_one_in_flips_plus_one():
    assert p_value(np.ones(200), np.zeros(200), permutations=99, seed=1) == 1 / 100


def test_models_that_are_the_same_have_p_one():
    sums = np.random.default_rng(0).random(500)
    assert p_value(sums, sums, permutations=99, seed=1) == 1.0


def test_p_values_are_uniform_where_models_are_exchangeable():
    rng = np.random.default_rng(11)
    # All pairs of neighbours among 800 models without a difference, each p-value from 199 flips of 60 sessions.
    columns = rng.binomial(3, 0.4, (800, 60)) + rng.random((800, 60))
    flips = flipped(columns, permutations=199, seed=3)
    found = np.array([flips.p_value(i, i + 1) for i in range(0, 800, 2)])
    for level in (0.05, 0.25, 0.5, 0.75):
        share = np.mean(found <= level)
        assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 400)), level


def test_a_real_difference_is_found_only_where_sessions_are_paired():
    rng = np.random.default_rng(4)
    level = 10 * rng.random(300)  # sessions differ much more than models do
    first, second = level + 0.1 + 0.2 * rng.random(300), level + 0.2 * rng.random(300)
    assert p_value(first, second, permutations=999, seed=1, n_events=10_000) == 1 / 1000
    assert p_value(first, rng.permutation(second), permutations=999, seed=1, n_events=10_000) > 0.05


def test_seeds_decide_the_flips_and_more_of_them_only_add():
    columns = np.random.default_rng(0).random((2, BLOCK + 9))
    first = flipped(columns, permutations=600, seed=3, n_events=BLOCK + 9).totals
    assert first.tobytes() == flipped(columns, permutations=600, seed=3, n_events=BLOCK + 9).totals.tobytes()
    assert first.tobytes() != flipped(columns, permutations=600, seed=4, n_events=BLOCK + 9).totals.tobytes()
    assert first[:40].tobytes() == flipped(columns, permutations=40, seed=3, n_events=BLOCK + 9).totals.tobytes()


def test_flips_in_one_block_say_nothing_of_those_in_another():
    sums = np.random.default_rng(0).random((1, 8))
    flips = SignFlips(40, 1000, 1, permutations=4000, seed=3)
    for number in range(5):
        flips.add(number, sums)
    assert flips.totals.std() == pytest.approx(np.sqrt(5 * (sums**2).sum()), rel=0.05)
    assert flips.totals.mean() == pytest.approx(0, abs=0.15)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferronis(p_values: list[float]):
    found = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    assert np.array_equal(np.sort(np.array(found)[order]), np.array(found)[order])
    for p, adjusted in zip(p_values, found, strict=True):
        assert p <= adjusted <= min(1.0, p * len(p_values)) + 1e-15
