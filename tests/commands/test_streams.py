"""Streams that are closed, full or not UTF-8, and Ctrl-C, with real processes: never a traceback (faults 29 to 31)."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, command, study, write_config

pytestmark = pytest.mark.slow

TINY = {
    **SMALL,
    "report": {"title": "Clics – añadidos"},
    "synth": {"sessions": 400, "items": 16, "interests": 2, "successors": 2, "max_length": 8},
    "train": {"models": {}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    list(study_of(load_config(write_config(folder, TINY)), folder / "run").run())
    return folder / "run"


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash; its exit code is that of the first command of a pipe that fails."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=250,
        check=False,
    )


def line_of(*arguments: str | Path) -> str:
    return shlex.join(command(*arguments))


@pytest.mark.parametrize(
    ("arguments", "redirection", "code", "told"),
    [
        ("verify RUN", ">&-", 0, ""),
        ("verify RUN", ">/dev/full", 2, "stdout: the results cannot be written: No space left on device"),
        ("--help", ">/dev/full", 2, "stdout: the results cannot be written: No space left on device"),
        ("compare RUN --json", "| head -1", 0, ""),
        ("--help", "| true", 0, ""),
        ("verify RUN", "<&- >&- 2>&-", 0, ""),
    ],
)
def test_results_that_cannot_be_shown_end_quietly_or_with_a_message(
    finished: Path, arguments: str, redirection: str, code: int, told: str
):
    """Fault 29."""
    given = [str(finished) if part == "RUN" else part for part in arguments.split()]
    done = shell(f"{line_of(*given)} {redirection}")
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert bool(done.stderr) == bool(told), done.stderr


@pytest.mark.parametrize("redirection", ["2>/dev/full", ">&- 2>&-"])
def test_a_run_goes_on_when_its_progress_cannot_be_shown(tmp_path: Path, redirection: str):
    """Fault 29."""
    config = write_config(tmp_path, TINY)
    done = shell(f"{line_of('run', '--config', config, '--run-dir', tmp_path / 'run')} {redirection}")
    assert done.returncode == 0
    assert (tmp_path / "run" / "report" / "report.html").exists()
    artifacts = [path.read_bytes() for path in (tmp_path / "run").rglob("*.json")]
    assert not any(b"synth: ran" in content for content in artifacts)  # file number 2 was not an artifact's


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_stdout_lacks_are_escaped(tmp_path: Path, finished: Path, encoding: str):
    """Fault 29."""
    run = finished.rename(finished.with_name("añadidos–run"))
    try:
        for given, code in ((run, 0), (tmp_path / "año", 4)):
            done = subprocess.run(
                command("verify", given), capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}
            )
            assert done.returncode == code, done.stderr
            assert b"Traceback" not in done.stderr
        done = subprocess.run(
            command("compare", run, "--json"),
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": encoding},
            check=True,
        )
        assert json.loads(done.stdout.decode(encoding))["groups"][0]["runs"][0]["run"] == "añadidos–run"
    finally:
        run.rename(finished)


def test_names_cannot_steer_the_terminal(tmp_path: Path):
    """Fault 31: an escape sequence in a name of a file would clear the screen, or forge a line."""
    done = study("verify", tmp_path / "a\x1b[2Jb\rc\x9bd")
    assert done.returncode == 4
    assert "\x1b" not in done.stderr
    assert "\x9b" not in done.stderr
    assert r"a\x1b[2Jb\x0dc\x9bd" in done.stderr.replace("\n", "")


@pytest.mark.parametrize("name", ["=cmd()", "@SUM(A1)"])
def test_names_of_runs_are_no_formulas_in_a_spreadsheet(tmp_path: Path, finished: Path, name: str):
    """Fault 31."""
    run = tmp_path / "runs" / name
    run.parent.mkdir()
    finished.rename(run)
    try:
        done = study("compare", run, "--to", tmp_path / "page")
    finally:
        run.rename(finished)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "page" / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {f"'{name}"}
    assert all(float(row["value"]) >= 0 for row in rows)


BEGUN = """
import os
from gru4rec_cli.base.streams import end_at_once_on_interrupt
from gru4rec_cli.__main__ import main
end_at_once_on_interrupt()
os.write(2, b"begun\\n")
main()
"""


@pytest.mark.parametrize(("seconds", "presses"), [(0.0, 1), (0.1, 1), (0.4, 2), (1.0, 1), (3.0, 2), (6.0, 1)])
def test_ctrl_c_at_any_time_ends_quietly_with_130(tmp_path: Path, seconds: float, presses: int):
    """Fault 30."""
    config = write_config(tmp_path, {**SMALL, "synth": {**SMALL["synth"], "sessions": 60_000, "items": 300}})
    process = subprocess.Popen(
        [sys.executable, "-c", BEGUN, "run", "--config", str(config), "--run-dir", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    if presses == 2:
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    shown, log = process.communicate(timeout=60)
    assert process.returncode == 130, log
    assert "Traceback" not in log
    assert "Exception" not in log
    assert shown == ""


def test_ctrl_c_is_ignored_where_the_parent_ignores_it(tmp_path: Path):
    """Below nohup a run goes on."""
    config = write_config(tmp_path, TINY)
    line = line_of("synth", "--config", config, "--run-dir", tmp_path / "run")
    done = shell(f"trap '' INT; {line} & sleep 1; kill -INT $!; wait $!")
    assert done.returncode == 0, done.stderr


def test_a_run_directory_that_is_removed_meanwhile_is_told(tmp_path: Path):
    """Fault 29."""
    config = write_config(tmp_path, {**SMALL, "synth": {**SMALL["synth"], "sessions": 60_000, "items": 300}})
    run = tmp_path / "run"
    process = subprocess.Popen(
        command("run", "--config", config, "--run-dir", run), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (run / ".synth.partial").exists() and process.poll() is None:
        time.sleep(0.001)
    run.rename(tmp_path / "elsewhere")
    _, log = process.communicate(timeout=200)
    assert process.returncode == 4, log
    assert "was removed while the command ran" in log
    assert "Traceback" not in log


def test_a_machine_without_home_and_with_a_read_only_installation_compiles_without_keeping(tmp_path: Path):
    """Fault 28: numba found no folder, "no locator available"."""
    code = """
import logging, numba, sys
logging.basicConfig(format="%(message)s")
from numba.core import caching
from pathlib import Path
caching.FunctionCache._impl_class._locator_classes[:] = []  # as where nothing can be written
Path.home = classmethod(lambda cls: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
from gru4rec_cli.base.compiling import compiled
@compiled
def double(x):
    return 2 * x
@compiled
def triple(x):
    return 3 * x
assert (double(2), triple(2)) == (4, 6)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("compiled loops cannot be kept") == 1
