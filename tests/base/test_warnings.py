"""Warnings: issued by library code, collected by a stage, kept in its manifest, shown again while it is up to date."""

import json
import warnings
from pathlib import Path

import pytest

from gru4rec_cli.base.warnings import WARNINGS, StudyWarning, collected, warn
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.stages import synth
from gru4rec_cli.study.windows import study_of
from tests.small import study, write_config

ID = next(iter(WARNINGS))


def test_a_warning_names_its_id_and_what_to_do():
    with pytest.warns(StudyWarning) as found:
        warn(ID, "half of the rows are odd", "set data.odd")
    assert str(found[0].message) == f"half of the rows are odd [{ID}]; try: set data.odd"
    assert found[0].filename == __file__


def test_an_unknown_id_is_refused():
    with pytest.raises(KeyError, match="no-such-id"):
        warn("no-such-id", "message")


def test_each_warning_is_collected_once_and_those_of_others_go_where_they_went():
    def work() -> list[StudyWarning]:
        with collected() as found:
            for message in ("first", "second", "first"):
                warn(ID, message)
            warnings.warn("of another package", stacklevel=1)
        return found

    with pytest.warns(UserWarning, match="of another package") as others:
        found = work()
    assert [(one.id, one.message, one.hint) for one in found] == [(ID, "first", ""), (ID, "second", "")]
    assert len(others) == 1


def test_a_stage_keeps_its_warnings_and_the_command_shows_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = synth.run

    def run_with_warning(work: object) -> None:
        warn(ID, "the clicks are odd", "set synth.odd")
        run(work)  # type: ignore[arg-type]

    monkeypatch.setattr(synth, "run", run_with_warning)
    config, folder = write_config(tmp_path), tmp_path / "run"
    said = {"id": ID, "message": "the clicks are odd", "hint": "set synth.odd"}
    assert study_of(load_config(config), folder).run_stage("synth").warnings == (said,)
    assert json.loads((folder / "synth" / "manifest.json").read_text())["warnings"] == [said]

    again = study("synth", "--config", config, "--run-dir", folder, "--quiet", "--json")
    assert again.returncode == 0
    assert f"warning: the clicks are odd [{ID}]\n  try: set synth.odd\n" in again.stderr
    document = json.loads(again.stdout)
    assert (document["action"], document["warnings"]) == ("skipped", [said])
