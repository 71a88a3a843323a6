"""Reading users' files: equal data reads equally from every format, and every bad file gets one clear message."""

import gzip

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from gru4rec_cli.base.errors import DataError, StageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.events import DataSettings, read_event_table, write_event_table
from gru4rec_cli.data.reading import read_events
from gru4rec_cli.data.times import iso, parse_iso

HEADER = "SessionId\tItemId\tTime\n"


def settings(**fields):
    return DataSettings(source="events.tsv", **fields)


def written(tmp_path, content, name="events.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(tmp_path, content, name="events.tsv", **fields):
    return read_events(written(tmp_path, content, name), settings(**fields))


def refused(tmp_path, content, name="events.tsv", **fields):
    path = written(tmp_path, content, name)
    with pytest.raises(DataError) as caught:
        read_events(path, settings(**fields))
    assert caught.value.message.startswith(f"{path}: ")
    return caught.value.message.removeprefix(f"{path}: "), caught.value.hint


def refused_frame(tmp_path, columns, **fields):
    path = tmp_path / "events.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(DataError) as caught:
        read_events(path, settings(**fields))
    return caught.value.message.removeprefix(f"{path}: "), caught.value.hint


def table(sessions, items, times):
    return pl.DataFrame({SESSION: sessions, ITEM: items, TIME: pl.Series(times, dtype=pl.Int64)})


TEXT = "1\t10\t0.5\n2\t11\t1396437466.94\n1\t10\t7\n"
EXPECTED = table([1, 2, 1], [10, 11, 10], [500_000, 1396437466_940_000, 7_000_000])


@pytest.mark.parametrize("name", ["e.tsv", "e.csv", "e.tsv.gz", "e.csv.gz", "E.TSV"])
def test_text_formats_read_equally(tmp_path, name):
    text = HEADER + TEXT
    content = (text.replace("\t", ",") if ".csv" in name else text).encode()
    assert_frame_equal(read(tmp_path, gzip.compress(content) if name.endswith(".gz") else content, name), EXPECTED)


@pytest.mark.parametrize("id_type", [pl.Int64, pl.Int32, pl.UInt64, pl.String, pl.Categorical])
def test_parquet_reads_as_text_does(tmp_path, id_type):
    frame = pl.DataFrame(
        {"SessionId": ["1", "2", "1"], "ItemId": ["10", "11", "10"], "Time": [0.5, 1396437466.94, 7.0]}
    )
    ids = pl.col("SessionId", "ItemId")
    frame = frame.with_columns(ids.cast(pl.Int64).cast(id_type) if id_type.is_integer() else ids.cast(id_type))
    frame.write_parquet(tmp_path / "e.parquet")
    assert_frame_equal(read_events(tmp_path / "e.parquet", settings()), EXPECTED)


def test_other_columns_their_order_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path):
    text = (
        "\ufeffTime\tnote\tItemId\tSessionId\textra\r\n0.5\t\t10\t1\t\r\n1396437466.94\tx\t11\t2\ty\r\n7\t\t10\t1\t\r\n"
    )
    assert_frame_equal(read(tmp_path, text), EXPECTED)


def test_the_last_line_may_lack_its_line_break(tmp_path):
    assert_frame_equal(read(tmp_path, (HEADER + TEXT).rstrip("\n")), EXPECTED)


def test_columns_and_separator_can_be_configured(tmp_path):
    columns = {"session": "s", "item": "i", "time": "t"}
    text = "s|i|t\n" + TEXT.replace("\t", "|")
    assert_frame_equal(read(tmp_path, text, "e.dat", separator="|", columns=columns), EXPECTED)


def test_quoted_fields_may_hold_separators_quotes_and_in_other_columns_line_breaks(tmp_path):
    text = 'SessionId,ItemId,Time,title\n1,"a,""b""",1,"two\nlines"\n2,c,2,\n'
    assert_frame_equal(read(tmp_path, text, "e.csv"), table([1, 2], ['a,"b"', "c"], [1_000_000, 2_000_000]))


def test_without_a_time_column_the_row_number_is_the_time_in_seconds(tmp_path):
    events = read(tmp_path, "SessionId\tItemId\n5\t1\n4\t2\n5\t3\n", columns={"time": None})
    assert_frame_equal(events, table([5, 4, 5], [1, 2, 3], [0, 1_000_000, 2_000_000]))


