"""What progress says: each epoch, also without a terminal, and no rate that contains compiling (fault 8)."""

import io
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gru4rec_cli.base import compile_clock
from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import FIT_FILE
from gru4rec_cli.commands.progress import BarProgress, LineProgress, compiling_shown, new_bars
from tests.small import command, study, write_config
from tests.study.test_tune import group_is_there
from tests.terminal import Terminal

STUDY: dict[str, Any] = {
    "name": "small",
    "data": {"source": "synth"},
    "synth": {"sessions": 600, "items": 50, "interests": 2, "successors": 3},
    "split": {"by": "ratio", "test": 0.2, "valid": 0.1},
    "baseline": {"models": {"popularity": {}, "markov": {}}},
    "train": {
        "models": {
            "gru4rec": {"layers": [4], "epochs": 3, "batch_size": 32, "n_sample": 8, "validate_on": "mrr@10"},
        }
    },
    "evaluate": {"cutoffs": [10], "resamples": 50},
}
_GRU4REC = {"kind": "gru4rec", "layers": [8], "epochs": 3, "batch_size": 32, "n_sample": 16}
_RATES = {"learning_rate": [0.05, 0.1, 0.2, 0.3]}
SEARCH = {
    **STUDY,
    "synth": {**STUDY["synth"], "sessions": 1500},
    "baseline": {"models": {"sr": {}, "sknn": {}, "vsknn": {}, "stan": {}}},
    "train": {"models": {"gru4rec": _GRU4REC, "gru4rec_2": {**_GRU4REC, "epochs": 8}}},
    "tune": {
        "models": {"sr": None, "sknn": None, "vsknn": None, "stan": None, "gru4rec": _RATES, "gru4rec_2": _RATES},
        "budget": {"trials": 4},
    },
}
MOST_LOOPS = 5  # that a study with these models compiles, which takes about a second each


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study where nothing is compiled yet, as in a fresh clone, and what it says without a terminal."""
    folder = tmp_path_factory.mktemp("first")
    given = ("--config", write_config(folder, STUDY), "--run-dir", folder / "run")
    done = study("run", *given, NUMBA_CACHE_DIR=str(folder / "loops"))
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stderr


@pytest.mark.slow
def test_every_epoch_leaves_its_loss_its_validation_and_its_time_without_a_terminal(first_run: tuple[Path, str]):
    run, said = first_run
    lines = re.findall(r"^epoch (\d)/3: loss (\d+\.\d{4}), valid_mrr@10 (0\.\d{4}), \d+\.\d s$", said, re.MULTILINE)
    curve = read_json(run / "train" / "gru4rec" / FIT_FILE)["curve"]
    expected = [(str(row["epoch"]), f"{row['loss']:.4f}", f"{row['valid_mrr@10']:.4f}") for row in curve]
    assert lines == expected
    assert len(lines) == 3


@pytest.mark.slow
def test_a_stage_that_had_not_run_ran_for_the_first_time(first_run: tuple[Path, str]):
    assert "train: ran (for the first time)" in first_run[1]
    assert "not run" not in first_run[1]


@pytest.mark.slow
def test_a_first_run_compiles_few_loops_and_counts_them_apart(first_run: tuple[Path, str]):
    run, said = first_run
    (loops,) = re.findall(r"^compiled (\d+) loops in ", said, re.MULTILINE)
    assert 0 < int(loops) <= MOST_LOOPS
    cost = read_json(run / "baseline" / "markov" / "manifest.json")["cost"]
    assert cost["compile_seconds"] > cost["seconds"]
    assert read_json(run / "baseline" / "manifest.json")["compile_seconds"] >= cost["compile_seconds"]


def test_no_rate_and_no_time_left_contains_compiling():
    said: list[str] = []
    progress = LineProgress(said.append)
    with compiling_shown(progress), progress.task("epoch 1/5", 200, "events") as task:
        compile_clock.begin("learn")
        time.sleep(0.5)
        compile_clock.end()
        time.sleep(0.05)
        task.advance(100)
        assert 0.05 <= task.elapsed < 0.25
        assert task.left == pytest.approx(task.elapsed, rel=0.5)
        assert float(task.line().split()[0].replace(",", "")) > 100 / 0.25
    assert re.fullmatch(r"compiled 1 loop in 0\.\d s, which no other time contains", said[-1])


@pytest.mark.parametrize(("earlier", "now"), [(20, 5), (0, 5), (24, 0)])
def test_the_time_left_follows_from_what_was_done_in_this_run(earlier: int, now: int):
    with LineProgress(lambda line: None).task("tuning gru4rec", 30, "trials") as task:
        task.count_earlier(earlier, best="0.2000")
        time.sleep(0.1)
        for _ in range(now):
            task.advance(1, best="0.2000")
        assert task.left == (pytest.approx((30 - earlier - now) * task.elapsed / now, rel=0.1) if now else None)
        assert task.clock().endswith(" left") == bool(now)


def test_the_innermost_task_says_that_it_is_under_way_until_it_counts_something(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gru4rec_cli.commands.progress._LINE_EVERY", 0.1)
    said: list[str] = []
    progress = LineProgress(said.append)
    with progress.task("fitting gru4rec, 1 of 1"), progress.task("epoch 1/5", 200, "events") as task:
        time.sleep(0.25)
        before = list(said)
        task.advance(100)
        task.leave_no_line()
        time.sleep(0.25)
    assert len(before) >= 1
    assert {re.sub(r"\d+ s$", "", line) for line in before} == {"epoch 1/5: under way for "}
    assert all("under way" not in line for line in said[len(before) + 1 :])


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
@pytest.mark.slow
@pytest.mark.timeout(900)  # as many trials, on a busy machine
@pytest.mark.parametrize(("width", "jobs"), [(80, "1"), (160, "2")])
def test_a_search_of_several_models_in_a_terminal_and_ctrl_c(tmp_path: Path, width: int, jobs: str):
    """A line for the model under way, with the best value so far and the time left, and one for each finished one."""
    given = ("--config", write_config(tmp_path, SEARCH), "--run-dir", tmp_path / "run")
    for name in ("synth", "split"):
        assert study(name, *given, "--quiet").returncode == 0
    terminal, bars, interrupted = Terminal(command("tune", *given, "--jobs", jobs), width), set(), False
    for lines in terminal.shown(600):
        under_way = [line for line in lines if line.startswith("  tuning ")]
        assert len(under_way) <= 1
        assert sum(line.startswith("tune ") for line in lines) <= 1
        bars |= {re.sub(r"[━╸╺ ]+", " ", line).strip() for line in under_way}
        if not interrupted and any(re.search(r"tuning gru4rec_2 .* [23]/4 best", line) for line in under_way):
            os.killpg(terminal.process.pid, signal.SIGINT)  # as the terminal does at Ctrl-C
            interrupted = True
    assert interrupted
    assert terminal.close() == 130
    assert any(
        re.fullmatch(r"tuning gru4rec_2 [23]/4 (\d+ trials/s, )?best 0\.\d{4} \d+:\d\d left", line) for line in bars
    ), bars
    assert terminal.screen.wrapped == 0
    said = [line.strip() for line in terminal.screen.lines if line.strip()]
    tuned = [line for line in said if line.startswith("tuned ")]
    assert [re.sub(r"0\.\d{4}$", "V", line) for line in tuned] == [
        f"tuned {name}: 4 trials, best V" for name in ("sr", "sknn", "vsknn", "stan", "gru4rec")
    ]
    assert "interrupted; every finished stage is as it was; the same command, without --force, continues" in " ".join(
        said
    )
    assert not [line for line in said if "━" in line or "Traceback" in line]
    kept = {path: path.read_bytes() for path in (tmp_path / "run" / ".tune.partial").glob("[!c]*/*.json")}
    assert len(kept) >= 5 * 4 + 2
    end = time.monotonic() + 60
    while group_is_there(terminal.process.pid):
        assert time.monotonic() < end, "a process goes on"
        time.sleep(0.1)
    assert study("tune", *given, "--quiet").returncode == 0
    assert all((tmp_path / "run" / "tune" / path.parent.name / path.name).read_bytes() == kept[path] for path in kept)


@pytest.mark.parametrize("width", [80, 160])
def test_bars_say_what_is_done_and_what_is_compiled_in_one_line_each(width: int):
    terminal = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with new_bars(terminal) as bars:
        progress = BarProgress(bars)
        fitting = progress.task("fitting gru4rec, 1 of 3")
        with progress.task("train"), fitting, progress.task("epoch 1/2", 73_000, "events") as task:
            task.advance(0)
            time.sleep(0.11)
            task.advance(4_096, loss="7.5391")
            progress.compiling("_count_rows")
            paper = Console(file=io.StringIO(), width=width)
            with paper.capture() as capture:
                paper.print(bars.get_renderable())
            progress.compiling("")
    shown = capture.get().splitlines()
    assert len(shown) == 4
    assert all(len(line) <= width for line in shown)
    assert shown[0].startswith("train ")
    assert shown[1].startswith("  fitting gru4rec, 1 of 3 ")
    assert shown[2].startswith("    epoch 1/2 ")
    assert "4,096/73,000" in shown[2]
    assert shown[2].rstrip().endswith("left")
    assert shown[3].startswith("compiling loops, once ")
    assert "number 1: count_rows" in shown[3]
