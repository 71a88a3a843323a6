"""The table of stages: every row is whole, and says which stages a configuration asks for."""

import importlib
from pathlib import Path

import pytest

from gru4rec_cli.study.config import StudyConfig, load_config
from gru4rec_cli.study.stages.table import STAGES, configured_stages, needed_stages, reason_against
from tests.small import SMALL, write_config

FROM_FILE = {"name": "x", "data": {"source": "clicks.csv"}, "baseline": {"models": {"popularity": {}}}}


@pytest.mark.parametrize("name", STAGES)
def test_a_row_names_its_module_sections_of_the_configuration_and_stages_before_it(name: str):
    stage = STAGES[name]
    module = importlib.import_module(f"gru4rec_cli.study.stages.{name}")
    assert callable(module.run)
    assert callable(module.results)
    assert set(stage.sections) <= set(StudyConfig.model_fields)
    earlier = list(STAGES)[: list(STAGES).index(name)]
    assert set(stage.needs) <= set(earlier)
    assert bool(stage.condition) == bool(stage.otherwise)
    assert stage.help.endswith(".")


def test_every_file_of_a_stage_has_its_row():
    folder = Path(importlib.import_module("gru4rec_cli.study.stages").__file__ or "").parent
    assert {path.stem for path in folder.glob("*.py")} == {*STAGES, "__init__", "table", "showing"}


@pytest.mark.parametrize(
    ("config", "stages", "needs"),
    [
        (SMALL, ["synth", "split", "baseline", "train", "evaluate", "report"], ["synth", "split", "baseline", "train"]),
        (FROM_FILE, ["split", "baseline", "evaluate", "report"], ["split", "baseline"]),
    ],
)
def test_a_configuration_asks_for_stages_and_a_stage_for_those_of_them_that_it_reads(
    tmp_path: Path, config: dict[str, object], stages: list[str], needs: list[str]
):
    asked = load_config(write_config(tmp_path, config))
    assert configured_stages(asked) == stages
    assert needed_stages("evaluate", asked) == needs
    assert needed_stages("split", asked) == [name for name in stages if name == "synth"]


def test_windows_have_their_stages_in_runs_of_their_own(tmp_path: Path):
    config = load_config(write_config(tmp_path, {**SMALL, "split": {"windows": 2}}))
    assert configured_stages(config) == ["joint"]
    read = [f"windows/{number}-of-2/{stage}" for number in (1, 2) for stage in ("split", "evaluate")]
    assert needed_stages("joint", config) == read


def test_what_is_not_asked_for_has_a_reason(tmp_path: Path):
    config = load_config(write_config(tmp_path, FROM_FILE))
    reasons = {name: reason_against(stage, config) for name, stage in STAGES.items()}
    assert {name for name, reason in reasons.items() if not reason} == set(configured_stages(config))
    assert reasons["synth"] == "there is nothing to create: data.source is not synth"
    assert reasons["train"] == "there is nothing to fit: train.models is empty"
    assert reasons["joint"] == "there is one run, not several: split.windows is not set"
