"""The structure that the design promises: imports go one way, heavy packages load late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gru4rec_cli"

# From the shell down to the foundations; a file may import from its own layer and from those after it.
LAYERS = [
    ["cli", "__main__"],
    ["commands"],
    ["study"],
    ["reporting", "conformance", "bench"],
    ["models"],
    ["evaluation"],
    ["data"],
    ["base"],
    ["__init__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ["torch", "pandas", "polars", "numpy", "numba", "matplotlib", "yaml"]


def imports_of(path: Path) -> set[str]:
    """The parts of this package that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for inner in ast.walk(node):
                inner.__dict__.pop("module", None)
        module = getattr(node, "module", None) or ""
        if isinstance(node, ast.ImportFrom) and module.startswith("gru4rec_cli"):
            parts = module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names if alias.name in LEVEL}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for imported in imports_of(path):
        assert LEVEL[part] <= LEVEL[imported], f"{part} imports {imported}"


def test_stages_do_not_import_each_other():
    from gru4rec_cli.study.pipeline import STAGES

    for name in STAGES:
        source = (PACKAGE / "study" / "stages" / f"{name}.py").read_text(encoding="utf-8")
        others = [other for other in STAGES if other != name and f"stages.{other}" in source]
        assert not others, f"{name} imports {others}"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["compare", "--help"], ["fetch", "--help"], ["describe", "--help"], ["--version"]],
)
def test_help_loads_nothing_heavy(arguments: list[str]):
    code = f"""
import sys
sys.argv = ["gru4rec-study", *{arguments!r}]
from gru4rec_cli.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip().endswith("LOADED []")


def test_a_configuration_with_a_neural_model_loads_without_torch(tmp_path: Path):
    (tmp_path / "x.yaml").write_text("name: x\ndata: {source: synth}\ntrain: {models: {gru4rec: {}}}\n")
    code = f"""
import sys
from pathlib import Path
from gru4rec_cli.study.config import load_config, resolved
resolved(load_config(Path({str(tmp_path / "x.yaml")!r})))
print("torch" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
