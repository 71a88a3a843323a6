"""One trial: the metric at a cutoff beyond the number of items."""

import tracemalloc

import pytest

from gru4rec_cli.evaluation.metrics import LARGEST_CUTOFF
from gru4rec_cli.tuning.trial import Job, run_trial
from tests.worlds import random_sessions

SESSIONS = random_sessions(12, 300, seed=1)


def measured(metric: str) -> tuple[float | None, int]:
    """The value of a trial, and the most memory that it took, in bytes."""
    tracemalloc.start()
    try:
        trial, _ = run_trial(Job(1, "sr", {}, 1, metric), SESSIONS, SESSIONS)
        return trial.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_cutoff_beyond_the_number_of_items_means_all_items():
    """All targets are items of training, so each is somewhere among all items."""
    assert measured(f"recall@{LARGEST_CUTOFF}")[0] == 1.0
    assert measured(f"mrr@{LARGEST_CUTOFF}")[0] == measured("mrr@12")[0]


def test_the_memory_of_a_trial_does_not_grow_with_the_cutoff():
    measured("mrr@1")  # compiles
    small, large = measured("mrr@1")[1], measured(f"mrr@{LARGEST_CUTOFF}")[1]
    assert large == pytest.approx(small, rel=0.1)
