"""Files that are unusual, of another kind than they say, or hostile: read rightly, or refused with their place."""

import gzip
import os
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.events import ColumnSettings, DataSettings
from gru4rec_cli.data.guessing import sample_of
from gru4rec_cli.data.reading import Reading, read_log
from tests.small import study, write_config

HEADER = "SessionId,ItemId,Time\n"
DATA = 3
LONG = "x" * 140_000  # the csv module of Python reads 131,072 characters if nothing else is said
CLICK = '{"aid":1,"ts":1661724000278,"type":"clicks"}'
ARTICLE = '{"userId":"u","id":"x","time":1483311600}'


def reading(path: Path, **fields: Any) -> Reading:
    return read_log(path, DataSettings(source=str(path), **fields))


def refusal(path: Path, **fields: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        reading(path, **fields)
    assert caught.value.message.startswith(str(path))
    return caught.value


def written(folder: Path, content: str | bytes, name: str = "clicks.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def session(*events: str, id: str = "1") -> str:
    return f'{{"session":{id},"events":[{",".join(events)}]}}\n'


BAD_SESSIONS = {  # fault 24
    "an item id beyond 9223372036854775807": session(CLICK.replace('"aid":1', f'"aid":{2**63}')),
    "a session id beyond 9223372036854775807": session(CLICK, id=str(-(2**70))),
    "lists or objects nested too deeply": '{"session":1,"events":' + "[" * 90_000 + "]" * 90_000 + "}\n",
    "a number of thousands of digits": session(CLICK, id="9" * 5000),
    "an event without an integer item id": session(CLICK.replace('"aid":1', '"aid":1.0')),
    "an event whose time is not one in milliseconds": session(CLICK.replace("1661724000278", "NaN")),
    "an event without a type": session(CLICK.replace('"clicks"', '"\\ud800"')),
    "the key 'aid' occurs twice in one object": session(CLICK.replace('"aid":1', '"aid":1,"aid":2')),
    "the key 'session' occurs twice in one object": '{"session":1,"session":2,"events":[]}\n',
    "not JSON in UTF-8": '{"session":1,"events":[]}{"session":2,"events":[]}\n',
}
BAD_ARTICLES = {  # fault 24
    "an event whose item id is not text": ARTICLE.replace('"x"', '"\\udfff"') + "\n",
    "an event without a user id": ARTICLE.replace('"u"', '"a\\ud83d"') + "\n",
    "lists or objects nested too deeply": '{"p":' + "[" * 90_000 + "]" * 90_000 + "," + ARTICLE[1:] + "\n",
    "a number of thousands of digits": ARTICLE.replace('"x"', "9" * 5000) + "\n",
    "the key 'id' occurs twice in one object": ARTICLE.replace('"id":"x"', '"id":"x","id":"y"') + "\n",
    "an event whose time is not one in whole seconds": ARTICLE.replace("1483311600", f"{2**64}") + "\n",
}
BAD_ARTICLES |= {f"an event whose item id is not text ({i})": ARTICLE.replace('"x"', i) + "\n" for i in ("1.0", "[1]")}


@pytest.mark.parametrize(
    ("format", "good", "reason", "bad"),
    [
        *(("otto", session(CLICK), reason, line) for reason, line in BAD_SESSIONS.items()),
        *(("adressa", ARTICLE + "\n", reason, line) for reason, line in BAD_ARTICLES.items()),
    ],
)
@pytest.mark.parametrize("name", ["lines", "lines.gz"])
def test_a_bad_line_of_json_is_refused_with_its_number_or_skipped_and_counted(
    tmp_path: Path, format: str, good: str, reason: str, bad: str, name: str
):  # fault 24
    reason = reason.partition(" (")[0]
    text = (good + bad + good).encode()
    path = written(tmp_path, gzip.compress(text) if name.endswith(".gz") else text, name)
    assert refusal(path, format=format).message == f"{path}: line 2: {reason}"
    skipped = reading(path, format=format, on_error="skip")
    assert skipped.events.height == 2
    assert [(bad["reason"], bad["rows"], bad["first"]) for bad in skipped.facts["bad_rows"]] == [
        (reason, 1, f"{name}, line 2")
    ]
    assert skipped.facts["rows"] == 3


def test_ids_of_articles_may_be_large_escaped_or_beyond_ascii(tmp_path: Path):
    ids = [str(2**63), '"\\ud83d\\ude00"', '"\\u0000"', '"é"', '"007"']  # fault 24: these are whole ids
    path = written(tmp_path, "".join(ARTICLE.replace('"x"', i) + "\n" for i in ids), "lines")
    found = reading(path, format="adressa").events[ITEM].to_list()
    assert found == [str(2**63), "😀", "\0", "é", "007"]


@pytest.mark.parametrize("quote", ['"', ""])
def test_a_field_may_be_longer_than_pythons_csv_module_reads(tmp_path: Path, quote: str):  # fault 25
    rows = f"1,2,3,{quote}{LONG}{quote}\n"
    path = written(tmp_path, HEADER.replace("\n", ",note\n") + rows + "1,3,soon,a\n1,4,5,b\n")
    assert "line 3, column 'Time'" in refusal(path).message
    skipped = reading(path, on_error="skip")
    assert skipped.events[ITEM].to_list() == [2, 4]
    assert [(bad["reason"], bad["rows"]) for bad in skipped.facts["bad_rows"]] == [("not a time", 1)]
    path.write_text(path.read_text() + "1,2\n")  # a broken line: the file is read again, line by line
    assert refusal(path).message.endswith("line 5 has 2 fields, the header has 4")
    skipped = reading(path, on_error="skip")
    assert skipped.events[ITEM].to_list() == [2, 4]
    assert {bad["reason"] for bad in skipped.facts["bad_rows"]} == {"not a time", "wrong number of fields"}


def test_an_id_may_be_long(tmp_path: Path):
    assert reading(written(tmp_path, HEADER + f"{LONG},2,3\n")).events[SESSION].to_list() == [LONG]


def test_without_quoting_a_quote_is_a_character_of_its_field(tmp_path: Path):
    path = written(tmp_path, HEADER + '1,27" screen,3\n1,"a,4\n1,"b",5\n1,plain,6\n')
    assert "data.quote: null" in refusal(written(tmp_path, HEADER + '1,27" screen,3\n1,b,4\n', "lone.csv")).hint
    assert reading(path, quote=None).events[ITEM].to_list() == ['27" screen', '"a', '"b"', "plain"]
    path.write_text(path.read_text() + "1,x\n1,y,soon\n")
    assert refusal(path, quote=None).message.endswith("line 6 has 2 fields, the header has 3")
    assert reading(path, quote=None, on_error="skip").events[ITEM].to_list() == ['27" screen', '"a', '"b"', "plain"]


def test_a_return_without_a_line_feed_is_not_dropped_from_a_field(tmp_path: Path):
    path = written(tmp_path, HEADER + "1,2\r,3\n1,4,5\n")
    assert "line 2: the record does not end as it should (it holds a \\r" in refusal(path).message
    assert reading(path, on_error="skip").events[ITEM].to_list() == [4]
    quoted = written(tmp_path, 'SessionId,ItemId,Time,note\r\n1,2,3,"a\rb"\r\n', "quoted.csv")
    assert reading(quoted).events.rows() == [(1, 2, 3_000_000)]


def test_line_ends_may_be_mixed_and_the_last_may_be_missing(tmp_path: Path):
    path = written(tmp_path, HEADER.replace("\n", "\r\n") + "1,2,3\n1,3,4\r\n1,4,5")
    assert reading(path).events.rows() == [(1, 2, 3_000_000), (1, 3, 4_000_000), (1, 4, 5_000_000)]


def test_members_of_a_gzip_file_are_read_as_one(tmp_path: Path):
    parts = [HEADER, "1,2,3\n1,", "3,4\n"]
    path = written(tmp_path, b"".join(gzip.compress(part.encode()) for part in parts), "clicks.csv.gz")
    assert reading(path).events[ITEM].to_list() == [2, 3]


PACKED = gzip.compress((HEADER + "1,2,3\n" * 1000).encode(), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("e.csv.gz", PACKED + b"\0" * 512, "other bytes follow the gzip data", "gunzip"),  # fault 45
        ("e.csv.gz", PACKED + b"more", "other bytes follow the gzip data", "gunzip"),
        ("e.csv.gz", PACKED[:-9], "the gzip data is damaged or cut off", "copy or download"),
        ("e.csv.gz", PACKED[:-8] + b"oooo" + PACKED[-4:], "the gzip data is damaged", "copy or download"),
        ("e.csv.gz", b"PK\x03\x04 and so on", "is a zip archive, not gzip data", "unpack it"),
        ("e.csv", b"BZh91AY&SY", "is bzip2 data, not text", "unpack it"),
        ("e.csv", "1,2".encode("utf-16"), "is text in UTF-16", "iconv -f UTF-16"),
        ("e.csv", b"PAR1 and so on", "is a Parquet file", "rename it to end in .parquet"),
        ("e.csv", "sep=;\n" + HEADER.replace(",", ";"), "no columns 'SessionId'", "spreadsheet"),  # fault 45
        ("e.csv", HEADER.replace("\n", "\r") + "1,2,3\r", "line 1: the record does not end", "end lines with"),
        ("e.csv", "\0" * 100, "is damaged (it holds bytes of zero)", "download it again"),
        ("e.csv", "\n\n", "line 1 is empty", "remove it"),
        ("train.jsonl", gzip.compress(session(CLICK).encode(), mtime=0), "gzip data although the name", "rename it"),
    ],
)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_the_true_cause_is_named(
    tmp_path: Path, name: str, content: str | bytes, message: str, hint: str, on_error: str
):
    format = "otto" if "jsonl" in name else "generic"
    error = refusal(written(tmp_path, content, name), format=format, on_error=on_error)
    if "\r" not in str(content) or on_error == "stop":
        assert message in error.message
        assert hint in error.hint


def test_a_zip_archive_under_another_name_is_told(tmp_path: Path):  # fault 45
    with zipfile.ZipFile(tmp_path / "clicks.csv", "w") as archive:
        archive.writestr("inner.csv", HEADER + "1,2,3\n")
    error = refusal(tmp_path / "clicks.csv", on_error="skip")
    assert "is a zip archive" in error.message
    assert error.hint.startswith("unpack it")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert "is a pipe or a device" in refusal(tmp_path / "pipe.csv").message
    assert "is a pipe or a device" in refusal(tmp_path / "zero.csv").message
    assert "no such file" in refusal(tmp_path / "loop.csv").message
    assert "cannot be looked at" in refusal(tmp_path / ("long" * 100 + ".csv")).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path):
    path = written(tmp_path, HEADER + "1,2,3\n")
    path.chmod(0)
    assert "cannot be read" in refusal(path).message


