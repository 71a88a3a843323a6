"""Loops that are compiled at first use: this is logged once, and not where they are found on disk."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

LOOPS = """
import numpy as np
from gru4rec_cli.commands import console
from gru4rec_cli.base.compiling import compiled

@compiled
def total(values):
    return values.sum()

@compiled(reorder_sums=True)
def largest(values):
    return values.max()

with console.progress(quiet={quiet}):
    print(total(np.ones(3)), largest(np.ones(3)), total(np.ones(3, dtype=np.float32)))
"""


def said_by(folder: Path, *, quiet: bool = False) -> str:
    program = folder / "loops.py"
    if not program.exists():
        program.write_text(LOOPS.format(quiet=quiet))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3.0", "1.0", "3.0"]
    return done.stderr


def test_compiling_is_logged_once_and_only_where_it_happens(tmp_path: Path):
    first, *_, last = said_by(tmp_path).splitlines()
    assert first == "compiling loops, once; they are kept for the next time"
    assert re.fullmatch(r"compiled 3 loops in \d+\.\d s, which no other time contains", last)
    assert said_by(tmp_path) == ""


def test_quiet_is_quiet(tmp_path: Path):
    assert said_by(tmp_path, quiet=True) == ""


def test_one_process_at_a_time_writes_a_compiled_loop(tmp_path: Path):
    """Two that write at once would give one number to files of different types."""
    program, folder = tmp_path / "loops.py", tmp_path / "kept"
    program.write_text(LOOPS.format(quiet=True))
    command, environment = [sys.executable, str(program)], {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (lock,) = folder.rglob("write.lock")
    for kept in lock.parent.glob("loops.*"):
        kept.unlink()
    with FileLock(lock):
        waiting = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(8)
        assert not list(lock.parent.glob("loops.*"))
    assert waiting.wait(60) == 0
    assert list(lock.parent.glob("loops.total*.nbi"))
