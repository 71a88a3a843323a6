"""Rules of style that a reader relies on everywhere in the package, checked on its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gru4rec_cli"
MOST_PARAMETERS = 8
BEGINNINGS = ("What ", "Whether ", "How ", "Where ", "Which ", "The same")
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "generated_jit"}

# Folders that do not follow the rules yet; "models" stands for the files directly in it.
NOT_YET: set[str] = set()

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*, all_of_them: bool = False) -> Iterator[tuple[Path, ast.Module]]:
    """The path of every source file, below the package, and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        below = path.relative_to(PACKAGE)
        if "__pycache__" in below.parts:
            continue
        if all_of_them or folder_of(below) not in NOT_YET:
            yield below, ast.parse(path.read_text(encoding="utf-8"))


def folder_of(path: Path) -> str:
    """The folder below the package, a folder below `models`, or a file in the package itself."""
    folders = path.parts[:-1][: 2 if path.parts[0] == "models" else 1]
    return "/".join(folders) or path.name


def is_public(name: str) -> bool:
    return not name.startswith("_")


def public_definitions(tree: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """The public functions and classes of a module, and the public methods of these classes."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and is_public(node.name):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


def parameters(function: Function) -> list[str]:
    """The names of a function's parameters; self and cls do not count."""
    given = function.args
    named = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in named if name not in ("self", "cls")]


def arrays_of_a_type(value: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "NDArray"
        for node in ast.walk(value)
    )


def test_no_function_has_more_than_eight_parameters():
    too_many = [
        f"{path}:{node.lineno} {node.name} has {len(parameters(node))}"
        for path, tree in sources()
        if path.parts[0] != "commands"  # a command's parameters are its options
        for node in ast.walk(tree)
        if isinstance(node, Function) and len(parameters(node)) > MOST_PARAMETERS
    ]
    assert not too_many, "\n".join(too_many)


def test_public_docstrings_begin_with_a_verb_or_the_thing_returned():
    wrong = [
        f"{path}:{node.lineno} {node.name}: {text.splitlines()[0]}"
        for path, tree in sources()
        for node in public_definitions(tree)
        if (text := ast.get_docstring(node)) and (text.startswith(BEGINNINGS) or text[0].islower())
    ]
    assert not wrong, "\n".join(wrong)


def test_array_types_have_their_names_in_one_file():
    aliases = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, tree in sources()
        if path != Path("base/arrays.py")
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and arrays_of_a_type(node.value)
    ]
    assert not aliases, "\n".join(aliases)


def test_loops_are_compiled_by_one_decorator():
    others = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, tree in sources(all_of_them=True)
        if path != Path("base/compiling.py")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in {f"numba.{name}" for name in COMPILERS})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "numba"
            and COMPILERS & {alias.name for alias in node.names}
        )
    ]
    assert not others, "\n".join(others)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("def f(self, a, b, /, c, d, *rest, e, f, g, h): ...", 8),
        ("def f(a, b, c, d, e, f, g, h, *, i): ...", 9),
    ],
)
def test_parameters_are_counted_as_a_caller_counts_them(code: str, count: int):
    (function,) = ast.parse(code).body
    assert isinstance(function, ast.FunctionDef)
    assert len(parameters(function)) == count


def test_an_alias_of_an_array_type_is_recognised():
    (plain,) = ast.parse("Floats = npt.NDArray[np.float64]").body
    (nested,) = ast.parse("Pairs = dict[str, NDArray[Any]]").body
    (other,) = ast.parse("Names = dict[str, int]").body
    found = [arrays_of_a_type(node.value) for node in (plain, nested, other) if isinstance(node, ast.Assign)]
    assert found == [True, True, False]
