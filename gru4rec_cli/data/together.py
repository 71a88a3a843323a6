"""Several parts of a split as the sessions of one training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.events import parquet_files
from gru4rec_cli.data.sessions import Sessions, Vocabulary, sessions_from_frame

_START = "session's start"


def read_together(files: Sequence[Path], vocabulary: Vocabulary, *, new_items: bool) -> Sessions:
    """Return the sessions of several parts in the order of their start; of equal starts, in the order of the parts.

    With `new_items`, items that the vocabulary lacks follow its own, in order of first appearance. Without it, their
    events are left out. Supports are those in these sessions.
    """
    start = pl.col(TIME).min().over(SESSION).alias(_START)  # of each part alone: given parts may share ids
    events = pl.concat(pl.read_parquet(parquet_files(file)).with_columns(start) for file in files)
    ordered = events.sort(_START, maintain_order=True).drop(_START)
    known = pl.DataFrame({ITEM: pl.Series(vocabulary.ids, dtype=events.schema[ITEM])})
    ids = vocabulary.ids
    if new_items:
        new = ordered.select(ITEM).unique(maintain_order=True).join(known, on=ITEM, how="anti", maintain_order="left")
        ids = np.concatenate([ids, new[ITEM].to_numpy()])
    else:
        ordered = ordered.join(known, on=ITEM, how="semi", maintain_order="left")
    sessions = sessions_from_frame(ordered, Vocabulary.of(ids))
    return replace(sessions, vocabulary=Vocabulary(ids, sessions.supports()))
