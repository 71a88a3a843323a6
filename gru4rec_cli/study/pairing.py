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
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.text.comparison import Group, RunResults


def tested(group: Group) -> Group:
    """Return a group with the differences between models of different runs; as it is if a run lacks its ranks.

    Resamples, sign flips and seed are those of the first run. Within a run, `evaluate` has tested the differences.

    Raises:
        StageError: the ranks of two runs are not of the same events.
    """
    if len(group.runs) < 2 or not all(_has_ranks(run) for run in group.runs):
        return group
    settings = _settings(group.runs[0].findings)
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
    order = sorted(values, key=lambda entry: -values[entry])
    pairs = [(one, two) for one, two in combinations(order, 2) if entries[one][0] is not entries[two][0]]
    counts = np.diff(np.append(session_starts(events), events.height)).astype(np.float64)
    seed = int(group.runs[0].findings.protocol["seed"])
    return replace(group, differences=tuple(paired_differences(sums, counts, pairs, settings, seed)))


def _settings(findings: Findings) -> EvaluateSettings:
    chosen: dict[str, Any] = {
        key: findings.protocol[key] for key in ("ties", "resamples", "confidence", "permutations")
    }
    return EvaluateSettings(cutoffs=(findings.cutoff,), **chosen)


def _has_ranks(run: RunResults) -> bool:
    return all(_rank_files(run, model) for model in run.findings.ranked)


def _rank_files(run: RunResults, model: str) -> Sequence[Path]:
    """The rank tables of a model, one a seed."""
    folder = Path(run.path) / "evaluate" / names.RANKS_FOLDER
    fits = names.fits_of(model, [path.stem for path in sorted(folder.glob("*.parquet"))])
    return [folder / f"{fit}.parquet" for fit in fits]
