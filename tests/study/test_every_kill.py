"""A run killed at each of its file operations, one after the other, ends with the same bytes when it is run again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and counts by Linux's names")
def test_a_run_killed_at_any_file_operation_ends_with_the_same_bytes(tmp_path: Path):
    program = [sys.executable, "-m", "tests.study.every_kill", str(tmp_path)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}  # every child starts its own
    done = subprocess.run(program, cwd=ROOT, env=one_thread, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    assert list(tried) == ["synth", "split", "baseline", "train", "evaluate"]
    assert all(count >= 5 for count in tried.values()), tried
    assert sum(tried.values()) >= 50, tried
