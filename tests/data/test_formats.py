"""Public data sets as their publishers lay them out, a few lines each, made by hand with their quirks."""

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.layout import GENERIC, formats
from gru4rec_cli.data.presets import PRESETS
from gru4rec_cli.data.reading import input_files, read_log
from gru4rec_cli.data.times import iso

REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
COVEO = "session_id_hash,event_type,product_action,product_sku_hash,server_timestamp_epoch_ms,hashed_url\n"
GLOBO = (
    "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,click_environment,"
    "click_deviceGroup,click_os,click_country,click_region,click_referrer_type\n"
)
TRIVAGO = (
    "user_id,session_id,timestamp,step,action_type,reference,platform,city,device,current_filters,impressions,prices\n"
)
FILES: dict[str, dict[str, str]] = {
    "yoochoose": {
        "yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n",
        "yoochoose-test.dat": "5,2014-04-07T17:13:46.713Z,214530776,2089046362\n",
        "yoochoose-buys.dat": "1,2014-04-07T10:55:00.000Z,214536502,1046,1\n",
    },
    "diginetica": {
        "train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate\n"
        "1;NA;81766;526309;2016-05-09\n1;NA;31331;86400007;2016-05-10\n2;7;32118;31;2016-05-10\n"
    },
    "retailrocket": {
        "events.csv": "timestamp,visitorid,event,itemid,transactionid\n"
        "1433224203000,9,view,2,\n1433221332000,9,view,1,\n1433221332500,9,addtocart,1,\n"
        "1433224932000,9,view,3,\n1433228533000,9,view,4,\n1433221400000,8,transaction,4,4000\n"
    },
    "rees46": {
        "2019-Oct.csv": REES46 + "2019-10-31 23:59:59 UTC,view,1,2,,,35.79,5,aa\n",
        "2019-Nov.csv.gz": REES46 + "2019-11-01 00:00:00 UTC,view,3,2,a.b,x,35.79,5,bb\n"
        "2019-11-01 00:00:01 UTC,cart,3,2,a.b,x,35.79,5,bb\n2019-11-01 02:00:00 UTC,view,4,2,,,1.0,5,bb\n",
    },
    "coveo": {
        "release_10_23_2020.csv": COVEO.replace("product_sku_hash", "product_skus_hash")
        + "s1,pageview,,,1550885210881,u\n"
        "s1,event_product,detail,p1,1550885213307,u1\ns1,event_product,detail,,1550885213400,u1\n"
        "s2,event_product,remove,p1|p2,1550885213307,\n"
    },
    "coveo_sigir2021": {
        "browsing_train.csv": COVEO + "s1,pageview,,,1550885210881,u1\ns1,event_product,detail,p1,1550885213307,u1\n"
        "s1,event_product,add,p1,1550885213400,u1\ns2,event_product,detail,p2,1550885213307,\n"
    },
    "otto": {
        "otto-recsys-train.jsonl": '{"session":0,"events":[{"aid":7,"ts":1659304800025,"type":"clicks"},'
        '{"aid":8,"ts":1659304904511,"type":"carts"},{"aid":9,"ts":1659304904600,"type":"clicks"}]}\n'
        '{"session":1,"events":[{"aid":7,"ts":1659304900000,"type":"orders"}]}\n'
    },
    "globo": {
        "clicks/clicks_hour_000.csv": GLOBO + "0,1506825423271737,1506825423000,2,119592,1506826828020,4,3,20,1,20,2\n",
        "clicks/clicks_hour_001.csv": GLOBO + "0,1506825423271737,1506825423000,2,30970,1506830000000,4,3,20,1,20,2\n",
    },
    "adressa": {  # the front page has no id; fields come in any order; a session may last over midnight
        "20170101": '{"eventId":1,"userId":"cx:a:1","url":"http://adressa.no","activeTime":26,"deviceType":"Mobile",'
        '"sessionStart":true,"sessionStop":false,"time":1483311000}\n'
        '{"profile":[{"item":"0","groups":[{"count":1,"group":"adressa-importance","weight":1.0}]}],"title":"Bl\u00e5",'
        '"id":"aa","time":1483311600,"userId":"cx:a:1","url":"http://adressa.no/x","sessionStop":true}\n'
        '{"eventId":3,"userId":"cx:b:2","id":"bb","time":1483311599,"url":"http://adressa.no/y"}\n'
        '{"eventId":4,"userId":"cx:c:3","id":null,"time":1483311700,"url":"http://adressa.no/sport"}\n',
        "20170102.gz": '{"eventId":5,"userId":"cx:a:1","id":"bb","time":1483313400,"sessionStart":true}\n'
        '{"eventId":6,"userId":"cx:b:2","id":"aa","time":1483313400}\n'
        '{"eventId":7,"userId":"cx:a:1","id":"bb","time":1483313399,"query":"q"}\n',
        "README.txt": "not a day",
    },
    "recbole": {
        "tiny.inter": "session_id:token\titem_id:token\ttimestamp:float\n7\ta\t1433224203.5\n7\tb\t1433224300\n"
    },
    "srgnn": {  # a pickle of protocol 0 is text
        "all_train_seq.txt": pickle.dumps([[3, 1], [1, 2, 1]], 0).decode(),
        "train.txt": pickle.dumps(([[3], [1, 2], [1]], [1, 1, 2]), 0).decode(),
        "test.txt": pickle.dumps(([[2, 3], [2]], [1, 3]), 0).decode(),
    },
    "trivago2019": {
        "train.csv": TRIVAGO + "U,s,1541037460,1,search for poi,Newtown,AU,Sydney,mobile,,,\n"
        "U,s,1541037522,2,interaction item image,666856,AU,Sydney,mobile,,,\n"
        'U,s,1541037542,3,clickout item,109038,AU,Sydney,mobile,"a|b, c",109038|666856,162|25\n'
    },
}
EXPECTED: dict[str, list[tuple[Any, Any, str]]] = {
    "yoochoose": [
        (1, 214536502, "2014-04-07T10:51:09.277000Z"),
        (1, 214536500, "2014-04-07T10:54:09.868000Z"),
        (5, 214530776, "2014-04-07T17:13:46.713000Z"),
    ],
    "diginetica": [  # the second view is a day and 7 ms after the day of the first
        (1, 81766, "2016-05-09T00:08:46.309000Z"),
        (1, 31331, "2016-05-10T00:00:00.007000Z"),
        (2, 32118, "2016-05-10T00:00:00.031000Z"),
    ],
    "retailrocket": [  # just an hour after the view before: the same session; a second more: another
        (0, 1, "2015-06-02T05:02:12Z"),
        (0, 2, "2015-06-02T05:50:03Z"),
        (0, 3, "2015-06-02T06:02:12Z"),
        (1, 4, "2015-06-02T07:02:13Z"),
    ],
    "rees46": [
        (0, 1, "2019-10-31T23:59:59Z"),
        (0, 3, "2019-11-01T00:00:00Z"),
        (1, 4, "2019-11-01T02:00:00Z"),
    ],
    "coveo": [("s1", "p1", "2019-02-23T01:26:53.307000Z"), ("s1", "", "2019-02-23T01:26:53.400000Z")],
    "coveo_sigir2021": [("s1", "p1", "2019-02-23T01:26:53.307000Z"), ("s2", "p2", "2019-02-23T01:26:53.307000Z")],
    "otto": [(0, 7, "2022-07-31T22:00:00.025000Z"), (0, 9, "2022-07-31T22:01:44.600000Z")],
    "globo": [
        (1506825423271737, 119592, "2017-10-01T03:00:28.020000Z"),
        (1506825423271737, 30970, "2017-10-01T03:53:20Z"),
    ],
    "adressa": [  # just half an hour after the article before: the same session; a second more: another
        (0, "aa", "2017-01-01T23:00:00Z"),
        (0, "bb", "2017-01-01T23:29:59Z"),
        (0, "bb", "2017-01-01T23:30:00Z"),
        (1, "bb", "2017-01-01T22:59:59Z"),
        (2, "aa", "2017-01-01T23:30:00Z"),
    ],
    "recbole": [(7, "a", "2015-06-02T05:50:03.500000Z"), (7, "b", "2015-06-02T05:51:40Z")],
    "srgnn": [
        (0, 3, "1970-01-01T00:00:00Z"),
        (0, 1, "1970-01-01T00:00:01Z"),
        (1, 1, "1970-01-01T00:00:02Z"),
        (1, 2, "1970-01-01T00:00:03Z"),
        (1, 1, "1970-01-01T00:00:04Z"),
    ],
    "trivago2019": [("s", 666856, "2018-11-01T01:58:42Z"), ("s", 109038, "2018-11-01T01:59:02Z")],
}
OTHER_TYPES = {
    "retailrocket": (2, None, 0),  # sessions are made later
    "rees46": (1, None, None),  # several files may share them
    "coveo": (2, 1, 1),
    "coveo_sigir2021": (2, 0, 0),
    "otto": (2, 1, 1),
}
OTHER_TYPES |= {"trivago2019": (1, 0, 0)}  # a city is no item
OTHER_TYPES |= {"adressa": (2, None, None)}  # nor is a front page


