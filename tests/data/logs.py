"""Logs small enough to work out by hand."""

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME

SECOND = 1_000_000
DAY = 86_400


def log(*walks):
    """Sessions 1, 2, … as (items, time in seconds of each event)."""
    rows = [
        (n, i, t * SECOND) for n, (items, times) in enumerate(walks, start=1) for i, t in zip(items, times, strict=True)
    ]
    return pl.DataFrame(rows, schema={SESSION: pl.Int64, ITEM: pl.String, TIME: pl.Int64}, orient="row")


def walks(events):
    """Session id → its items in order, sessions in order of their first row."""
    return dict(events.group_by(SESSION, maintain_order=True).agg(pl.col(ITEM).str.join("")).iter_rows())
