"""Times the intervals and tests of a large evaluation: `python docs/dev/bench_uncertainty.py`, all options optional.

Prints wall time, CPU time and peak memory of `Summary`, that is, of everything that `evaluate` does between the ranks
and its tables. OMP_NUM_THREADS=1 shows what one core takes.
"""

import argparse
import os
import time

import numpy as np

from gru4rec_cli.base.measuring import measured, peak_memory
from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.evaluation.lists import summarise_lists
from gru4rec_cli.evaluation.session_values import RankedFit
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.summary import Summary

ITEMS = 50_000


def made_up_sessions(n_sessions: int, n_events: int, rng: np.random.Generator) -> Sessions:
    """Sessions with `n_events` clicks to predict, geometric lengths, Zipf popularity."""
    extra = rng.geometric(n_sessions / n_events, n_sessions)
    lengths = np.maximum(1, np.rint(extra * (n_events / extra.sum()))).astype(np.int64) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    weights = 1 / np.arange(1, ITEMS + 1)
    items = rng.choice(ITEMS, offsets[-1], p=weights / weights.sum()).astype(np.int32)
    supports = np.rint(1e7 * weights / weights.sum()).astype(np.int64)
    vocabulary = Vocabulary(np.arange(ITEMS), supports)
    return Sessions(items, offsets, np.arange(len(items)), np.arange(n_sessions), vocabulary)


def made_up_fit(sessions: Sessions, cutoffs: tuple[int, ...], rng: np.random.Generator) -> RankedFit:
    """Ranks spread evenly on a logarithmic scale, a few ties, random lists."""
    greater = np.exp(rng.uniform(0, np.log(ITEMS), sessions.n_targets)).astype(np.int64) - 1
    equal = rng.integers(0, 2, sessions.n_targets) * rng.integers(0, 2, sessions.n_targets)
    lists = rng.integers(0, ITEMS, (sessions.n_targets, max(cutoffs)), dtype=np.int32)
    return RankedFit(greater, equal, summarise_lists(lists, sessions, cutoffs))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=250_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--permutations", type=int, default=10_000)
    given = parser.parse_args()
    settings = EvaluateSettings(resamples=given.resamples, permutations=given.permutations)
    rng = np.random.default_rng(1)
    sessions = made_up_sessions(given.sessions, given.events, rng)
    models = {f"model-{i}": {1: made_up_fit(sessions, settings.cutoffs, rng)} for i in range(given.models)}
    before, cpu = peak_memory(), time.process_time()
    with measured() as cost:
        summary = Summary(models, sessions, settings, seed=1)
        rows, differences = summary.rows(), summary.differences()
    cpu = time.process_time() - cpu
    print(f"{given.models} models, {sessions.n_targets:,} events in {sessions.n_sessions:,} sessions")
    print(f"{given.resamples:,} resamples, {given.permutations:,} sign flips; {os.cpu_count()} cores")
    print(f"{len(rows):,} rows, {len(differences)} differences")
    print(f"wall {cost.seconds:.1f} s, CPU {cpu:.1f} s")
    print(f"peak memory {cost.peak_memory_bytes / 2**20:,.0f} MiB, of making the inputs {before / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()