@pytest.mark.parametrize("ids", [["7", "007"], ["7", "+7"], ["7", " 7"], ["7", "7.0"], ["0", "-0"], ["1", "9" * 20]])
def test_ids_that_are_not_plain_integers_make_the_column_text_and_never_merge(tmp_path, ids):
    events = read(tmp_path, HEADER + "".join(f"1\t{i}\t0\n" for i in ids))
    assert events[ITEM].to_list() == ids
    assert events[SESSION].to_list() == [1, 1]


@hypothesis_settings(deadline=None)
@given(
    ids=st.lists(st.one_of(st.integers(-(2**70), 2**70).map(str), st.text("0123456789+-a .", min_size=1)), min_size=1)
)
def test_ids_survive_reading_whatever_they_look_like(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("ids") / "e.tsv"
    path.write_text(HEADER + "".join(f"1\t{i}\t0\n" for i in ids))
    assert [str(i) for i in read_events(path, settings())[ITEM]] == ids


def test_milliseconds(tmp_path):
    events = read(tmp_path, HEADER + "1\t2\t1396437466940\n1\t2\t0.25\n", time_unit="milliseconds")
    assert events[TIME].to_list() == [1396437466_940_000, 250]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2014-04-07T10:51:09.277Z", "2014-04-07T10:51:09.277000Z"),
        ("2014-04-07 10:51:09", "2014-04-07T10:51:09Z"),
        ("2014-04-07 10:51:09.5", "2014-04-07T10:51:09.500000Z"),
        ("2014-04-07T10:51:09+02:00", "2014-04-07T08:51:09Z"),
        ("2014-04-07T10:51:09.123456789-0130", "2014-04-07T12:21:09.123456Z"),
        ("2014-04-07", "2014-04-07T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ],
)
def test_iso_times_with_and_without_fraction_and_zone(tmp_path, text, moment):
    events = read(tmp_path, HEADER + f"1\t2\t{text}\n1\t2\t2014-04-07T10:51:09.277Z\n", time_unit="iso8601")
    assert iso(events[TIME][0]) == moment
    assert parse_iso(moment) == events[TIME][0]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize(("zone", "hour"), [(None, 10), ("UTC", 10), ("Europe/Paris", 8)])
def test_parquet_datetimes(tmp_path, unit, zone, hour):
    moment = pl.Series(["2014-04-07T10:51:09"]).str.to_datetime(time_unit=unit).dt.replace_time_zone(zone)
    pl.DataFrame({"SessionId": ["a"], "ItemId": [2], "Time": moment}).write_parquet(tmp_path / "e.parquet")
    events = read_events(tmp_path / "e.parquet", settings(time_unit="iso8601"))
    assert iso(events[TIME][0]) == f"2014-04-07T{hour:02}:51:09Z"


def test_parquet_dates(tmp_path):
    pl.DataFrame({"SessionId": ["a"], "ItemId": [2], "Time": pl.Series(["2014-04-07"]).str.to_date()}).write_parquet(
        tmp_path / "e.parquet"
    )
    events = read_events(tmp_path / "e.parquet", settings(time_unit="iso8601"))
    assert iso(events[TIME][0]) == "2014-04-07T00:00:00Z"


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.tsv: no such file"):
        read_events(tmp_path / "nowhere.tsv", settings())
    with pytest.raises(DataError, match="is a folder, not a file of events"):
        read_events(tmp_path, settings())


@pytest.mark.parametrize("name", ["e.dat", "e.json.gz", "e"])
def test_an_unknown_suffix(tmp_path, name):
    message, hint = refused(tmp_path, HEADER + TEXT, name)
    assert message == "cannot tell the format from the name"
    assert "data.separator" in hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        (HEADER, "has column names but no events"),
        (HEADER + "1\t2\n", "line 2 has 2 fields, the header has 3"),
        (HEADER + TEXT + "1\n", "line 5 has 1 field, the header has 3"),
        (HEADER + "1\t2\t3\t4\n" + TEXT, "line 2 has 4 fields, the header has 3"),
        ("x\t" + HEADER + "0\t1\t2\t3\t4\n", "line 2 has 5 fields, the header has 4"),
        (HEADER.strip() + "\tx\n1\t2\t3\t\n1\t2\t3\n", "line 3 has 3 fields, the header has 4"),
        (HEADER + TEXT + "\n", "line 5 is empty"),
        (HEADER + "1\t\t3\n", "line 2, column 'ItemId': the id is empty"),
        (HEADER + TEXT + '""\t2\t3\n', "line 5, column 'SessionId': the id is empty"),
        (HEADER + "1\ta\t3\n1\t\t3\n", "line 3, column 'ItemId': the id is empty"),
        (HEADER + "1\t2\t\n", "line 2, column 'Time': the time is empty"),
        (HEADER + "1\t2\tnan\n", "line 2, column 'Time': 'nan' is not a time"),
        (HEADER + "1\t2\t-inf\n", "line 2, column 'Time': '-inf' is not a time"),
        (HEADER + TEXT + "1\t2\tsoon\n", "line 5, column 'Time': 'soon' is not a number of seconds"),
        (HEADER + "1\t2\t -1\n", "line 2, column 'Time': ' -1' is a negative time"),
        (HEADER + "1\t2\t 5\n", "line 2, column 'Time': ' 5' is not a number of seconds"),
        (HEADER.encode() + b"1\t2\t3\n1\tcaf\xe9\t3\n", "line 3: byte 0xe9 at position 6 is not UTF-8"),
        (b"Session\xffId\n", "line 1: byte 0xff at position 8 is not UTF-8"),
        (HEADER + '1\t"2\t3\n1\t2\t3\n', "line 2: the record does not end as it should (unexpected end of data)"),
        (HEADER + '1\t"2\n"\t3\n', "line 2, column 'ItemId': the id '2\\n' holds a line break"),
        (HEADER + '1\ta"2\t3\n', "cannot be read as text separated by '\\t': line 2 holds a lone quote"),
        (HEADER + '1\t"a"2\t3\n', "line 2: the record does not end as it should ('\\t' expected after '\"')"),
        ("SessionId\tItemId\tTime\tTime\n1\t2\t3\t4\n", "column 'Time' occurs 2 times"),
    ],
)
def test_bad_text_is_refused_with_its_place(tmp_path, content, message):
    assert refused(tmp_path, content)[0] == message