def laid_out(folder, name):
    for file, text in FILES[name].items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())
    return folder


def rows(events):
    return [(s, i, iso(t)) for s, i, t in events.select(SESSION, ITEM, TIME).iter_rows()]


def read(folder, name, **fields):
    return read_log(folder, DataSettings(format=name, source=str(folder), **fields))


@pytest.mark.parametrize("name", [name for name in formats() if name != GENERIC])
def test_every_format_reads_the_files_of_its_publisher(tmp_path, name):
    reading = read(laid_out(tmp_path, name), name)
    assert sorted(rows(reading.events)) == sorted(EXPECTED[name])
    counted = {r["reason"]: (r["events"], r["sessions"], r["items"]) for r in reading.facts["removals"]}
    assert counted == ({"other event type": OTHER_TYPES[name]} if name in OTHER_TYPES else {})
    assert reading.facts["rows"] == reading.events.height + sum(r["events"] for r in reading.facts["removals"])


@pytest.mark.parametrize("name", [name for name in formats() if name != GENERIC])
def test_a_folder_without_the_files_names_them_and_the_page(tmp_path, name):
    with pytest.raises(DataError, match=f"in this folder, which format: {name} expects") as caught:
        read(tmp_path, name)
    assert str(tmp_path) in caught.value.message
    assert "docs/data.md" in caught.value.hint


