"""A clean log and a clean split of made-up clicks, and the checks that do not hold on them once a fault is planted."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.audit.check import Audit, Choice, Result
from gru4rec_cli.audit.data import audit_events
from gru4rec_cli.audit.split import SPLIT, Parts
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.engine import in_order
from gru4rec_cli.data.synthetic import SynthSettings, generate

DAY = 86_400_000_000


def clean_log(seed: int = 3) -> pl.DataFrame:
    """8,000 sessions in 14 days on 500 items, and some clicks on rare items."""
    events, _ = generate(SynthSettings(sessions=8_000, items=500, days=14), seed)
    generator = np.random.default_rng(seed)
    rare = pl.Series(generator.integers(10_000, 10_800, events.height))
    some = pl.Series(generator.random(events.height) < 0.05)
    return events.with_columns(pl.when(some).then(rare).otherwise(pl.col(ITEM)).alias(ITEM))


def clean_split(seed: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and test: sessions of the first 12 days, and of the last two."""
    events = clean_log(seed)
    cut = int(events[TIME].min()) + 12 * DAY  # type: ignore[arg-type]
    first, last = pl.col(TIME).min().over(SESSION), pl.col(TIME).max().over(SESSION)
    return events.filter(last < cut), events.filter(first >= cut)


def audited(events: Any) -> Audit:
    return audit_events(events, session=SESSION, item=ITEM, time=TIME, time_unit="microseconds")


def data_results(events: pl.DataFrame) -> dict[str, Result]:
    return by_id(audited(events).results)


def split_results(
    train: pl.DataFrame, test: pl.DataFrame, valid: pl.DataFrame | None = None, *, timed: bool = True
) -> dict[str, Result]:
    parts = [in_order(part).select(SESSION, ITEM, TIME) for part in (train, test)]
    ordered = None if valid is None else in_order(valid).select(SESSION, ITEM, TIME)
    return by_id(SPLIT.run(Parts(parts[0], parts[1], ordered, timed), Choice()))


def by_id(results: Iterable[Result]) -> dict[str, Result]:
    return {result.id: result for result in results}


def wrong(results: dict[str, Result]) -> set[str]:
    return {name for name, result in results.items() if result.verdict in ("WARN", "FAIL")}