def test_lines_are_counted_past_quoted_line_breaks(tmp_path):
    text = 'title\tSessionId\tItemId\tTime\n"two\nlines"\t1\t2\t3\nb\t1\t2\tx\n'
    assert refused(tmp_path, text)[0].startswith("line 4, column 'Time'")


def test_lines_are_counted_in_compressed_files(tmp_path):
    content = gzip.compress((HEADER + TEXT + "1\t2\tx\n").encode())
    assert refused(tmp_path, content, "e.tsv.gz")[0].startswith("line 5, column 'Time'")


@pytest.mark.parametrize(
    ("unit", "value", "message", "hint"),
    [
        ("seconds", "1396437466940", "'1396437466940' seconds is after the year 2200", "data.time_unit: milliseconds"),
        ("milliseconds", "1396437466940000", "'1396437466940000' milliseconds is after the year 2200", "microseconds"),
        ("seconds", "1396437466940000000", "'1396437466940000000' seconds is after the year 2200", "nanoseconds"),
        ("nanoseconds", "9e18", "'9e18' nanoseconds is after the year 2200", "correct or remove"),
        ("seconds", "2014-04-07 10:51:09", "'2014-04-07 10:51:09' is not a number of seconds", "time_unit: iso8601"),
        ("iso8601", "1396437466", "'1396437466' is not an ISO 8601 time", "data.time_unit: seconds"),
        ("iso8601", "soon", "'soon' is not an ISO 8601 time", "correct the value"),
        ("iso8601", "", "the time is empty", "data.columns.time: null"),
        ("iso8601", "2014-13-07", "'2014-13-07' is not an ISO 8601 time", "correct the value"),
        ("iso8601", "1969-12-31", "'1969-12-31' is before 1970", "1970-01-01"),
        ("iso8601", "2300-01-01", "'2300-01-01' is after the year 2200", "correct or remove"),
        ("iso8601", "2014-04-07T10", "'2014-04-07T10' is not a full ISO 8601 time", "2014-04-07T10:51:09.277Z"),
    ],
)
def test_times_of_another_unit_are_recognised(tmp_path, unit, value, message, hint):
    good = "2014-04-07" if unit == "iso8601" else "1"
    found = refused(tmp_path, HEADER + f"1\t2\t{good}\n1\t2\t{value}\n", time_unit=unit)
    assert found[0] == f"line 3, column 'Time': {message}"
    assert hint in found[1]