def test_one_file_of_a_format_can_be_read_alone(tmp_path):
    file = laid_out(tmp_path, "yoochoose") / "yoochoose-clicks.dat"
    assert rows(read(file, "yoochoose").events) == EXPECTED["yoochoose"][:2]


def test_a_file_that_is_there_twice_is_not_read_twice(tmp_path):
    laid_out(tmp_path, "rees46")
    (tmp_path / "2019-Nov.csv").write_text(REES46)
    with pytest.raises(DataError, match=r"holds both 2019-Nov.csv and 2019-Nov.csv.gz"):
        read(tmp_path, "rees46")


def test_sessions_and_event_types_can_be_chosen(tmp_path):
    laid_out(tmp_path, "rees46")
    shipped = read(tmp_path, "rees46", sessions={"by": "session"}, events=("view", "cart"))
    assert [(s, i) for s, i, _ in rows(shipped.events)] == [("bb", 3), ("bb", 3), ("bb", 4), ("aa", 1)]
    with pytest.raises(DataError, match="of type purchase"):
        read(tmp_path, "rees46", events=("purchase",))
    with pytest.raises(DataError, match="format coveo has no user ids"):
        read(laid_out(tmp_path, "coveo"), "coveo", sessions={"by": "user", "gap_minutes": 5.0})


@pytest.mark.parametrize(
    ("name", "file", "line", "message"),
    [
        ("yoochoose", "yoochoose-clicks.dat", "2,2014-04-07,5", "line 3 has 3 fields, the format has 4"),
        ("yoochoose", "yoochoose-clicks.dat", "2,soon,5,0", "line 3, column 'time': 'soon' is not an ISO 8601 time"),
        ("yoochoose", "yoochoose-test.dat", ",2014-04-07,5,0", "line 2, column 'session': the id is empty"),
        ("diginetica", "train-item-views.csv", "2;7;1;5;May 9", "line 5, column 'eventdate': 'May 9' is not an ISO"),
        ("retailrocket", "events.csv", "1433221332000,9,view,,", "line 8, column 'itemid': the id is empty"),
        ("otto", "otto-recsys-train.jsonl", "{", "line 3: not JSON in UTF-8"),
        ("otto", "otto-recsys-train.jsonl", '{"session":1}', "line 3: not a session: an integer id and a list"),
        (
            "otto",
            "otto-recsys-train.jsonl",
            '{"session":2,"events":[{"aid":"x","ts":1,"type":"clicks"}]}',
            "line 3: an event without an integer item id",
        ),
        ("adressa", "20170101", "{", "line 5: not JSON in UTF-8"),
        ("adressa", "20170101", '["userId"]', "line 5: not an event"),
        ("adressa", "20170101", '{"userId":"u","id":["x"],"time":5}', "line 5: an event whose item id is not text"),
        ("adressa", "20170101", '{"userId":"u","id":"","time":5}', "line 5: an event whose item id is not text"),
        ("adressa", "20170101", '{"userId":true,"id":"x","time":5}', "line 5: an event without a user id"),
        ("adressa", "20170101", '{"id":"x","time":5}', "line 5: an event without a user id"),
        ("adressa", "20170101", '{"userId":"u","id":"x"}', "line 5: an event whose time is not one in whole seconds"),
        ("adressa", "20170101", '{"userId":"u","id":"x","time":5e9}', "line 5: an event whose time is not one in"),
        ("adressa", "20170101", '{"userId":"u","id":"x","time":99999999999}', "line 5: an event whose time is not one"),
    ],
)
def test_bad_rows_are_refused_with_their_place_or_counted(tmp_path, name, file, line, message):
    path = laid_out(tmp_path, name) / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, name)
    assert caught.value.message.startswith(f"{path}: {message}")
    reading = read(tmp_path, name, on_error="skip")
    assert sorted(rows(reading.events)) == sorted(EXPECTED[name])
    assert [found["rows"] for found in reading.facts["bad_rows"]] == [1]
    place = message.partition(" has ")[0].partition(",")[0].partition(":")[0]
    assert reading.facts["bad_rows"][0]["first"] == f"{file}, {place}"
    gone = sum(removal["events"] for removal in reading.facts["removals"])
    assert reading.facts["rows"] == reading.events.height + gone


