"""What Spark reads beside what Polars reads, one case after the other in one session.

python -m tests.data.on_spark FOLDER prints JSON: case → whether events and facts are the same, or what was refused.
"""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.engine import ROW, native
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.layout import GENERIC, formats, layout_of
from gru4rec_cli.data.reading import read_log
from gru4rec_cli.data.spark import SparkSettings, spark_session
from gru4rec_cli.data.spark_reading import read_log as read_on_spark
from gru4rec_cli.data.users import USER
from tests.data.test_formats import laid_out

FEW_ROWS = {  # compiling and optimising take longer than these few rows
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
LINES = [
    "SessionId,ItemId,Time,who,what",
    "s1,7,100,u1,view",
    "s1,07,100.5,u1,view",
    's1,"a,""b""",100,u2,view',
    "s2, 7,9,u1,view",
    "s2,7,9,u1,buy",
    "s3,x,3700,u1,buy",
    "s2,7,9,u2,view",
    "s2,8,40.25,u2,view",
]
INTEGERS = ["SessionId,ItemId,Time", "3,5,1.7", "-3,5,1", "9,12345678901,1000", "3,6,1"]
DATES = ["2014-04-07T10:51:09.277Z", "2014-04-07", "2014-04-07 10:51:09+02:00", "2014-04-07 10:51:09 UTC", "20140407"]
BAD = {
    "too few fields": "1,2",
    "too many fields": "1,2,3,4",
    "blank": "",
    "open quote": '1,"2,3',
    "quote inside": '1,2"x"2,3',
    "no item": "1,,3",
    "no time": "1,2,",
    "not a time": "1,2,soon",
    "not quite a number": "1,2,3d",
    "after 2200": "1,2,9e12",
    "not UTF-8": b"1,caf\xe9,3",
}


def cases(folder: Path) -> dict[str, dict[str, Any]]:
    """Files in `folder`, and the `data:` settings that read them, by case."""
    found: dict[str, dict[str, Any]] = {
        name: {"format": name, "source": str(laid_out(folder / name, name))}
        for name in formats()
        if name != GENERIC and layout_of(name).separator is not None
    }
    columns = {"user": "who", "event": "what"}
    text = {"source": write(folder / "text.csv", LINES), "columns": columns}
    found |= {
        "text": text,
        "types": text | {"events": ("view",)},
        "carriage returns": {"source": write(folder / "returns.csv", LINES, end="\r\n")},
        "integers": {"source": write(folder / "integers.tsv", [line.replace(",", "\t") for line in INTEGERS])},
        "pauses": text | {"sessions": {"by": "user", "gap_minutes": 1.0}},
        "pauses in sessions": text | {"sessions": {"gap_minutes": 0.5}},
        "brief": text | {"sessions": {"min_dwell_seconds": 20.0}},
    }
    dates = ["SessionId,ItemId,Time", *(f"1,2,{date}" for date in DATES[:-1])]
    found["dates"] = {"source": write(folder / "dates.csv", dates), "time_unit": "iso8601"}
    table = pl.DataFrame({"SessionId": [3, 1, 3], "ItemId": ["b", "a", "c"], "Time": [5.5, 2.0, 5.5]})
    table.write_parquet(folder / "numbers.parquet")
    found["parquet"] = {"source": str(folder / "numbers.parquet")}
    table.with_columns(pl.from_epoch(pl.Series([7, 7, 9]), "s").alias("Time")).write_parquet(folder / "moments.parquet")
    found["parquet of moments"] = {"source": str(folder / "moments.parquet"), "time_unit": "iso8601"}
    found["bad date"] = {"source": write(folder / "bad-date.csv", [*dates, f"1,2,{DATES[-1]}"]), "time_unit": "iso8601"}
    for name, line in BAD.items():
        found[name] = {"source": write(folder / f"{name}.csv", [*INTEGERS, line])}
    return found


def write(path: Path, lines: list[Any], end: str = "\n") -> str:
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + end.encode() for line in lines))
    return str(path)


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    told: dict[str, Any] = {}
    options = {
        "spark.sql.files.maxPartitionBytes": "100",  # even these files are read in pieces
        "spark.sql.files.openCostInBytes": "1",
        "spark.sql.shuffle.partitions": "2",
        **FEW_ROWS,
    }
    with spark_session(SparkSettings(master="local[2]", options=options)) as session:
        for name, given in cases(folder).items():
            settings = DataSettings.model_validate(given)
            try:
                reading = read_on_spark(session, given["source"], settings)
                facts, frame = reading.facts, native(reading.events)
            except DataError as error:
                told[name] = {"refused": [error.message, error.hint]}
                continue
            expected = read_log(given["source"], settings)
            by = [SESSION, TIME, ROW] if settings.sessions.min_dwell_seconds or "made" in facts["sessions"] else [ROW]
            same = frame.sort(by).select(SESSION, ITEM, TIME).equals(expected.events)
            told[name] = {"events": same, "facts": facts == expected.facts, "rows": frame.height}
            told[name]["users"] = _rows(reading.users) == _rows(expected.users)
    print(json.dumps(told))


def _rows(users: pl.DataFrame | None) -> list[tuple[str, str]] | None:
    return None if users is None else sorted(users.select(SESSION, USER).rows())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
