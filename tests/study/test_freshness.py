"""A stage, a fit or ranks are made again when anything that decides them has changed, and not without reason."""

import ast
import shutil
from pathlib import Path

import pytest

from gru4rec_cli.base.closure import import_closure, imports_of
from gru4rec_cli.evaluation import oracle, ranking
from gru4rec_cli.models import registry
from gru4rec_cli.study import freshness
from gru4rec_cli.study.config import ModelEntry
from gru4rec_cli.study.fits import Fit, fit_key
from gru4rec_cli.study.stages.table import STAGES

PACKAGE = Path(freshness.__file__).parents[1]
OTHER_THAN_CODE = sorted(
    path.relative_to(PACKAGE)
    for path in PACKAGE.rglob("*")
    if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts and path.name != "py.typed"
)
ALL = set(STAGES)
SHOWN = {"report", "joint"}
WITH_MODELS = {"tune", "baseline", "train", "evaluate"}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, from which hashes of code are made."""
    copy = Path(shutil.copytree(PACKAGE, tmp_path / "gru4rec_cli", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(freshness, "_PACKAGE", copy)
    monkeypatch.setattr(registry, "_FOLDER", copy / "models")
    return copy


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def change(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + "\n", encoding="utf-8")


def stage_hashes() -> dict[str, str]:
    return {name: freshness.code_hash(stage.packages) for name, stage in STAGES.items()}


def test_the_package_holds_templates_texts_and_tables():
    assert {path.suffix for path in OTHER_THAN_CODE} == {".toml", ".jinja", ".css", ".js", ".yaml"}


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        *((str(path), SHOWN if path.parts[0] == "reporting" else set()) for path in OTHER_THAN_CODE),
        ("audit/data.py", set()),
        ("reproducing/run.py", set()),
        ("cli.py", set()),
        ("__main__.py", set()),
        ("__init__.py", set()),
        ("commands/options.py", set()),
        ("commands/another.py", set()),
        ("conformance/replay.py", set()),
        ("bench/run.py", set()),
        ("reporting/tables.py", SHOWN),
        ("evaluation/ranking.py", SHOWN | WITH_MODELS),
        ("models/markov.py", WITH_MODELS),
        ("models/another.py", WITH_MODELS),
        ("tuning/space.py", {"tune"}),
        ("data/splitting.py", ALL),
        ("base/files.py", ALL),
        ("study/stages/another.py", ALL),
        ("study/__pycache__/left.py", set()),
        ("base/notes.txt", set()),
    ],
)
def test_a_changed_file_makes_those_stages_stale_that_its_folder_decides(copied: Path, file: str, stale: set[str]):
    before = stage_hashes()
    change(copied / file)
    after = stage_hashes()
    assert {name for name in STAGES if after[name] != before[name]} == stale


@pytest.mark.parametrize("name", STAGES)
def test_the_table_names_every_package_that_a_stage_works_with(name: str):
    """All show their results through `reporting`; it decides what is written only where the table says so."""
    named = {"base", "data", "study", *STAGES[name].packages}
    start, config = PACKAGE / "study" / "stages" / f"{name}.py", PACKAGE / "study" / "config.py"
    own = {path for path in import_closure([start], PACKAGE) if package_of(path) in named} - {config}
    used = {package_of(imported) for path in own for imported in imports_of(path, PACKAGE)}
    assert used - {"__init__.py", "reporting"} <= named


@pytest.fixture
def split(tmp_path: Path) -> Path:
    folder = tmp_path / "split"
    folder.mkdir()
    for file in ("train.parquet", "items.parquet"):
        (folder / file).write_text(file)
    return folder


def key(kind: str, split: Path) -> str:
    return fit_key(Fit(kind, 42, ModelEntry.parse(kind, {}), kind), split)


@pytest.mark.parametrize("kind", [kind for kind in registry.kinds() if kind != "official"])
def test_a_changed_helper_of_a_model_makes_its_fit_stale_and_the_command_line_does_not(
    copied: Path, split: Path, kind: str
):
    first = key(kind, split)
    for file in ("cli.py", "commands/run.py", "study/fits.py", "reporting/tables.py", "bench/run.py", "__init__.py"):
        change(copied / file)
    change(copied / "models" / "other.py")
    assert key(kind, split) == first
    for file in ("models/base.py", "data/sessions.py", "evaluation/ranking.py", "base/compiling.py"):
        before = key(kind, split)
        change(copied / file)
        assert key(kind, split) != before, file


@pytest.mark.parametrize("kind", ["markov", "gru4rec"])
def test_a_helper_that_a_model_comes_to_import_counts_from_then_on(copied: Path, split: Path, kind: str):
    helper = copied / "base" / "helper.py"
    change(helper)
    first = key(kind, split)
    change(helper)
    assert key(kind, split) == first
    single = copied / "models" / f"{kind}.py"
    module = single if single.exists() else copied / "models" / kind / "settings.py"
    module.write_text(module.read_text() + "\n\ndef later():\n    from gru4rec_cli.base import helper\n")
    second = key(kind, split)
    assert second != first
    change(helper)
    assert key(kind, split) != second


def test_a_file_that_a_model_of_many_files_may_look_up_by_name_counts(copied: Path, split: Path):
    before = key("gru4rec", split)
    change(copied / "models" / "gru4rec" / "fast" / "by_name.py")
    assert key("gru4rec", split) != before


def test_another_model_decides_no_fit(copied: Path, split: Path):
    before = key("gru4rec", split)
    change(copied / "models" / "markov.py")
    assert key("gru4rec", split) == before


def test_the_root_of_the_package_decides_nothing():
    """For it counts for no fit: another version with the same code is no reason to fit again.

    It holds the version, and settings of the environment that change speed and memory alone.
    """
    docstring, *statements = ast.parse((PACKAGE / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    allowed = ("import os", "os.environ.setdefault('OMP_WAIT_POLICY'", "os.environ.setdefault('_RJEM_", "__version__ =")
    assert [one for one in map(ast.unparse, statements) if not one.startswith(allowed)] == []


def test_ranks_follow_from_what_ranking_imports(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranking, "__file__", str(copied / "evaluation" / "ranking.py"))
    monkeypatch.setattr(oracle, "__file__", str(copied / "evaluation" / "oracle.py"))
    for module, helper in ((ranking, "evaluation/scores.py"), (oracle, "data/synthetic.py")):
        before = freshness.code_hashes(module)
        for file in ("cli.py", "commands/run.py", "reporting/tables.py", "models/markov.py", "__init__.py"):
            change(copied / file)
        assert freshness.code_hashes(module) == before
        change(copied / helper)
        assert freshness.code_hashes(module) != before


def test_what_python_and_numba_left_behind_is_no_code(copied: Path):
    before = freshness.code_hash(("models",))
    change(copied / "base" / "__pycache__" / "loops-0" / "left.py")
    assert freshness.code_hash(("models",)) == before
