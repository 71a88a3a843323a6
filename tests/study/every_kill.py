"""Run a study in forks that kill themselves; a program of its own, since Polars must not have computed before a fork.

A child counts what it asks of the file system, and kills itself with SIGKILL before the n-th operation; n is every
number up to that of an uninterrupted stage.
"""

import gc
import importlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gru4rec_cli.evaluation import oracle
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.warming import few_sessions
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.freshness import code_hashes
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, artifact_hashes, write_config

TINY: dict[str, Any] = {
    **SMALL,
    "synth": {"sessions": 300, "items": 12, "interests": 2, "successors": 2, "max_length": 6},
    "baseline": {"models": {"popularity": {}, "again": {"kind": "popularity"}}},
    "train": {"models": {"random": {}, "other": {"kind": "recent_popularity"}}},
    "evaluate": {"resamples": 10, "permutations": 10, "cutoffs": [1, 3]},
}
STAGES = ["synth", "split", "baseline", "train", "evaluate"]
EVENTS = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
    "shutil.copyfile",
)
_RELATIVE = ("os.remove", "os.rmdir")  # by a name in an open folder
KILLED = -9
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Counter:
    """Counts the operations below a folder that change it, and kills the process before one of them."""

    def __init__(self, folder: Path, fatal: int) -> None:
        self.folder, self.fatal, self.count = str(folder), fatal, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        inside = str(arguments[0]).startswith(self.folder) or (event in _RELATIVE and arguments[1] != -1)
        if event not in EVENTS or not inside:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
            return
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], int]) -> int:
    """What `work` returns in a fork, KILLED where it was killed. Python's own exit would clean up, so there is none."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(work()).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as answer:
        found = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return KILLED
    assert os.WEXITSTATUS(status) == 0, "the stage failed; see above"
    return int(found)


def run_stage(config: Path, run: Path, stage: str, fatal: int) -> int:
    """Run one stage, killed before the operation `fatal`; the number of operations where it was not."""

    def work() -> int:
        counter = Counter(run, fatal)
        sys.addaudithook(counter)
        study_of(load_config(config), run).run_stage(stage)
        return counter.count

    return in_child(work)


def warm_up() -> None:
    """Load here what every child would load by itself: stages, models, compiled loops, the code that is hashed."""
    for stage in STAGES:
        importlib.import_module(f"gru4rec_cli.study.stages.{stage}")
    few = few_sessions()
    for kind in ("popularity", "random", "recent_popularity"):
        model = registry.model_class(kind)(registry.settings_class(kind)())
        model.fit(few, FitContext(seed=1))
        rank_targets(model.score(few), few, longest=3)
    code_hashes(oracle)


def main(folder: Path) -> dict[str, int]:
    """Kill every stage at every operation and compare; return the number of kills by stage."""
    warm_up()
    config, uninterrupted, run = write_config(folder, TINY), folder / "uninterrupted", folder / "run"
    study_of(load_config(config), run).plan()  # hashes more code
    gc.freeze()  # or collecting garbage copies all memory into every child
    tried: dict[str, int] = {}
    for stage in STAGES:
        before = folder / f"before-{stage}"
        if uninterrupted.exists():
            shutil.copytree(uninterrupted, before)
        operations = run_stage(config, uninterrupted, stage, fatal=0)
        expected = artifact_hashes(uninterrupted)
        for fatal in range(1, operations + 1):
            shutil.rmtree(run, ignore_errors=True)
            if before.exists():
                shutil.copytree(before, run)
            assert run_stage(config, run, stage, fatal) == KILLED, (stage, fatal)
            assert run_stage(config, run, stage, 0) >= 0
            assert artifact_hashes(run) == expected, (stage, fatal)
            left = {path.name for path in run.rglob(".*")} - {".lock"}
            assert not left, (stage, fatal, left)
            tried[stage] = fatal
    return tried


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
