"""`init` writes a configuration that runs, says why it guessed what, and says what it is not sure of."""

import gzip
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.study.config import StudyConfig, load_config
from gru4rec_cli.study.inspecting import save, write_configuration
from tests.small import study

START = datetime(2024, 3, 1, 9, 15, 2, tzinfo=timezone(timedelta(hours=2)))


def clicks(sessions: int = 900, seed: int = 1) -> list[dict[str, Any]]:
    """Sessions of two to five clicks over 30 days, in order of time."""
    draw = random.Random(seed)
    rows = []
    for session in range(sessions):
        at = START + timedelta(days=30 * session / sessions)
        for _ in range(draw.randint(2, 5)):
            at += timedelta(seconds=draw.randint(5, 90))
            rows.append({"session": session, "user": session // 3, "item": draw.randrange(40), "at": at})
    return sorted(rows, key=lambda row: row["at"])


def table(
    path: Path, columns: dict[str, Callable[[dict[str, Any]], object]], separator: str = ",", quote: str = ""
) -> Path:
    """A file of the clicks with these columns."""
    lines = [separator.join(f"{quote}{name}{quote}" for name in columns)]
    lines += [separator.join(f"{quote}{value(row)}{quote}" for value in columns.values()) for row in clicks()]
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def guessed(path: Path) -> tuple[StudyConfig, str]:
    text = write_configuration(path)
    target = path.with_name("written.yaml")
    target.write_text(text, encoding="utf-8")
    return load_config(target), text


def test_quoted_text_with_leading_zeros_zones_and_event_types(tmp_path):
    kinds = random.Random(2)
    config, text = guessed(
        table(
            tmp_path / "shop log.csv",
            {
                "visit_id": lambda row: f"{row['session']:08d}",
                "product_code": lambda row: f"{row['item']:05d}",
                "action": lambda row: kinds.choices(["view", "add_to_cart"], [9, 1])[0],
                "clicked_at": lambda row: row["at"].isoformat(),
                "price": lambda row: f"{row['item'] * 1.5:.2f}",
            },
            quote='"',
        )
    )
    columns = config.data.columns
    assert (columns.session, columns.item, columns.time) == ("visit_id", "product_code", "clicked_at")
    assert (columns.user, columns.event, config.data.events) == (None, "action", ("view",))
    assert (config.data.time_unit, config.data.separator, config.name) == ("iso8601", None, "shop-log")
    assert "zones: :02+02:00" not in text
    assert "zones: +02:00" in text
    assert "NOT SURE:" not in text
    # 30 days, sessions spread evenly: three days have a tenth of the sessions, seven have 23 %
    assert (config.split.by, config.split.test) == ("days", 3)


def test_users_without_sessions_semicolons_milliseconds_and_a_robot(tmp_path):
    path = table(
        tmp_path / "log.txt",
        {
            "visitor": lambda row: f"u{row['user']}",
            "sku": lambda row: row["item"],
            "ts": lambda row: int(row["at"].timestamp() * 1000),
        },
        separator=";",
    )
    at = int(START.timestamp() * 1000)
    with path.open("a") as file:
        file.writelines(f"robot;{n % 40};{at + 2000 * n}\n" for n in range(4000))
    config, text = guessed(path)
    assert (config.data.separator, config.data.time_unit) == (";", "milliseconds")
    assert (config.data.sessions.by, config.data.sessions.gap_minutes) == ("user", 30)
    assert config.data.columns.user == "visitor"
    assert config.split.max_session_length == 50  # at least 50, else twice the 95th percentile, which is 5
    assert "'robot' has 4,000 of" in text


def test_session_numbers_that_restart_for_every_user_are_not_used(tmp_path):
    config, text = guessed(
        table(
            tmp_path / "log.tsv.gz",
            {
                "SessionId": lambda row: row["session"] % 3,
                "UserId": lambda row: row["user"],
                "ItemId": lambda row: row["item"],
                "Time": lambda row: row["at"].timestamp(),
            },
            separator="\t",
        )
    )
    assert (config.data.sessions.by, config.data.separator) == ("user", None)
    assert "3 of 3 ids in 'SessionId' occur with several users" in " ".join(text.replace("#", "").split())


def test_missing_ids_of_any_kind_are_dropped(tmp_path):
    draw = random.Random(4)
    config, _ = guessed(
        table(
            tmp_path / "log.csv",
            {
                "session": lambda row: draw.choice(["NULL", "", *[row["session"]] * 60]),
                "item": lambda row: draw.choice([-1, *[row["item"]] * 3]),
                "time": lambda row: int(row["at"].timestamp()),
            },
        )
    )
    assert set(config.data.missing) == {"", "NULL", "-1"}


def test_names_that_say_nothing_are_guessed_from_values_and_said(tmp_path):
    config, text = guessed(
        table(
            tmp_path / "2024.csv",
            {
                "a": lambda row: row["item"],
                "b": lambda row: f"s{row['session']}",
                "c": lambda row: row["at"].timestamp(),
            },
        )
    )
    assert (config.data.columns.session, config.data.columns.item, config.data.columns.time) == ("b", "a", "c")
    assert text.count("NOT SURE:") == 3
    assert config.name == "clicks-2024"


def test_parquet_with_moments_and_files_without_times(tmp_path):
    frame = pl.DataFrame({key: [row[key] for row in clicks()] for key in ("session", "item")})
    moments = [row["at"].astimezone(UTC).replace(tzinfo=None) for row in clicks()]
    frame.with_columns(pl.Series("when", moments)).write_parquet(tmp_path / "log.parquet")
    config, _ = guessed(tmp_path / "log.parquet")
    assert (config.data.columns.time, config.data.time_unit) == ("when", "iso8601")
    frame.write_csv(tmp_path / "log.csv")
    config, text = guessed(tmp_path / "log.csv")
    assert (config.data.columns.time, config.split.by) == (None, "ratio")
    assert "NOT SURE: no column holds times" in text


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (
            "a1,7,2024-03-01T09:15:02Z\na1,8,2024-03-01T09:15:03Z\n",
            "the first line holds values",
            "SessionId,ItemId,Time",
        ),
        ("colour,size\nred,1\nblue,2\n", "no column looks like", "by hand"),
        ("", "", ""),
    ],
)
def test_what_cannot_be_guessed_is_refused(tmp_path, content, message, hint):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError) as error:
        write_configuration(tmp_path / "x.csv")
    assert message in error.value.message
    assert hint in error.value.hint


