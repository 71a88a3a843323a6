"""Which trial is chosen, and which settings mattered: small cases by hand."""

import math

import pytest

from gru4rec_cli.tuning.choice import best_so_far, chosen, events_needed, importance, importance_by_chance
from gru4rec_cli.tuning.trial import Trial, standard_error


def trials(*values: float | None, error: float = 0.0) -> list[Trial]:
    """Complete trials with these values, failed ones for None."""
    return [
        Trial(number, {}, "failed") if value is None else Trial(number, {}, "complete", value, error)
        for number, value in enumerate(values, start=1)
    ]


def test_the_best_is_the_highest_and_of_equal_ones_the_first():
    best = chosen(trials(0.1, None, 0.3, 0.3, 0.2), "best")
    assert best is not None
    assert best.number == 3


@pytest.mark.parametrize(("error", "number"), [(0.0, 4), (0.04, 3), (0.1, 3), (0.21, 1)])
def test_one_standard_error_takes_the_first_that_is_near_enough(error: float, number: int):
    found = chosen(trials(0.1, 0.05, 0.26, 0.3, error=error), "one-standard-error")
    assert found is not None
    assert found.number == number


def test_a_pruned_trial_is_never_chosen():
    pruned = Trial(3, {}, "pruned", 0.9)
    best = chosen([*trials(0.1, 0.2), pruned], "best")
    assert best is not None
    assert best.number == 2
    assert chosen([pruned], "best") is None


@pytest.mark.parametrize(
    ("p", "n_events", "expected"),
    [(0.5, 50, 100), (0.2, 50, 400), (0.1, 9000, 900), (0.0, 100, math.inf), (1.0, 5, 20), (1.0, 40, 2.5)],
)
def test_the_events_that_are_needed_are_those_of_independent_hits(p: float, n_events: int, expected: float):
    """n = (1 - p) / (.1² p); of hits alone, one event in n counts as the error: n (1 / n / .1)² = 100 / n."""
    (trial,) = trials(p, error=math.sqrt(p * (1 - p) / n_events))
    assert events_needed(trial, n_events) == pytest.approx(expected)


def test_the_best_so_far_passes_over_what_is_not_complete():
    given = [*trials(None, 0.2, 0.1), Trial(4, {}, "pruned", 0.9), *trials(0.3)]
    assert best_so_far(given) == [None, 0.2, 0.2, 0.2, 0.3]


def test_importance_is_the_share_of_variance_between_groups():
    """Values 0, 2 for a = x and 4, 6 for a = y: variance 5, between the means 1 and 5: 4; b explains 1 of 5."""
    given = [
        Trial(number, {"a": a, "b": b}, "complete", value)
        for number, (a, b, value) in enumerate([("x", 1, 0.0), ("x", 2, 2.0), ("y", 1, 4.0), ("y", 2, 6.0)], start=1)
    ]
    found = importance(given, {"a": ["x", "y"], "b": [1, 2], "c": [1]})
    assert list(found) == ["a", "b", "c"]
    assert found == pytest.approx({"a": 0.8, "b": 0.2, "c": 0.0})


def test_many_numbers_are_grouped_by_fifths():
    """Ten values that rise with the number in pairs: each fifth is one pair, so it explains everything."""
    given = [Trial(number, {"a": float(number)}, "complete", float(number // 2)) for number in range(10)]
    assert importance(given, {"a": {"from": 0.0, "to": 9.0}}) == pytest.approx({"a": 1.0})


def test_by_chance_every_group_but_one_explains_a_share():
    """Five complete trials, of which a has 3 values and b five: 2 of 4 and 4 of 4; the failed one does not count."""
    given = [
        Trial(number, {"a": a, "b": b}, "complete", 0.1)
        for number, (a, b) in enumerate(zip("xxyyz", "vwxyz", strict=True))
    ]
    given.append(Trial(9, {"a": "w", "b": "w"}, "failed"))
    assert importance_by_chance(given, {"a": [], "b": []}) == {"a": 0.5, "b": 1.0}
    assert importance_by_chance(given[:1], {"a": []}) == {"a": 0.0}


def test_the_standard_error_counts_sessions_not_events():
    """Mean 1/2 over 4 events; the two sessions are off by +1 and −1 in sum: sqrt(1 + 1) / 4."""
    import numpy as np

    assert standard_error(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1])) == pytest.approx(2**0.5 / 4)
    assert standard_error(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0, 0, 1, 1])) == 0.0
