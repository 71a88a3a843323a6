"""Sessions made by pauses, and events that were looked at too briefly, on logs small enough to work out by hand."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data import sessionising
from gru4rec_cli.data.engine import ROW, PolarsEngine, in_order, lazy, native
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.reading import read_log


def log(*rows):
    frame = pl.DataFrame(rows, schema=[SESSION, ITEM, TIME], orient="row")
    return frame.with_columns(pl.col(TIME) * 1_000_000)


def cut_at_gaps(events, gap_minutes):
    return native(sessionising.cut_at_gaps(PolarsEngine(), lazy(in_order(events)), gap_minutes).drop(ROW))


def without_brief(events, min_dwell_seconds):
    return native(sessionising.without_brief(PolarsEngine(), lazy(in_order(events)), min_dwell_seconds))


def walks(events):
    return dict(events.group_by(SESSION, maintain_order=True).agg(pl.col(ITEM).str.join("")).iter_rows())


def test_a_session_ends_where_more_than_the_gap_passes():
    events = log((7, "a", 0), (7, "b", 60), (7, "c", 121), (3, "d", 121), (3, "e", 50))
    assert walks(cut_at_gaps(events, 1)) == {0: "e", 1: "d", 2: "ab", 3: "c"}
    assert walks(cut_at_gaps(events, 2)) == {0: "ed", 1: "abc"}


def test_events_of_equal_time_keep_the_order_of_the_file_and_other_orders_do_not_matter():
    events = log((1, "a", 5), (1, "b", 5), (1, "c", 9000), (2, "d", 1), (2, "e", 3), (1, "f", 0))
    assert walks(cut_at_gaps(events, 10)) == {0: "fab", 1: "c", 2: "de"}
    assert_frame_equal(cut_at_gaps(events[[5, 4, 3, 0, 2, 1]], 10), cut_at_gaps(events, 10))


def test_brief_events_go_and_the_last_of_a_session_stays():
    events = log((1, "a", 0), (1, "b", 3), (1, "c", 13), (2, "d", 0), (2, "e", 10), (3, "f", 11))
    assert walks(without_brief(events, 10)) == {1: "bc", 2: "de", 3: "f"}


def test_sessions_of_users_are_counted_and_so_is_what_went(tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_text("who,SessionId,ItemId,Time,what\nx,1,a,0,view\nx,2,b,50,view\nx,2,c,4000,view\nx,2,d,4001,buy\n")
    columns = {"user": "who", "event": "what"}
    settings = DataSettings(
        source=str(path),
        columns=columns,  # type: ignore[arg-type]
        events=("view",),
        sessions={"by": "user", "gap_minutes": 30.0, "min_dwell_seconds": 60.0},  # type: ignore[arg-type]
    )
    reading = read_log(path, settings)
    assert walks(reading.events) == {0: "b", 1: "c"}
    assert reading.facts["sessions"] == {"by": "user", "gap_minutes": 30.0, "before": 1, "made": 2}
    assert [(r["reason"], r["events"], r["sessions"], r["items"]) for r in reading.facts["removals"]] == [
        ("other event type", 1, None, 1),  # there are no sessions yet
        ("looked at too briefly", 1, 0, 1),
    ]


def test_files_that_are_split_cannot_get_new_sessions(tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_text("SessionId,ItemId,Time\n1,2,3\n")
    gap = {"gap_minutes": 5.0}
    settings = DataSettings(train=str(path), test=str(path), sessions=gap)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="already split"):
        read_log(path, settings)


def test_users_need_a_column_and_a_gap():
    with pytest.raises(ValueError, match="by: user needs"):
        DataSettings(source="x", sessions={"by": "user"})  # type: ignore[arg-type]