@pytest.mark.parametrize("name", ["pipe.csv", "zero.csv"])
def test_the_command_refuses_a_pipe_and_a_device(tmp_path: Path, name: str):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    config: dict[str, Any] = {"name": "x", "data": {"source": str(tmp_path / name)}}
    config["baseline"] = {"models": {"popularity": {}}}
    done = study("split", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "run")
    assert done.returncode == DATA, done.stderr
    assert name in done.stderr


BASE: dict[str, Any] = {"SessionId": [1, 1], "ItemId": [1, 2], "Time": [1, 2]}
MOMENTS = [datetime(2024, 1, 1, 12), datetime(2024, 1, 2)]
MICROS = [1_704_110_400_000_000, 1_704_153_600_000_000]


def parquet(folder: Path, **columns: Any) -> Path:
    pl.DataFrame({**BASE, **columns}).write_parquet(folder / "clicks.parquet")
    return folder / "clicks.parquet"


@pytest.mark.parametrize(
    ("times", "unit", "micros"),
    [
        ([Decimal("1.5"), Decimal("2.25")], "seconds", [1_500_000, 2_250_000]),
        (pl.Series(["1", "2.5"], dtype=pl.Categorical), "seconds", [1_000_000, 2_500_000]),
        (pl.Series(["2024-01-01T12:00", "2024-01-02"], dtype=pl.Categorical), "iso8601", MICROS),
        (pl.Series(MOMENTS, dtype=pl.Datetime("ns")), "iso8601", MICROS),
        (pl.Series([10**18 + 1999, 10**18], dtype=pl.Int64), "nanoseconds", [10**15 + 1, 10**15]),
        (pl.Series(["1000000000000001999", "1.5e18"]), "nanoseconds", [10**15 + 1, 15 * 10**14]),
        (pl.Series([10**15 + 1, 0], dtype=pl.UInt64), "microseconds", [10**15 + 1, 0]),
        (pl.Series([0.5, 2.5]), "microseconds", [0, 2]),
    ],
)
def test_times_of_any_type_that_can_hold_them(tmp_path: Path, times: Any, unit: Any, micros: list[int]):
    assert reading(parquet(tmp_path, Time=times), time_unit=unit).events[TIME].to_list() == micros