@pytest.mark.parametrize(
    ("header", "message", "hint"),
    [
        (
            "sessionid\tItemId\tTime",
            "no column 'SessionId'; the file has 'sessionid', 'ItemId', 'Time'",
            "'sessionid'?",
        ),
        ("SessionId\tItem_Id\tTime", "no column 'ItemId'; the file has 'SessionId', 'Item_Id', 'Time'", "'Item_Id'?"),
        ("SessionId\tItemId\twhen", "no column 'Time'; the file has 'SessionId', 'ItemId', 'when'", "columns.time"),
        (
            "SessionId;ItemId;Time",
            "no columns 'SessionId', 'ItemId', 'Time'; the file has 'SessionId;ItemId;Time'",
            "a semicolon",
        ),
        ("1\t2\t3", "no columns 'SessionId', 'ItemId', 'Time'; the file has '1', '2', '3'", "must hold the column"),
        (
            "sessionId\tproduct\ttime",
            "no columns 'SessionId', 'ItemId', 'Time'; the file has 'sessionId', 'product', 'time'",
            "data.columns.session ('sessionId'?), data.columns.item and data.columns.time ('time'?)",
        ),
    ],
)
def test_a_missing_column_names_what_there_is(tmp_path, header, message, hint):
    found = refused(tmp_path, header + "\n1\t2\t3\n")
    assert found[0] == message
    assert hint in found[1]


def test_a_wide_file_is_not_listed_in_full(tmp_path):
    message, _ = refused(tmp_path, "\t".join(f"c{n}" for n in range(30)) + "\n")
    assert message.endswith("'c19', …")


def test_files_that_are_not_compressed_as_they_say(tmp_path):
    compressed = gzip.compress((HEADER + TEXT * 1000).encode())
    assert refused(tmp_path, HEADER + TEXT, "e.tsv.gz")[0] == "not gzip data although the name ends in .gz"
    assert refused(tmp_path, compressed, "e.tsv")[0] == "gzip data although the name does not end in .gz"
    assert "damaged or cut off" in refused(tmp_path, compressed[:-30], "e.tsv.gz")[0]
    assert "damaged or cut off" in refused(tmp_path, compressed[:30] + b"x" * 9 + compressed[39:], "e.tsv.gz")[0]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all, but long enough"])
def test_damaged_parquet(tmp_path, content):
    assert refused(tmp_path, content, "e.parquet")[0].startswith("not a readable Parquet file")


def test_cut_off_parquet(tmp_path):
    pl.DataFrame({"SessionId": [1], "ItemId": [2], "Time": [3]}).write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    assert refused(tmp_path, whole[: len(whole) // 2], "e.parquet")[0].startswith("not a readable Parquet file")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"SessionId": [1], "ItemId": [2]}, "no column 'Time'; the file has 'SessionId', 'ItemId'"),
        ({"SessionId": [1.5], "ItemId": [2], "Time": [3]}, "column 'SessionId' is of type Float64, ids must be"),
        ({"SessionId": [1], "ItemId": [[2]], "Time": [3]}, "column 'ItemId' is of type List(Int64), ids must be"),
        (
            {"SessionId": [1], "ItemId": [2], "Time": [True]},
            "column 'Time' is of type Boolean, which cannot hold times",
        ),
        ({"SessionId": [1, None], "ItemId": [2, 2], "Time": [3, 3]}, "row 2, column 'SessionId': the id is empty"),
        ({"SessionId": [1, 1], "ItemId": ["a", None], "Time": [3, 3]}, "row 2, column 'ItemId': the id is empty"),
        ({"SessionId": [1, 1], "ItemId": [2, 2], "Time": [3, None]}, "row 2, column 'Time': the time is empty"),
        ({"SessionId": [1], "ItemId": [2], "Time": [float("nan")]}, "row 1, column 'Time': nan is not a time"),
        ({"SessionId": [1], "ItemId": [2], "Time": [float("inf")]}, "row 1, column 'Time': inf is not a time"),
        ({"SessionId": [1], "ItemId": [2], "Time": [-3]}, "row 1, column 'Time': -3 is a negative time"),
        ({"SessionId": [1], "ItemId": [2], "Time": [10**12]}, "row 1, column 'Time': 1000000000000 seconds is after"),
        ({"SessionId": [1][:0], "ItemId": [2][:0], "Time": [3][:0]}, "column 'SessionId' is of type Null, ids must be"),
    ],
)
def test_bad_parquet_is_refused_with_its_place(tmp_path, columns, message):
    assert refused_frame(tmp_path, columns)[0].startswith(message)


