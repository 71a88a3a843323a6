"""Reporting imports one way: findings → text → tables, figures → pages."""

import re
from pathlib import Path

import pytest

from gru4rec_cli import reporting

SHELVES = ("findings", "text", "tables", "figures", "pages")
BEFORE = {
    "findings": {"findings"},
    "text": {"findings", "text"},
    "tables": {"findings", "text", "tables"},
    "figures": {"findings", "text", "figures"},
    "pages": set(SHELVES),
}
FOLDER = Path(reporting.__path__[0])


def test_every_module_is_on_a_shelf():
    assert [path.name for path in FOLDER.glob("*.py")] == ["__init__.py"]
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} - {"__pycache__"} == set(SHELVES)


@pytest.mark.parametrize("shelf", SHELVES)
def test_a_shelf_imports_from_those_before_it_alone(shelf: str):
    for path in (FOLDER / shelf).glob("*.py"):
        imported = re.findall(r"gru4rec_cli\.reporting\.(\w+)", path.read_text(encoding="utf-8"))
        assert set(imported) <= BEFORE[shelf], path.name