@pytest.mark.parametrize(
    ("column", "values", "unit", "message"),
    [
        ("Time", [time(1), time(2)], "iso8601", "column 'Time' is of type Time, which cannot hold times"),
        ("Time", pl.Series([1, 2]).cast(pl.Duration("ms")), "seconds", "column 'Time' is of type Duration"),
        ("Time", pl.Series([0, 2**63 - 1]).cast(pl.Datetime("us")), "iso8601", "row 2, column 'Time': 9223372036854"),
        ("Time", pl.Series([0, 18446744073709552]).cast(pl.Datetime("ms")), "iso8601", "row 2, column 'Time': 18446"),
        ("Time", [date(2024, 1, 1), date(9999, 1, 1)], "iso8601", "row 2, column 'Time': 9999-01-01"),
        ("Time", pl.Series([0, 213_503_983], dtype=pl.Int32).cast(pl.Date), "iso8601", "row 2, column 'Time': 21350"),
        ("Time", pl.Series([2**100, 1], dtype=pl.Int128), "seconds", "row 1, column 'Time': 12676506002282294014967"),
        ("Time", [None, 2], "seconds", "row 1, column 'Time': the time is empty"),
        ("ItemId", [1.0, 2.0], "seconds", "column 'ItemId' is of type Float64, ids must be integers or text"),
        ("ItemId", [b"a", b"b"], "seconds", "column 'ItemId' is of type Binary, ids must be"),
        ("ItemId", [{"a": 1}, {"a": 2}], "seconds", "column 'ItemId' is of type Struct"),
        ("ItemId", [True, False], "seconds", "column 'ItemId' is of type Boolean, ids must be"),
        ("ItemId", [Decimal("1.5"), Decimal("2")], "seconds", "column 'ItemId' is of type Decimal"),
        ("ItemId", ["a", "b\nc"], "seconds", "row 2, column 'ItemId': the id 'b\\nc' holds a line break"),
    ],
)
def test_columns_of_parquet_that_hold_no_ids_or_times(
    tmp_path: Path, column: str, values: Any, unit: Any, message: str
):
    path = parquet(tmp_path, **{column: values})
    assert refusal(path, time_unit=unit).message.startswith(f"{path}: {message}")