def test_paths_that_are_no_files(tmp_path):
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "no.csv", "no such file")):
        with pytest.raises(DataError, match=message):
            write_configuration(path)


@pytest.mark.parametrize("name", ["null", "yes", "a: b", 'quo"te', "#x", "1e3", "2014-01-01", "*x", "é\u2028", "{a}"])
def test_names_of_columns_that_yaml_would_read_as_something_else(tmp_path, name):
    path = tmp_path / "x.parquet"
    rows = clicks()
    pl.DataFrame(
        {
            "session": [row["session"] for row in rows],
            name: [f"i{row['item']}" for row in rows],
            "time": [row["at"].timestamp() for row in rows],
        }
    ).write_parquet(path)
    config, _ = guessed(path)
    assert config.data.columns.item == name


@pytest.mark.slow
def test_the_command_writes_what_run_can_use_and_never_overwrites(tmp_path):
    table(
        tmp_path / "log.csv",
        {"sid": lambda row: row["session"], "item": lambda row: row["item"], "time": lambda row: row["at"].isoformat()},
    )
    done = study("init", "log.csv", "--to", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "gru4rec-study run --config mine.yaml" in done.stderr
    written = (tmp_path / "mine.yaml").read_text()
    assert study("init", "log.csv", cwd=tmp_path).stdout == written
    again = study("init", "log.csv", "--to", "mine.yaml", cwd=tmp_path)
    assert (again.returncode, (tmp_path / "mine.yaml").read_text()) == (2, written)
    with pytest.raises(UsageError):
        save(tmp_path / "mine.yaml", "x")
    short = ["--set", "train.models.gru4rec.epochs=1", "--set", "train.models.gru4rec.layers=[8]"]
    run = study("run", "--config", "mine.yaml", *short, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "vsknn" in run.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("init", "clicks.csv", "--to", "nodir/x.yaml"), "there is no folder nodir"),
        (("init", "clicks.csv", "--to", "."), "is a folder"),
        (("describe", "clicks.csv", "--to", "clicks.csv"), "clicks.csv is a file, not a folder"),
        (("describe", "clicks.csv", "--to", "clicks.csv/out"), "clicks.csv is a file, not a folder"),
        (("compare", "runs/x", "--to", "clicks.csv"), "clicks.csv is a file, not a folder"),
        (("bench", "--to", "clicks.csv"), "clicks.csv is a file, not a folder"),
        (("export-checkpoint", "runs/x", "--to", "clicks.csv/model"), "clicks.csv is a file, not a folder"),
        (("import-checkpoint", "model.pt", "--to", "clicks.csv/model"), "clicks.csv is a file, not a folder"),
        (("fetch", "--vendor", "clicks.csv"), "clicks.csv is a file, not a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_where_nothing_can_be_written_is_said_before_any_work(tmp_path: Path, command: tuple[str, ...], message: str):
    """The input is broken, too: it would be told first if it was looked at first."""
    (tmp_path / "clicks.csv").write_text("not clicks\n")
    done = study(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
