"""How long sessions are and how often items are clicked, counted once and small enough for a file of statistics."""

from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import Int64Array

_MOST_RANKS = 400  # of a catalogue that may hold a million items


def length_counts(lengths: pl.Series) -> list[list[int]]:
    """Return [clicks, sessions with so many clicks] for every length that occurs, ascending; `lengths` has an entry a
    session."""
    counted = lengths.cast(pl.Int64).value_counts(sort=False, name="sessions").sort(lengths.name)
    return [list(row) for row in counted.iter_rows()]


def support_curve(supports: Int64Array) -> dict[str, Any]:
    """Return how events fall on items, from the number of events of every item (V,).

    `events` has the events of the items of popularity rank `ranks` (1: the most clicked), at most 400 of them, evenly
    on a logarithmic scale; `head` has the number of the most clicked tenth of the items and their share of the events.
    """
    ordered = np.sort(supports[supports > 0])[::-1]
    if not len(ordered):
        return {"items": 0, "ranks": [], "events": [], "head": {"items": 0, "events_share": 0.0}}
    ranks = np.unique(np.geomspace(1, len(ordered), _MOST_RANKS).round().astype(np.int64))
    head = max(1, round(len(ordered) / 10))
    share = float(ordered[:head].sum() / ordered.sum())
    curve = {"ranks": ranks.tolist(), "events": ordered[ranks - 1].tolist()}
    return {"items": len(ordered), **curve, "head": {"items": head, "events_share": share}}