def test_parquet_from_elsewhere(tmp_path: Path):
    arrow = pytest.importorskip("pyarrow")
    table = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "clicks.parquet"
    ones = arrow.array([1, 1])
    table.write_table(arrow.Table.from_arrays([ones] * 5, names=["SessionId", "ItemId", "Time", "x", "x"]), path)
    assert "two columns have one name" in refusal(path).message
    zone = arrow.array([1, 2], arrow.timestamp("us", tz="Mars/Olympus"))
    table.write_table(arrow.table({**BASE, "Time": zone}), path)
    assert "not a readable Parquet file" in refusal(path, time_unit="iso8601").message
    offset = arrow.array([1, 2], arrow.timestamp("us", tz="+02:00"))
    coded = arrow.array(["a", "b"]).dictionary_encode()
    table.write_table(arrow.table({**BASE, "ItemId": coded, "Time": offset}), path)
    assert reading(path, time_unit="iso8601").events.rows() == [(1, "a", 1), (1, "b", 2)]


def test_ten_thousand_columns(tmp_path: Path):
    names, values = (",".join(f"{what}{n}" for n in range(10_000)) for what in ("name", "value"))
    path = written(tmp_path, f"SessionId,ItemId,Time,{names}\n1,2,3,{values}\n1,3,4,{values}\n1,4,5\n")
    assert refusal(path).message.endswith("line 4 has 3 fields, the header has 10003")
    assert reading(path, on_error="skip").events[ITEM].to_list() == [2, 3]


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2024-03-01T09:15", 1_709_284_500_000_000),
        ("2024-03-01 09:15", 1_709_284_500_000_000),
        ("2024-03-01T09:15Z", 1_709_284_500_000_000),
        ("2024-03-01T09:15+01:00", 1_709_280_900_000_000),
        ("2024-03-01 09:15 UTC", 1_709_284_500_000_000),
        ("2024-03-01T09:15-0130", 1_709_289_900_000_000),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_iso_times_without_seconds(tmp_path: Path, text: str, micros: int, first: bool):
    other = ("2024-03-01T00:00:00Z", 1_709_251_200_000_000)
    rows = [(text, micros), other] if first else [other, (text, micros)]
    path = written(tmp_path, HEADER + "".join(f"1,2,{written}\n" for written, _ in rows))
    assert reading(path, time_unit="iso8601").events[TIME].to_list() == [micros for _, micros in rows]


def test_column_names_with_quotes_are_found(tmp_path: Path):
    """A CSV writer doubles the quotes in a name; the configuration has them once."""
    path = written(tmp_path, '"the ""session""",item,"""at"""\n1,2,3\n1,4,5\n')
    columns = {"session": 'the "session"', "item": "item", "time": '"at"'}
    assert reading(path, columns=ColumnSettings(**columns)).events.rows() == [(1, 2, 3_000_000), (1, 4, 5_000_000)]
    assert sample_of(path).rows.columns == list(columns.values())
