"""The import closure of small packages, written here file by file."""

from pathlib import Path

import pytest

from gru4rec_cli.base.closure import import_closure, imports_of

FILES = {
    "pkg/__init__.py": "",
    "pkg/alone.py": "import os\nimport other.thing\n",
    "pkg/top.py": "from pkg.sub import leaf\n",
    "pkg/by_name.py": "from pkg.sub.leaf import value\n",
    "pkg/plain.py": "import os, pkg.sub.leaf as leaf\n",
    "pkg/of_package.py": "from pkg import sub, top\n",
    "pkg/starred.py": "from pkg.top import *\n",
    "pkg/sub/__init__.py": "from pkg import alone\n",
    "pkg/sub/leaf.py": "value = 1\n",
    "pkg/sub/near.py": "from . import leaf\nfrom ..alone import os\nfrom .leaf import value\n",
    "pkg/sub/deep/__init__.py": "",
    "pkg/sub/deep/far.py": "from ...top import leaf\n",
    "pkg/circle_a.py": "from pkg import circle_b\n",
    "pkg/circle_b.py": "from pkg import circle_a\n",
    "pkg/late.py": "def f():\n    try:\n        with x:\n            import pkg.alone\n"
    "    except OSError:\n        from pkg import top\n",
    "pkg/matched.py": "match 1:\n    case 1:\n        from pkg import alone\n",
    "pkg/typed.py": "from typing import TYPE_CHECKING\nimport typing\n"
    "if TYPE_CHECKING:\n    from pkg import top\nelse:\n    from pkg import alone\n"
    "if typing.TYPE_CHECKING:\n    from pkg import top\n"
    "if not TYPE_CHECKING:\n    from pkg.sub import leaf\n",
    "pkg/missing.py": "import pkg.nowhere\nfrom pkg.nowhere import x\nimport pkgx\n",
    "pkgx/__init__.py": "",
    "outside.py": "from pkg import top\n",
}
TOP = {"top.py", "sub/leaf.py"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pkg"


def below(package: Path, paths: set[Path]) -> set[str]:
    return {path.relative_to(package).as_posix() for path in paths}


@pytest.mark.parametrize(
    ("file", "imported"),
    [
        ("alone.py", set()),
        ("top.py", {"sub/leaf.py"}),
        ("by_name.py", {"sub/leaf.py"}),
        ("plain.py", {"sub/leaf.py"}),
        ("of_package.py", {"sub/__init__.py", "top.py"}),
        ("starred.py", {"top.py"}),
        ("sub/near.py", {"sub/leaf.py", "alone.py"}),
        ("sub/deep/far.py", {"top.py"}),
        ("late.py", {"alone.py", "top.py"}),
        ("matched.py", {"alone.py"}),
        ("typed.py", {"alone.py", "sub/leaf.py"}),
        ("missing.py", {"__init__.py"}),
    ],
)
def test_imports_are_seen_wherever_they_stand_but_for_types(package: Path, file: str, imported: set[str]):
    assert below(package, imports_of(package / file, package)) - {"__init__.py"} == imported - {"__init__.py"}


@pytest.mark.parametrize(
    ("file", "reached"),
    [
        ("alone.py", {"__init__.py"}),
        ("top.py", {"__init__.py", "sub/__init__.py", "sub/leaf.py"}),
        # `sub` is imported for itself here, so what its __init__ imports counts
        ("of_package.py", {"__init__.py", "sub/__init__.py", "alone.py", *TOP}),
        ("starred.py", {"__init__.py", "sub/__init__.py", *TOP}),
        ("sub/deep/far.py", {"__init__.py", "sub/__init__.py", "sub/deep/__init__.py", *TOP}),
        ("circle_a.py", {"__init__.py", "circle_b.py"}),
    ],
)
def test_the_closure_follows_all_imports_and_brings_the_packages(package: Path, file: str, reached: set[str]):
    assert below(package, import_closure([package / file], package)) == {file, *reached}


def test_a_file_outside_the_package_may_start(package: Path):
    outside = package.parent / "outside.py"
    found = import_closure([outside], package) - {outside}
    assert below(package, found) == {"__init__.py", "sub/__init__.py", *TOP}


def test_a_changed_file_is_read_again(package: Path):
    assert below(package, imports_of(package / "top.py", package)) == {"sub/leaf.py"}
    (package / "top.py").write_text("from pkg import alone\n")
    assert below(package, imports_of(package / "top.py", package)) == {"alone.py"}
