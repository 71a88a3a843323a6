"""Event types that no event has are said, with those that there are and the one that was probably meant."""

import json
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.reading import findings_of, read_log, read_logs

HEADER = "SessionId,ItemId,Time,kind\n"


def log(folder: Path, kinds: list[str], name: str = "e.csv") -> Path:
    path = folder / name
    lines = [f"{row // 3},{row % 4},{1_600_000_000 + row},{kind}" for row, kind in enumerate(kinds)]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def settings(path: Path, *events: str) -> DataSettings:
    given = {"source": str(path), "columns": {"event": "kind"}, "events": events}
    return DataSettings.model_validate_json(json.dumps(given))


def test_a_misspelt_type_beside_a_good_one_is_a_warning(tmp_path: Path):
    path = log(tmp_path, ["view"] * 6 + ["click"] * 4 + [""] * 2)
    found = read_log(path, settings(path, "view", "clik"))
    assert found.events.height == 6
    (finding,) = found.findings
    assert finding.id == "unknown-event-type"
    assert finding.message == ("e.csv: no event is of type 'clik'; its event types are 'view' (6), 'click' (4), '' (2)")
    assert finding.hint == "did you mean 'click'? correct or remove it in data.events"
    assert read_log(path, settings(path, "view", "click")).findings == []
    assert read_log(path, settings(path, "view")).findings == []


def test_without_any_of_the_types_the_error_names_those_that_there_are(tmp_path: Path):
    path = log(tmp_path, ["view"] * 6 + [f"t{n}" for n in range(12)])
    with pytest.raises(DataError) as caught:
        read_log(path, settings(path, "VIEWS", "nothing"))
    assert "none of its 18 events is of type VIEWS or nothing; its event types are 'view' (6), 't0' (1)" in str(
        caught.value
    )
    assert str(caught.value).endswith("'t6' (1) and 3 others")  # ten are shown
    assert caught.value.hint.startswith("did you mean 'view'? ")


def test_a_type_that_only_one_of_two_given_files_lacks_is_no_mistake(tmp_path: Path):
    train, test = log(tmp_path, ["view", "cart"] * 6), log(tmp_path, ["view"] * 12, "test.csv")
    given = {**settings(train, "view", "cart", "wiev").model_dump(mode="json"), "source": None}
    both = DataSettings.model_validate_json(json.dumps({**given, "train": str(train), "test": str(test)}))
    found = [f for f in findings_of(read_logs([train, test], both), both) if f.id == "unknown-event-type"]
    assert {finding.value for finding in found} == {"wiev"}
    assert all("did you mean 'view'?" in finding.hint for finding in found)


def test_lines_of_sessions_have_types_too(tmp_path: Path):
    path = tmp_path / "train.jsonl"
    event = '{"aid":%d,"ts":1661724000278,"type":"%s"}'
    events = ",".join(event % (n, kind) for n, kind in enumerate(["clicks", "clicks", "carts"]))
    path.write_text(f'{{"session":1,"events":[{events}]}}\n')

    def otto(*kinds: str) -> DataSettings:
        return DataSettings(source=str(path), format="otto", events=kinds)

    (finding,) = read_log(path, otto("clicks", "order")).findings
    assert "no event is of type 'order'; its event types are 'clicks' (2), 'carts' (1)" in finding.message
    with pytest.raises(DataError, match=r"type cart; its event types are 'clicks' \(2\)") as caught:
        read_log(path, otto("cart"))
    assert "did you mean 'carts'?" in caught.value.hint
