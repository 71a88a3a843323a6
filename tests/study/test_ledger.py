"""The ledger of a run has every time that its test was ranked, whatever happens, and makes no stage out of date."""

import json
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import hash_file
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.ledger import LEDGER, Ranked, Use, read_uses, record_use, settings_tried
from tests.small import artifact_hashes, study, write_config

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "synth"},
    "synth": {"sessions": 300, "items": 12, "interests": 2, "successors": 2},
    "baseline": {"models": {"popularity": {}, "near": {"kind": "iknn", "lmbd": 5.0}}},
    "evaluate": {"resamples": 10, "permutations": 10, "cutoffs": [1, 3]},
}
NEW = Use("2026-01-01T00:00:00+00:00", "test", {})


def run(folder: Path, *arguments: str, **changes: Any) -> list[dict[str, Any]]:
    """Run a study and return the lines of the ledger."""
    config = write_config(folder, TINY | changes)
    done = study("run", "--config", config, "--run-dir", folder / "run", "--quiet", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "run" / LEDGER).read_text().splitlines()]


def near(lmbd: float) -> dict[str, Any]:
    return {"models": {"popularity": {}, "near": {"kind": "iknn", "lmbd": lmbd}}}


def test_there_is_a_line_for_every_time_that_the_test_is_ranked(tmp_path: Path):
    (first,) = run(tmp_path)
    assert {name: model["kind"] for name, model in first["models"].items()} == {
        "popularity": "popularity",
        "near": "iknn",
    }
    assert first["test"] == hash_file(tmp_path / "run" / "split" / "test.parquet")
    assert len(run(tmp_path)) == 1, "nothing is made again"
    assert len(run(tmp_path, evaluate=TINY["evaluate"] | {"cutoffs": [1, 2]})) == 1, "ranks are taken over"
    *_, second = run(tmp_path, baseline=near(7.0))
    assert second["models"]["popularity"] == first["models"]["popularity"]
    assert second["models"]["near"] != first["models"]["near"]
    lines = run(tmp_path, "--force", baseline=near(7.0))
    assert [line["models"] for line in lines] == [first["models"], second["models"], second["models"]]


def test_the_ledger_is_in_no_hash_and_no_foreign_file(tmp_path: Path):
    run(tmp_path)
    made = artifact_hashes(tmp_path / "run")
    record_use(tmp_path / "run", "another", load_config(tmp_path / "run" / "config.yaml"))
    assert study("verify", tmp_path / "run").returncode == 0
    assert len(run(tmp_path)) == 2
    assert artifact_hashes(tmp_path / "run") == made


def test_a_line_that_was_cut_short_costs_no_other(tmp_path: Path):
    config = load_config(write_config(tmp_path, TINY))
    record_use(tmp_path, "test", config)
    whole = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(whole + whole[:50])
    assert len(read_uses(tmp_path, "test")) == 1
    record_use(tmp_path, "test", config)
    assert len(read_uses(tmp_path, "test")) == 2


@pytest.mark.parametrize("line", ["[]", "5", "{}", '{"models": []}', '{"models": {"a": 3}}', "[" * 100_000, "\\ud800"])
def test_a_line_of_something_else_is_passed_over(line: str, tmp_path: Path):
    (tmp_path / LEDGER).write_text(line + "\n")
    assert read_uses(tmp_path, "test") == []


def test_uses_of_another_test_do_not_count(tmp_path: Path):
    config = load_config(write_config(tmp_path, TINY))
    for test in ("one", "other", "one"):
        record_use(tmp_path, test, config)
    assert [use.test for use in read_uses(tmp_path, "one")] == ["one", "one"]
    assert read_uses(tmp_path / "nothing", "one") == []


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / LEDGER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        record_use(tmp_path, "test", load_config(write_config(tmp_path, TINY)))
    assert not (tmp_path / "elsewhere").exists()


def test_other_predictions_in_a_file_of_the_same_name_are_other_settings(tmp_path: Path):
    lists = tmp_path / "theirs.run"
    config = load_config(write_config(tmp_path, TINY | {"evaluate": {"predictions": {"theirs": str(lists)}}}))
    for content in ("one", "two"):
        lists.write_text(content)
        record_use(tmp_path, "test", config)
    one, two = read_uses(tmp_path, "test")
    assert one.models["theirs"] != two.models["theirs"]
    assert one.models["near"] == two.models["near"]


def test_settings_count_when_they_are_ranked_for_the_first_time():
    first, second, third = Ranked("gru4rec", "1"), Ranked("gru4rec", "2"), Ranked("gru4rec", "3")
    known = Ranked("vsknn", "4")

    def tried(*uses: dict[str, Ranked]) -> dict[str, int]:
        return dict(settings_tried([NEW._replace(models=models) for models in uses]))

    assert tried() == {}
    assert tried({"a": first, "b": second, "c": third}) == {"gru4rec": 1}, "variants side by side"
    assert tried({"a": first}, {"a": second}, {"a": first}) == {"gru4rec": 2}, "what was there comes back"
    assert tried({"a": first}, {"b": second}, {"c": third}) == {"gru4rec": 3}, "also under other names"
    assert tried({"a": first}, {"a": first, "k": known}) == {"gru4rec": 1, "vsknn": 1}, "another model joins"
