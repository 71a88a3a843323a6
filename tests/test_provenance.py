"""A stage is made again when anything that decides what it writes has changed."""

import shutil
from pathlib import Path

import pytest

from gru4rec_cli.study import freshness as provenance

PACKAGE = Path(provenance.__file__).parents[1]
OTHER_THAN_CODE = sorted(
    path.relative_to(PACKAGE)
    for path in PACKAGE.rglob("*")
    if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts and path.name != "py.typed"
)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = Path(shutil.copytree(PACKAGE, tmp_path / "gru4rec_cli", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(provenance, "_PACKAGE", copy)
    return copy


def test_the_package_holds_templates_and_texts():
    assert {path.suffix for path in OTHER_THAN_CODE} == {".toml", ".jinja", ".css", ".js"}


@pytest.mark.parametrize("path", OTHER_THAN_CODE, ids=str)
def test_a_changed_template_or_text_is_changed_code_for_the_report_alone(copied: Path, path: Path):
    before = {stage: provenance.code_hash(stage) for stage in ("report", "evaluate")}
    (copied / path).write_text((copied / path).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert provenance.code_hash("report") != before["report"]
    assert provenance.code_hash("evaluate") == before["evaluate"]


def test_what_python_and_numba_left_behind_is_no_code(copied: Path):
    before = provenance.code_hash("report")
    left = copied / "__pycache__" / "loops-0" / "left.py"
    left.parent.mkdir(parents=True)
    left.write_text("1\n")
    assert provenance.code_hash("report") == before


@pytest.mark.parametrize("file", ["cli.py", "commands/options.py", "commands/official.py", "commands/console.py"])
def test_what_only_shows_is_no_reason_to_do_anything_again(copied: Path, file: str):
    before = provenance.code_hash("report")
    (copied / file).write_text("changed")
    assert provenance.code_hash("report") == before