def test_every_way_to_be_bad_is_counted_and_ids_stay_integers(tmp_path):
    lines = [
        "SessionId,ItemId,Time",
        "1,2,3",
        "1,,4",
        "",
        "1,2",
        "1,2,3,4",
        '1,"2,5',
        "1,caf\xe9,6",
        "1,2,soon",
        "4,5,6",
    ]
    path = tmp_path / "clicks.csv"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    reading = read_log(path, DataSettings(source=str(path), on_error="skip"))
    assert reading.events.rows() == [(1, 2, 3_000_000), (4, 5, 6_000_000)]
    assert {found["reason"]: (found["rows"], found["first"]) for found in reading.facts["bad_rows"]} == {
        "empty line": (1, "clicks.csv, line 4"),
        "wrong number of fields": (2, "clicks.csv, line 5"),
        "broken quotes": (1, "clicks.csv, line 7"),
        "not UTF-8": (1, "clicks.csv, line 8"),
        "no item id": (1, ""),
        "not a time": (1, ""),
    }
    assert reading.facts["rows"] == 9
    assert json.dumps(reading.facts)


def test_a_named_format_brings_its_own_columns():
    for fields in ({"time_unit": "iso8601"}, {"separator": ";"}, {"columns": {"item": "x"}}):
        with pytest.raises(ValueError, match="is only for format: generic"):
            DataSettings(format="coveo", source="x", **fields)
    with pytest.raises(ValueError, match="events: format adressa has no event types"):
        DataSettings(format="adressa", source="x", events=("view",))
    with pytest.raises(ValueError, match=r"did you mean 'yoochoose'"):
        DataSettings(format="yochoose", source="x")


def test_compressed_lines_of_sessions_read_equally(tmp_path):
    (tmp_path / "otto-recsys-train.jsonl.gz").write_bytes(
        gzip.compress(FILES["otto"]["otto-recsys-train.jsonl"].encode())
    )
    assert rows(read(tmp_path, "otto").events) == EXPECTED["otto"]


def test_lines_of_events_read_equally_fast_and_slowly(tmp_path):
    laid_out(tmp_path, "adressa")
    fast = read(tmp_path, "adressa")
    with (tmp_path / "20170101").open("a") as day:
        day.write('\n\n{"userId":12,"id":34,"time":1483311000}\n{"userId":"u","id":"x","time":null}\n')
    slow = read(tmp_path, "adressa", on_error="skip")
    assert rows(slow.events)[0] == (0, "34", "2017-01-01T22:50:00Z")  # "12" comes before "cx:…"
    assert [(s + 1, *rest) for s, *rest in rows(fast.events)] == rows(slow.events)[1:]
    assert slow.facts["rows"] == fast.facts["rows"] + 2


def test_a_day_without_articles_is_told(tmp_path):
    (tmp_path / "20170101").write_text('{"userId":"u","time":1483311000,"url":"http://adressa.no"}\n')
    with pytest.raises(DataError, match="none of its 1 events names an item in 'id'"):
        read(tmp_path, "adressa")


def test_the_page_on_data_names_every_format_preset_and_published_count():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name in formats():
        assert f"| `{name}`" in page
    for name, preset in PRESETS.items():
        rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
        (row,) = [row for row in rows if f"`{name}`" in row[0] and row[1].startswith(preset.format) and len(row) == 6]
        for number in preset.published.values():
            assert f"{number:,}" in " ".join(row)


def test_the_files_of_a_folder_are_inputs_and_stay_so_when_it_is_gone(tmp_path):
    settings = DataSettings(format="globo", source=str(laid_out(tmp_path / "raw", "globo")))
    found = input_files(settings, {})
    assert list(found) == [f"data.source/clicks/clicks_hour_00{n}.csv" for n in (0, 1)]
    (tmp_path / "raw").rename(tmp_path / "elsewhere")
    assert input_files(settings, dict.fromkeys(found, "hash")) == found
