"""How many threads compute, and how work is shared among them."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gru4rec_cli.base.threads import (
    ahead,
    in_threads,
    limit_threads,
    one_torch_thread,
    thread_count,
    torch_threads,
    training_threads,
)
from tests.small import SMALL, write_config


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "GRU4REC_STUDY_THREADS"):
        monkeypatch.setenv(name, "1")  # so that it is put back
        monkeypatch.delenv(name)


def test_all_cores_compute_and_at_most_two_train_unless_told_otherwise():
    cores = len(os.sched_getaffinity(0))
    assert (thread_count(), training_threads()) == (cores, min(2, cores))
    limit_threads(1)
    assert (thread_count(), training_threads()) == (1, 1)
    limit_threads(9)
    assert (thread_count(), training_threads()) == (min(9, cores), 2)


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order(threads: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gru4rec_cli.base.threads.thread_count", lambda: threads)
    assert list(in_threads(lambda number: number * number, range(50))) == [number * number for number in range(50)]


def test_a_piece_is_made_while_the_one_before_is_used():
    made = [threading.Event() for _ in range(3)]

    def work() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in ahead(work()):
        assert number == 2 or made[number + 1].wait(timeout=10)


def test_an_error_of_work_ahead_reaches_its_user():
    def work() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    pieces = ahead(work())
    assert next(pieces) == 1
    with pytest.raises(ValueError, match="broken"):
        next(pieces)


@pytest.mark.parametrize(("options", "threads"), [(["--threads", "1"], 1), (["--threads", "2"], 2)])
def test_the_option_reaches_training(tmp_path: Path, options: list[str], threads: int):
    gru4rec = {**SMALL["train"]["models"]["gru4rec"], "step": "compiled"}
    config = write_config(tmp_path, {**SMALL, "train": {"models": {"gru4rec": gru4rec}}})
    common = ["--config", str(config), "--run-dir", str(tmp_path / "run"), "--quiet"]
    code = f"""
import sys
from gru4rec_cli.cli import app
for stage in ("synth", "split"):
    app([stage, *{common!r}], standalone_mode=False)
from gru4rec_cli.models.gru4rec.compiled import CompiledStep
learn = CompiledStep.learn
def told(self, batches):
    told.threads = self._threads.size
    return learn(self, batches)
CompiledStep.learn = told
app(["train", *{common!r}, *{options!r}], standalone_mode=False)
print("THREADS", told.threads)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"THREADS {threads}" in done.stdout


def test_one_torch_thread_ends_where_it_began():
    """Fault 13: also if threads are inside at the same time."""
    import torch

    with torch_threads(2):
        inside = threading.Barrier(2)

        def work(_: int) -> int:
            with one_torch_thread():
                inside.wait(timeout=60)
                count = torch.get_num_threads()
                inside.wait(timeout=60)
            return count

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, range(2))) == [1, 1]
        with one_torch_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2


def test_programs_have_the_wait_policy_of_the_command():
    """Fault 13: it is set when the package is imported, before torch is; a policy of the user's is kept."""
    script = "import os, gru4rec_cli.models.registry; print(os.environ['OMP_WAIT_POLICY'])"
    for given, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        variables = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        variables |= {"OMP_WAIT_POLICY": given} if given else {}
        done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_a_single_piece_of_work_is_done_in_the_thread_that_asks():
    """Fault 13: passing it to another thread takes longer than a recommendation."""
    assert list(in_threads(lambda _: threading.current_thread(), [1])) == [threading.current_thread()]
    assert list(in_threads(lambda piece: piece, [])) == []