def test_datetimes_need_the_unit_iso8601_and_numbers_another(tmp_path):
    moment = pl.Series(["2014-04-07T10:51:09"]).str.to_datetime()
    columns = {"SessionId": [1], "ItemId": [2], "Time": moment}
    assert "set data.time_unit: iso8601" in refused_frame(tmp_path, columns)[1]
    columns["Time"] = pl.Series([5])
    assert "set data.time_unit: seconds" in refused_frame(tmp_path, columns, time_unit="iso8601")[1]


def test_event_tables_round_trip_with_equal_bytes(tmp_path):
    events = table(["a", "b"], [1, 2], [3, 4])
    write_event_table(events, tmp_path / "one.parquet")
    chunks = pl.concat([events[:1], events[1:]], rechunk=False)
    write_event_table(chunks.select(TIME, ITEM, SESSION), tmp_path / "two.parquet")
    assert_frame_equal(read_event_table(tmp_path / "one.parquet"), events)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_what_is_not_an_event_table_is_refused(tmp_path):
    with pytest.raises(StageError, match="no such file"):
        read_event_table(tmp_path / "events.parquet")
    (tmp_path / "events.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(StageError, match="cannot be read"):
        read_event_table(tmp_path / "events.parquet")
    table([1], [2], [3]).with_columns(pl.col(TIME).cast(pl.Float64)).write_parquet(tmp_path / "events.parquet")
    with pytest.raises(StageError, match="not an event table"):
        read_event_table(tmp_path / "events.parquet")


@pytest.mark.parametrize(
    ("fields", "found"),
    [({}, "none of them"), ({"train": "a"}, "train"), ({"source": "a", "train": "b", "test": "c"}, "source and train")],
)
def test_exactly_one_origin_must_be_given(fields, found):
    with pytest.raises(ValidationError, match=f"give either source .* or both train and test; found {found}"):
        DataSettings(**fields)


@pytest.mark.parametrize("separator", ["", "ab", '"', "\n", "§"])
def test_the_separator_is_one_plain_character(separator):
    with pytest.raises(ValidationError, match="one ASCII character"):
        settings(separator=separator)


def test_one_column_cannot_be_two_things():
    with pytest.raises(ValidationError, match="three different columns"):
        settings(columns={"session": "x", "item": "x"})


COMMON = [
    ("2014-04-07T10:51:09.277Z", 1_396_867_869_277_000),
    ("2014-04-07 10:51:09 UTC", 1_396_867_869_000_000),
    ("2014-04-07T10:51:09", 1_396_867_869_000_000),
    ("2014-04-07 10:51:09.5", 1_396_867_869_500_000),
]


@pytest.mark.parametrize("first", range(len(COMMON)))
def test_times_read_alike_whatever_way_of_writing_them_comes_first(tmp_path, first):
    """The first time tells how all are tried to be read; those written otherwise are read all the same."""
    others = [("2014-04-07", 1_396_828_800_000_000), ("2014-04-07T12:51:09+02:00", 1_396_867_869_000_000)]
    times = [COMMON[first], *COMMON, *others]
    path = tmp_path / "clicks.csv"
    path.write_text("SessionId,ItemId,Time\n" + "".join(f"1,2,{text}\n" for text, _ in times))
    events = read_events(path, DataSettings(source=str(path), time_unit="iso8601"))
    assert events[TIME].to_list() == [micros for _, micros in times]
    path.write_text("SessionId,ItemId,Time\n" + "".join(f"1,2,{text}\n" for text in (COMMON[first][0], "soon")))
    with pytest.raises(DataError, match="line 3, column 'Time': 'soon' is not an ISO 8601 time"):
        read_events(path, DataSettings(source=str(path), time_unit="iso8601"))
