"""The structure that the design promises: imports go one way, heavy packages load late."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gru4rec_cli.base.closure import imports_of
from gru4rec_cli.models import registry
from gru4rec_cli.study.stages.table import STAGES

PACKAGE = Path(__file__).parents[1] / "gru4rec_cli"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)

# From the shell down to the foundations; a file may import from its own layer and from those after it.
LAYERS = [
    ["cli", "__main__"],
    ["commands"],
    ["audit", "reproducing", "serving", "bench"],
    ["study"],
    ["reporting", "conformance", "tuning"],
    ["models"],
    ["evaluation"],
    ["data"],
    ["base"],
    ["__init__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ["torch", "pandas", "polars", "numpy", "numba", "matplotlib", "yaml", "scipy"]


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path):
    for imported in imports_of(path, PACKAGE):
        assert LEVEL[part_of(path)] <= LEVEL[part_of(imported)], f"{path} imports {imported}"


def test_there_are_no_circles_among_modules():
    """Also not by imports inside functions: what has to be read together belongs in one file."""
    imported = {path: imports_of(path, PACKAGE) - {path} for path in SOURCES}
    before = -1
    while len(imported) != before:  # without those that import nothing else, and those that nothing else imports
        before = len(imported)
        imported = {path: found & imported.keys() for path, found in imported.items() if found & imported.keys()}
        used = set().union(*imported.values())
        imported = {path: found for path, found in imported.items() if path in used}
    assert not imported, "\n".join(
        f"{path.relative_to(PACKAGE)} ↔ {', '.join(str(other.relative_to(PACKAGE)) for other in sorted(found))}"
        for path, found in imported.items()
    )


def test_stages_do_not_import_each_other():
    files = {PACKAGE / "study" / "stages" / f"{name}.py" for name in STAGES}
    for path in files:
        assert not files & imports_of(path, PACKAGE)


def loaded_by(code: str, **environment: str) -> str:
    """Those of the heavy packages that a program loads, as a list in its last line."""
    report = f"\nimport sys\nprint('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout.strip().splitlines()[-1].removeprefix("LOADED ")


MAIN = """
import sys
from gru4rec_cli.__main__ import main
from gru4rec_cli.cli import app
names = [c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands]
assert {"run", "evaluate", "joint", "describe", "import-checkpoint"} <= set(names)
for arguments in ARGUMENTS:
    sys.argv = ["gru4rec-study", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
"""


def test_help_of_every_command_loads_nothing_heavy():
    groups = "['audit', '--help'], ['audit', 'data', '--help'], ['audit', 'model', '--help']"
    arguments = f"[['--help'], ['--version'], {groups}, *([name, '--help'] for name in names)]"
    assert loaded_by(MAIN.replace("ARGUMENTS", arguments)) == "[]"


def test_completion_loads_nothing_heavy():
    words = {"_GRU4REC_STUDY_COMPLETE": "complete_bash", "COMP_WORDS": "gru4rec-study ", "COMP_CWORD": "1"}
    assert loaded_by(MAIN.replace("ARGUMENTS", "[[]]"), **words) == "[]"


def test_the_table_of_stages_loads_nothing_heavy():
    code = "import sys\nfrom gru4rec_cli.study.stages.table import STAGES\nassert 'pydantic' not in sys.modules"
    assert loaded_by(code) == "[]"


def test_a_list_of_kinds_loads_nothing_heavy():
    code = "from gru4rec_cli.models.registry import kinds\nassert 'gru4rec' in kinds()"
    assert not {"torch", "polars", "pandas", "numba", "matplotlib"} & set(eval(loaded_by(code)))


def test_a_configuration_loads_only_the_kinds_that_it_names(tmp_path: Path):
    one_file = [kind for kind in registry.kinds() if (PACKAGE / "models" / f"{kind}.py").exists()]
    # Neural models in one file import torch at its top.
    with_torch = {kind for kind in one_file if "\nimport torch\n" in (PACKAGE / "models" / f"{kind}.py").read_text()}
    named = sorted(set(registry.kinds()) - with_torch)
    assert {"gru4rec", "official", "markov"} <= set(named)
    models = ", ".join(f"{kind}: {{}}" for kind in named)
    (tmp_path / "all.yaml").write_text(f"name: x\ndata: {{source: synth}}\ntrain: {{models: {{{models}}}}}\n")
    (tmp_path / "one.yaml").write_text("name: x\ndata: {source: synth}\ntrain: {models: {popularity: {}}}\n")
    code = """
import sys
from pathlib import Path
from gru4rec_cli.study.config import load_config, resolved
resolved(load_config(Path({path!r})))
loaded = [name for name in {kinds!r} if "gru4rec_cli.models." + name in sys.modules]
assert loaded == {expected!r}, loaded
"""
    for file, expected in (("all.yaml", named), ("one.yaml", ["popularity"])):
        path = str(tmp_path / file)
        assert "torch" not in loaded_by(code.format(path=path, kinds=registry.kinds(), expected=expected))


def imported_at_the_top(path: Path) -> set[Path]:
    """The files of the package that a file imports when it is loaded."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}
    parts = [PACKAGE.joinpath(*name.split(".")[1:]) for name in names if name.startswith("gru4rec_cli.")]
    return {part.with_suffix(".py") if part.with_suffix(".py").exists() else part / "__init__.py" for part in parts}


def test_a_training_step_is_read_in_the_eight_files_that_the_page_names():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {PACKAGE / path for path in re.findall(r"^\| `(models/[a-z0-9_/]+\.py)` \|", page, flags=re.MULTILINE)}
    reached, waiting = set[Path](), [PACKAGE / "models" / "gru4rec" / "step.py"]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += imported_at_the_top(path)
    # Besides them there are only array types and the base class of settings.
    assert {path for path in reached if part_of(path) != "base"} == named
    assert len(named) == 8
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in reached) <= 1200
