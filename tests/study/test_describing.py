"""`describe` takes whatever `split` takes, and shows the same on the terminal, as JSON and as files."""

import json
import shlex
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import ConfigError, DataError, UsageError
from gru4rec_cli.study.describing import Options, describe_input, write
from tests.small import study

ROWS = [(s, (s + k) % 7, 1_600_000_000 + 3600 * s + 60 * k) for s in range(40) for k in range(1 + s % 4)]


def clicks(folder: Path, name: str = "clicks.csv", scale: int = 1, header: str = "SessionId,ItemId,Time") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *(f"{s},{i},{t * scale}" for s, i, t in ROWS)]) + "\n")
    return path


def test_the_command_shows_tables_or_json_and_writes_plots(tmp_path: Path):
    done = study("describe", clicks(tmp_path), "--to", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Order of clicks" in done.stdout
    assert "rows out of order in the file" in done.stdout
    shown = json.loads(study("describe", clicks(tmp_path), "--json").stdout)
    assert shown == json.loads((tmp_path / "out" / "describe.json").read_text())
    assert shown["events"] == len(ROWS)
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json"] + [".png"] * 3 + [".svg"] * 3


def test_the_unit_is_tried_out_columns_can_be_named_and_plots_are_the_same_again(tmp_path: Path):
    path = clicks(tmp_path, scale=1000, header="visit,product,when")
    found = describe_input(path, None, Options(session="visit", item="product", time="when"))
    assert found["time_unit"] == "milliseconds"
    assert found["times"]["median_year"] == 2020
    one, two = (write(found, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    with pytest.raises(DataError, match="is after the year 2200"):
        describe_input(path, None, Options(session="visit", item="product", time="when", time_unit="seconds"))
    rows = describe_input(path, None, Options(session="visit", item="product", time="none"))
    assert rows["time_unit"] is None
    assert rows["times"]["guess"] == "row numbers"


def test_a_configuration_says_how_to_read_also_files_that_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    clicks(tmp_path, "train.csv")
    lines = [f"{s + 100},x{i},{t}" for s, i, t in ROWS]
    (tmp_path / "test.csv").write_text("\n".join(["SessionId,ItemId,Time", *lines]) + "\n")
    text = "name: x\nbaseline: {models: {popularity: {}}}\ndata: "
    (tmp_path / "x.yaml").write_text(text + "{train: train.csv, test: test.csv}\n")
    found = describe_input(None, tmp_path / "x.yaml", Options())
    assert (found["events"], found["items"]) == (2 * len(ROWS), 14)
    (tmp_path / "y.yaml").write_text(text + "{source: train.csv, sessions: {gap_minutes: 0.5}}\n")
    cut = describe_input(None, tmp_path / "y.yaml", Options())
    assert (cut["sessions"], cut["out_of_order"]) == (len(ROWS), None)


def test_tables_that_stages_wrote_and_formats_can_be_described(tmp_path: Path):
    (tmp_path / "yoochoose-clicks.dat").write_text("1,2014-04-07T10:51:09.277Z,2,0\n1,2014-04-07T10:54:09.868Z,3,0\n")
    (tmp_path / "yoochoose-test.dat").write_text("5,2014-04-07T17:13:46.713Z,2,0\n")
    found = describe_input(tmp_path, None, Options(format="yoochoose"))
    assert (found["sessions"], found["time_unit"]) == (2, "iso8601")
    (tmp_path / "x.yaml").write_text("name: x\ndata: {source: synth}\nbaseline: {models: {popularity: {}}}\n")
    assert (
        study(
            "synth", "-c", "x.yaml", "--set", "synth.sessions=2000", "--set", "synth.items=100", cwd=tmp_path
        ).returncode
        == 0
    )
    table = describe_input(tmp_path / "runs" / "x" / "synth" / "events.parquet", None, Options())
    assert (table["sessions"], table["reading"]) == (2000, [])
    with pytest.raises(UsageError, match="planted"):
        describe_input(None, tmp_path / "x.yaml", Options())


def test_options_that_say_nothing_or_contradict(tmp_path: Path):
    with pytest.raises(UsageError, match="nothing to describe"):
        describe_input(None, None, Options())
    with pytest.raises(UsageError, match="--config says"):
        describe_input(None, tmp_path / "x.yaml", Options(item="x"))
    with pytest.raises(UsageError, match="is only for format: generic"):
        describe_input(tmp_path, None, Options(format="coveo", item="x"))


def test_an_empty_id_is_not_blamed_on_the_unit_of_the_times(tmp_path: Path):
    lines = ["SessionId,ItemId,Time", *(f"{s},{i},2024-03-01T09:15:{s + 10}Z" for s, i, _ in ROWS)]
    lines[5] = "x,,2024-03-01T09:15:02Z"
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="line 6, column 'ItemId': the id is empty") as caught:
        describe_input(path, None, Options())
    assert caught.value.hint.endswith('give --missing "" to drop and count such rows')
    with pytest.raises(DataError, match="the id is empty") as caught:
        describe_input(path, None, Options(missing=("NULL", "-")))
    assert 'give --missing "NULL" --missing "-" --missing "" to drop' in caught.value.hint


def test_a_wrong_time_is_explained_in_the_unit_of_the_others(tmp_path: Path):
    lines = ["SessionId,ItemId,Time", "1,2,2024-03-01T09:15:02Z", "1,2,yesterday"]
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="line 3, column 'Time': 'yesterday' is not an ISO 8601 time"):
        describe_input(path, None, Options())


def test_the_remedy_for_several_missing_values_can_be_typed_as_it_is(tmp_path: Path):
    odd = ["NULL", "-", "[object object]", "n/a"]
    rows = [(odd[k % 4] if s < 32 else s, i, t) for k, (s, i, t) in enumerate(ROWS)]
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(["SessionId,ItemId,Time", *(f"{s},{i},{t}" for s, i, t in rows)]) + "\n")
    (warning,) = json.loads(study("describe", path, "--json").stdout)["warnings"]
    remedy = warning["hint"].removeprefix("give ").removesuffix(" to drop and count these rows")
    again = study("describe", path, "--json", *shlex.split(remedy))
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert sum(removal["events"] for removal in found["reading"][0]["removals"]) == sum(s in odd for s, _, _ in rows)
    assert "[object object]" in remedy


def test_what_describe_has_no_option_for_is_said_to_be_of_a_study(tmp_path: Path):
    path = tmp_path / "clicks.csv"
    robot = [("robot", n % 7, 1_600_000_000 + n) for n in range(3000)]
    path.write_text("\n".join(["SessionId,ItemId,Time", *(f"{s},{i},{t}" for s, i, t in [*ROWS, *robot])]) + "\n")
    (warning,) = json.loads(study("describe", path, "--json").stdout)["warnings"]
    assert "In a study, split.max_session_length: 50 drops longer sessions" in warning["hint"]


def test_a_wrong_configuration_is_described_as_everywhere(tmp_path: Path):
    (tmp_path / "x.yaml").write_text("name: x\ndata: {sourc: e.csv}\n")
    with pytest.raises(ConfigError, match=r"did you mean 'source'\?"):
        describe_input(None, tmp_path / "x.yaml", Options())
