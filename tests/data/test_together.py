"""Several parts of a split read as one training."""

from pathlib import Path

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.events import write_event_table
from gru4rec_cli.data.sessions import Vocabulary
from gru4rec_cli.data.together import read_together


def part(folder: Path, name: str, rows: list[tuple[int, str, int]]) -> Path:
    write_event_table(pl.DataFrame(rows, schema=[SESSION, ITEM, TIME], orient="row"), folder / name)
    return folder / name


def test_parts_that_share_a_session_id_have_a_session_of_it_each(tmp_path: Path):
    """Session 1 is cut in two, and session 2 starts at the same time as its first half."""
    train = part(tmp_path, "train.parquet", [(1, "a", 0), (1, "b", 1), (2, "b", 0), (2, "a", 5)])
    valid = part(tmp_path, "valid.parquet", [(3, "a", 7), (3, "a", 8), (1, "a", 9), (1, "b", 10)])
    found = read_together([train, valid], Vocabulary.of(pl.Series(["a", "b"]).to_numpy()), new_items=False)
    assert found.session_ids.tolist() == [1, 2, 3, 1]
    assert found.items.tolist() == [0, 1, 1, 0, 0, 0, 0, 1]
    assert found.offsets.tolist() == [0, 2, 4, 6, 8]
