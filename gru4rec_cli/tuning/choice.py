"""What a search says in the end: the chosen trial, and which settings mattered."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gru4rec_cli.tuning.space import Space
from gru4rec_cli.tuning.trial import Trial

LARGEST_ERROR = 0.1  # of a value, as a share of it, beyond which chance decides between settings: docs/warnings.md
_BINS = 5  # of the values of an interval
Rule = Literal["best", "one-standard-error"]


def chosen(trials: Sequence[Trial], rule: Rule) -> Trial | None:
    """Return the trial that a rule chooses of those that are complete, or None where none is.

    best: the highest value, of equal ones the first. one-standard-error: the first one whose value is at most a
    standard error of the best one below it (after Breiman et al., 1984, with "first" for "simplest": trial 1 are the
    model's own settings).
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    if not complete:
        return None
    best = max(complete, key=lambda trial: trial.value or 0.0)
    if rule == "best":
        return best
    least = (best.value or 0.0) - (best.error or 0.0)
    return next(trial for trial in complete if (trial.value or 0.0) >= least)


def events_needed(trial: Trial, n_events: int) -> float:
    """Return the number of validation events with which the standard error of a trial's value would be LARGEST_ERROR of
    it; infinite for a value of 0.

    The standard error falls with the root of the number. It is taken to be one event of the `n_events` at least: if all
    of a few events are hits, their variance of 0 says nothing.
    """
    if not trial.value:
        return float("inf")
    error = max(trial.error or 0.0, 1 / n_events)
    return n_events * (error / trial.value / LARGEST_ERROR) ** 2


def best_so_far(trials: Sequence[Trial]) -> list[float | None]:
    """Return the best value of the complete trials up to each trial."""
    found: list[float | None] = []
    for trial in trials:
        values = [value for value in (found[-1:] or [None]) if value is not None]
        values += [trial.value] if trial.state == "complete" and trial.value is not None else []
        found.append(max(values, default=None))
    return found


def importance(trials: Sequence[Trial], space: Space) -> dict[str, float]:
    """Return by setting the share of the variance of the values that it explains alone, 0 to 1, the largest first.

    It is η² of a one-way analysis of variance over the complete trials: variance between the means of the groups of
    trials with the same value (of more than five values: fifths by rank) over the whole variance. It overstates where
    groups are small: with n trials in g groups, values that mean nothing give (g − 1) / (n − 1) on average.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    values = np.array([trial.value for trial in complete], dtype=np.float64)
    shares = dict.fromkeys(space, 0.0)
    if len(values) > 1 and values.var() > 0:
        shares = {key: _explained(_groups([trial.entry.get(key) for trial in complete]), values) for key in space}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def importance_by_chance(trials: Sequence[Trial], space: Space) -> dict[str, float]:
    """Return by setting the importance that values which mean nothing have on average: (g − 1) / (n − 1) with n
    complete trials in g groups; 0 where there are fewer than two."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    if len(complete) < 2:
        return dict.fromkeys(space, 0.0)
    groups = {key: set(_groups([trial.entry.get(key) for trial in complete])) for key in space}
    return {key: (len(found) - 1) / (len(complete) - 1) for key, found in groups.items()}


def _groups(given: list[object]) -> list[int]:
    """Return the group of every trial: that of its value, or of its fifth where there are many different numbers."""
    distinct = sorted({repr(value) for value in given})
    numbers = [value for value in given if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(distinct) <= _BINS or len(numbers) < len(given):
        return [distinct.index(repr(value)) for value in given]
    edges = np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])
    return [int(group) for group in np.searchsorted(edges, numbers)]


def _explained(groups: list[int], values: np.ndarray) -> float:
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=values) / np.maximum(counts, 1)
    between = float((counts * (means - values.mean()) ** 2).sum() / len(values))
    return min(1.0, between / float(values.var()))
