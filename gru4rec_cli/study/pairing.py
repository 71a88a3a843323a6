"""Paired tests between the models of several runs that ranked the same test events."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.base import names as names
from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.base.errors import StageError
from gru4rec_cli.evaluation.paired import paired_differences, session_starts, session_sums
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.reporting.text.comparison import Group, RunResults


def tested(group: Group) -> Group:
    """Return a group with the differences between models of different runs; as it is if a run lacks its ranks.

    The order of the runs decides nothing: resamples and sign flips are the most that any of them has, since more of
    them give a finer p-value and a steadier interval, and the seed is the smallest. Within a run, `evaluate` has tested
    the differences.

    Raises:
        StageError: the ranks of two runs are not of the same events.
    """
    if len(group.runs) < 2 or not all(_has_ranks(run) for run in group.runs):
        return group
    settings, seed = _settings(group)
    entries = {group.entry(run, model): (run, model) for run in group.runs for model in run.findings.ranked}
    sums: dict[str, Float64Array] = {}
    events: pl.DataFrame | None = None
    for entry, (run, model) in entries.items():
        tables = [pl.read_parquet(path) for path in _rank_files(run, model)]
        events = tables[0].select(names.SESSION, names.POSITION) if events is None else events
        if not all(table.select(names.SESSION, names.POSITION).equals(events) for table in tables):
            raise StageError(f"{run.path}: the ranks of {model} are not of the events of the other runs")
        sums[entry] = np.mean([session_sums(table, settings) for table in tables], axis=0)
    if events is None:
        return group
    values = {entry: run.findings.ranked[model].value for entry, (run, model) in entries.items()}
    order = sorted(values, key=lambda entry: (-values[entry], entry))
    pairs = [(one, two) for one, two in combinations(order, 2) if entries[one][0] is not entries[two][0]]
    counts = np.diff(np.append(session_starts(events), events.height)).astype(np.float64)
    tested_with = {"permutations": settings.permutations, "resamples": settings.resamples, "seed": seed}
    differences = tuple(paired_differences(sums, counts, pairs, settings, seed))
    return replace(group, differences=differences, tested_with=tested_with)


def _settings(group: Group) -> tuple[EvaluateSettings, int]:
    """Return the settings and the seed of the tests; ties, cutoff and confidence are the same in all runs."""
    protocols = [run.findings.protocol for run in group.runs]
    chosen: dict[str, Any] = {key: protocols[0][key] for key in ("ties", "confidence")}
    most: dict[str, Any] = {
        key: max(int(protocol[key]) for protocol in protocols) for key in ("resamples", "permutations")
    }
    settings = EvaluateSettings(cutoffs=(group.runs[0].findings.cutoff,), **chosen, **most)
    return settings, min(int(protocol["seed"]) for protocol in protocols)


def _has_ranks(run: RunResults) -> bool:
    return all(_rank_files(run, model) for model in run.findings.ranked)


def _rank_files(run: RunResults, model: str) -> Sequence[Path]:
    """The rank tables of a model, one a seed."""
    folder = Path(run.path) / "evaluate" / names.RANKS_FOLDER
    fits = names.fits_of(model, [path.stem for path in sorted(folder.glob("*.parquet"))])
    return [folder / f"{fit}.parquet" for fit in fits]
