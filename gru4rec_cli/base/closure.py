"""The modules that a file imports, read from the source; nothing is executed."""

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

_TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_INIT = "__init__.py"


def import_closure(files: Iterable[Path], root: Path) -> set[Path]:
    """Return `files` and every file below the package folder `root` that they import, directly or through others.

    A module brings the `__init__.py` of the packages that it lies in; what that file imports counts only where the
    package itself is imported. Imports of computed names cannot be seen: where a package looks modules up by name,
    start from all of its files.
    """
    reached: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += imports_of(path, root)
    return reached.union(*(_packages_of(path, root) for path in reached))


def imports_of(file: Path, root: Path) -> set[Path]:
    """Return the files below the package folder `root` that one file imports by name.

    All imports count wherever they stand in the file, but those under `if TYPE_CHECKING`.
    """
    status = file.stat()
    package = file.relative_to(root.parent).parent.parts if file.is_relative_to(root) else ()
    found: set[Path | None] = set()
    for level, module, names in _imports(str(file), status.st_size, status.st_mtime_ns):
        above = package[: len(package) + 1 - level] if level else ()
        base = (*above, *module.split(".")) if module else above
        inside = [_module_file((*base, name), root) for name in names]
        found |= set(inside)
        if None in inside or not names:  # a name of the module itself
            found.add(_module_file(base, root))
    return {path for path in found if path is not None}


def _module_file(parts: tuple[str, ...], root: Path) -> Path | None:
    if not parts or parts[0] != root.name:
        return None
    path = root.joinpath(*parts[1:])
    candidates = (path / _INIT, path.with_name(f"{path.name}.py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _packages_of(file: Path, root: Path) -> list[Path]:
    folders = [folder for folder in file.parents if folder.is_relative_to(root)]
    return [folder / _INIT for folder in folders if (folder / _INIT).is_file()]


@lru_cache(maxsize=4096)
def _imports(file: str, size: int, mtime_ns: int) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return level, module and names of every import statement; a file that has not changed is not read again."""
    found = []
    for node in _import_statements(ast.parse(Path(file).read_bytes())):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        else:
            found += [(0, alias.name, ()) for alias in node.names]
    return found


def _import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
        return
    typing_only = isinstance(node, ast.If) and ast.unparse(node.test) in _TYPE_CHECKING
    for child in node.orelse if isinstance(node, ast.If) and typing_only else ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _import_statements(child)
