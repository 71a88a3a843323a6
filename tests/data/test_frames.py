"""The functions for notebooks do on pandas, Polars and Arrow tables what `split` does on files."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow
import pytest
from polars.testing import assert_frame_equal

import gru4rec_cli.data as clicks
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.describing import describe
from gru4rec_cli.data.events import write_event_table
from gru4rec_cli.data.presets import PRESETS
from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_log

WALKS = ["abc", "bca", "aab", "abc", "cab", "abc", "cab", "abc", "bac", "zab"]
NAMES: Any = {"session": "visit", "item": "product", "time": "at"}
SETTINGS: dict[str, Any] = {"min_item_support": 2, "test": 0.3, "valid": 0.3}
ROWS = [(100 + n, item, 1_600_000_000 + 10 * n + t) for n, walk in enumerate(WALKS) for t, item in enumerate(walk)]
LOG = pl.DataFrame(ROWS, schema=[SESSION, ITEM, TIME], orient="row").with_columns(pl.col(TIME) * 1_000_000)
TABLE = pl.DataFrame(ROWS[::-1], schema=["visit", "product", "at"], orient="row").with_columns(note=pl.lit(1))


def pandas(frame: pl.DataFrame) -> Any:
    return pd.DataFrame(frame.to_dict(as_series=False))


def arrow(frame: pl.DataFrame) -> Any:
    return pyarrow.table(frame.to_dict(as_series=False))


KINDS = {"pandas": pandas, "polars": lambda frame: frame, "lazy": lambda frame: frame.lazy(), "arrow": arrow}


def rows(table: Any) -> list[tuple[Any, ...]]:
    """The rows of any of these tables."""
    if isinstance(table, pl.LazyFrame):
        table = table.collect()
    if isinstance(table, pl.DataFrame):
        return table.rows()
    if hasattr(table, "itertuples"):
        return [tuple(row) for row in table.itertuples(index=False)]
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def expected(part: pl.DataFrame) -> list[tuple[Any, ...]]:
    return part.with_columns(pl.col(TIME) // 1_000_000).rows()


def test_a_split_is_that_of_the_command_in_tables_of_the_same_kind(kind):
    table, made = kind(TABLE), split_log(LOG, SplitSettings(**SETTINGS))
    parts = clicks.split(table, **NAMES, **SETTINGS)
    assert made.valid is not None
    for found, part in ((parts.train, made.train), (parts.valid, made.valid), (parts.test, made.test)):
        assert type(found) is type(table)
        assert rows(found) == expected(part)
    assert rows(parts.items) == made.items.rows()
    assert parts.statistics == made.statistics


def test_cleaning_tells_what_each_rule_removed_and_keeps_names_and_types(kind):
    left, removed = clicks.clean(kind(TABLE), **NAMES, min_item_support=2)
    assert removed == {
        "exact duplicate": 0, "immediate repeat": 1, "session too short": 0, "item too rare": 1,
    }  # fmt: skip
    left = left.collect() if isinstance(left, pl.LazyFrame) else left
    names = left.column_names if hasattr(left, "column_names") else list(left.columns)
    assert names == ["visit", "product", "at"]
    assert len(rows(left)) == len(ROWS) - 2
    assert rows(left)[0] == (100, "a", 1_600_000_000)


def test_a_description_is_that_of_the_command(kind):
    assert clicks.describe(kind(TABLE), **NAMES) == describe(LOG[::-1])


@pytest.mark.parametrize(
    ("convert", "unit"),
    [
        (lambda at: at.cast(pl.Float64) + 0.5, "seconds"),
        (lambda at: at * 1000, "milliseconds"),
        (lambda at: pl.from_epoch(at, "s"), "seconds"),
        (lambda at: pl.from_epoch(at, "s").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"), "seconds"),
    ],
)
@pytest.mark.parametrize("name", ["pandas", "polars", "arrow"])
def test_times_come_back_as_they_were(name, convert, unit):
    table = TABLE.with_columns(convert(pl.col("at"))).sort("at")
    left, _ = clicks.clean(KINDS[name](table), **NAMES, time_unit=unit, min_item_support=1, drop_repeats=False)
    assert [row[2] for row in rows(left)] == [row[2] for row in rows(KINDS[name](table.drop("note")))]


def test_column_types_come_back_in_polars():
    types: Any = {"visit": pl.UInt16, "product": pl.Categorical, "at": pl.Int32}
    left, _ = clicks.clean(TABLE.cast(types), **NAMES)
    assert dict(left.schema) == types
    assert_frame_equal(left.cast(TABLE.drop("note").schema), clicks.clean(TABLE, **NAMES)[0])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop("at"), "no column 'at'; it has visit, product, note"),
        (TABLE.with_columns(product=1.5), "'product' is of type Float64, ids must be integers or text"),
        (TABLE.with_columns(at=pl.lit("soon")), "'at' is of type String, times must be numbers or moments"),
        (TABLE.with_columns(at=pl.lit(9e12)), "row 0 of column 'at' holds no time between 1970 and 2200"),
        (TABLE.with_columns(product=pl.when(pl.col("visit") != 100).then("product")), "row 27 of column 'product'"),
        (TABLE.clear(), "holds no events"),
    ],
)
def test_wrong_tables_are_explained(table, message):
    with pytest.raises(DataError, match=message):
        clicks.clean(table, **NAMES)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="min_item_supprt"):
        clicks.clean(TABLE, **NAMES, min_item_supprt=3)


def test_a_preset_sets_how_times_are_read_as_in_a_study(tmp_path: Path):
    """Times of one session in the same second: diginetica orders them by item, yoochoose-as-meant drops fractions."""
    origin = 1_400_000_000
    walks = {1: "ba", 2: "ba", 3: "ab", 4: "ba", 5: "ab", 6: "ba"}
    events = [
        (session, item, origin + session + 0.25 * place - 86_400 * 8 * (session < 4))
        for session, walk in walks.items()
        for place, item in enumerate(walk)
    ]
    table = pl.DataFrame(events, schema=["visit", "product", "at"], orient="row")
    as_it_is = clicks.split(table, **NAMES, **PRESETS["yoochoose-as-meant"].values | {"min_item_support": 1, "test": 7})
    assert [row[1] for row in rows(as_it_is.test)] == ["b", "a", "a", "b", "b", "a"]
    read = clicks.split(table, **NAMES, preset="yoochoose-as-meant", min_item_support=1, test=7)
    assert [row[1] for row in rows(read.test)] == ["a", "b"] * 3
    assert [row[2] - origin for row in rows(read.test)] == [4, 4, 5, 5, 6, 6]


def test_the_last_row_of_a_session_dates_it_with_a_preset_that_says_so():
    """Session 1 starts first and ends last: by its last row it is a test session, with yoochoose-srgnn."""
    day, origin = 86_400, 1_400_000_000
    events = [(1, "a", 0), (2, "a", 1), (2, "b", 2), (3, "b", 3), (3, "a", 4), (1, "b", 9 * day), (4, "b", 8.9 * day)]
    events.append((4, "a", 9 * day))
    table = pl.DataFrame([(s, i, origin + t) for s, i, t in events], schema=["visit", "product", "at"], orient="row")
    found = clicks.split(table, **NAMES, preset="yoochoose-srgnn-1-4", min_item_support=1, recent=None)
    assert sorted({row[0] for row in rows(found.train)}) == [2, 3]
    assert sorted({row[0] for row in rows(found.test)}) == [1, 4]


@pytest.mark.parametrize("preset", ["yoochoose", "rees46", "coveo", "retailrocket", "diginetica-srgnn"])
def test_a_preset_that_needs_more_than_a_table_holds_is_refused(preset: str):
    """Those that pair rows of two files, or look at events of other types, or at a column of days."""
    with pytest.raises(ValueError, match=rf"preset: {preset} needs the raw files, not a table of clicks \(data\."):
        clicks.split(TABLE, **NAMES, preset=preset)


@pytest.mark.parametrize("preset", ["yoochoose-as-meant", "diginetica", "rsc15"])
def test_another_preset_is_applied(preset: str):
    days = TABLE.with_columns(pl.col("at") + pl.col("visit") * 86_400)
    found = clicks.split(days, **NAMES, preset=preset, min_item_support=2, test=3)
    assert found.statistics["settings"]["preset"] == preset


def test_windows_are_refused_and_one_of_them_is_taken():
    with pytest.raises(ValueError, match="windows: are several splits; give window"):
        clicks.split(TABLE, **NAMES, windows=2, min_item_support=1)
    one = clicks.split(TABLE, **NAMES, window={"number": 1, "of": 2}, min_item_support=1, test=0.4)
    assert one.statistics["window"]["start"] < one.statistics["window"]["end"]


def test_the_example_of_the_page_runs():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (example,) = [part.partition("```")[0] for part in page.split("```python\n")[1:]]
    found: dict[str, Any] = {}
    exec(example, found)
    assert rows(found["parts"].test) == [("c", 1, 30), ("c", 2, 31)]
    assert found["removed"]["immediate repeat"] == 1
    assert found["test"].session_ids.tolist() == ["c"]
    assert sorted(found["products"]) == [1, 2]


def test_a_table_in_any_order_becomes_sessions(kind):
    rows_of = [("b", "y", 5), ("a", "x", 3), ("b", "x", 2), ("a", "y", 3), ("a", "x", 9)]
    table = kind(pl.DataFrame(rows_of, schema=["visit", "product", "at"], orient="row"))
    found = clicks.to_sessions(table, **NAMES)
    assert found.session_ids.tolist() == ["b", "a"]  # b starts at 2, a at 3
    assert found.vocabulary.ids.tolist() == ["x", "y"]
    assert found.vocabulary.supports.tolist() == [3, 2]
    assert found.items.tolist() == [0, 1, 0, 1, 0]
    assert found.offsets.tolist() == [0, 2, 5]
    assert found.times.tolist() == [2_000_000, 5_000_000, 3_000_000, 3_000_000, 9_000_000]


def test_other_sessions_are_indexed_by_the_vocabulary_of_training():
    train = clicks.to_sessions(pl.DataFrame({"visit": [1, 1], "product": [7, 5], "at": [1, 2]}), **NAMES)
    test = clicks.to_sessions(
        pl.DataFrame({"visit": [2, 2], "product": [5, 6], "at": [3, 4]}), **NAMES, vocabulary=train.vocabulary
    )
    assert test.items.tolist() == [1, UNSEEN]
    texts = pl.DataFrame({"visit": [2, 2], "product": ["5", "6"], "at": [3, 4]})
    with pytest.raises(DataError, match="the ids of the vocabulary are integers, those of column 'product' are text"):
        clicks.to_sessions(texts, **NAMES, vocabulary=train.vocabulary)


def test_pandas_reads_the_tables_of_a_run(tmp_path):
    events = pl.DataFrame({SESSION: [1], ITEM: ["a"], TIME: [2]})
    write_event_table(events, tmp_path / "events.parquet")
    assert pd.read_parquet(tmp_path / "events.parquet").to_dict("list") == events.to_dict(as_series=False)


def test_only_what_is_documented_is_there():
    with pytest.raises(AttributeError, match="no attribute 'datetime'"):
        _ = clicks.datetime
