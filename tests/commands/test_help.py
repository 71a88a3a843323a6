"""Commands are found by their files and listed below their headings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import gru4rec_cli
from gru4rec_cli.commands.options import HEADINGS
from tests.small import study

GREET = '''"""`greet`: a new command."""

import typer

from gru4rec_cli.commands.options import CHECKS, command


@command(CHECKS)
def greet(name: str) -> None:
    """Greet somebody."""
    typer.echo(f"hello {name}")
'''


def listed(shown: str) -> list[str]:
    """The headings and the commands, in order."""
    return re.findall(r"^[╭│][─ ]+([A-Z][a-z' ]+[a-z]|[a-z][a-z-]+)(?= ─| {2,})", shown, flags=re.MULTILINE)


def test_help_lists_the_study_first_and_every_command_below_its_heading():
    shown = listed(study("--help", COLUMNS="120").stdout)
    assert [line for line in shown if line in HEADINGS] == list(HEADINGS)
    assert shown[shown.index("The study") + 1 :][:3] == ["run", "synth", "split"]
    assert shown.index("compare") > shown.index("Data and results")


def test_a_new_command_is_one_new_file(tmp_path: Path):
    compiled = shutil.ignore_patterns("__pycache__")
    copy = Path(shutil.copytree(Path(gru4rec_cli.__file__).parent, tmp_path / "gru4rec_cli", ignore=compiled))
    (copy / "commands" / "greet.py").write_text(GREET)

    def run(*arguments: str) -> str:
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from gru4rec_cli.__main__ import main; main()"
        command = [sys.executable, "-P", "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert run("greet", "you") == "hello you\n"
    shown = listed(run("--help"))
    assert shown[shown.index("Checks and speed") :][:4] == ["Checks and speed", "bench", "conformance", "greet"]
