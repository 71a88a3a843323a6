"""The command in a fork of a process that has loaded what runs load, since loading takes seconds.

The fork is a process of its own. It differs from one that a user starts in what is decided while Python and libraries
are loaded, and while code is used for the first time: the environment, the hashes of text, the time it takes.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
LONGEST = 250  # seconds that a command may take
LOADED = (
    "gru4rec_cli.cli",
    *(f"gru4rec_cli.study.stages.{stage}" for stage in ("synth", "split", "baseline", "train", "evaluate", "report")),
    *(f"gru4rec_cli.models.{module}" for module in ("gru4rec.model", "markov", "popularity")),
    "gru4rec_cli.evaluation.rank_counts",
    "gru4rec_cli.study.windows",
    "matplotlib.backends.backend_svg",
    "pyarrow.pandas_compat",
)


Call = tuple[str, str, list[Any]]  # module, function, arguments


def run_warm(
    arguments: list[str], cwd: Path, environment: dict[str, str], first: Call | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command in a fork, with an environment that counts from then on, after a call that is made there."""
    process = WarmProcess(arguments, cwd, environment, first)
    out, err = process.communicate()
    return subprocess.CompletedProcess(arguments, process.wait(), out, err)


class WarmProcess:
    """The command in a fork, as a `Popen` that a test may kill. One that a test has left is killed before the next."""

    _latest: "WarmProcess | None" = None

    def __init__(self, arguments: list[str], cwd: Path, environment: dict[str, str], first: Call | None = None) -> None:
        if self._latest:
            self._latest.kill()
            self._latest.wait()
        WarmProcess._latest = self
        self._folder = TemporaryDirectory()
        self._files = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        self.returncode: int | None = None
        order = {"arguments": arguments, "cwd": str(cwd), "environment": environment, "first": first}
        order["streams"] = [os.devnull, *map(str, self._files)]
        server = _server()
        assert server.stdin
        server.stdin.write(json.dumps(order).encode() + b"\n")
        self.pid = self._read()

    def _read(self) -> int:
        """The next number that the server writes: the fork's id, and when it has ended, its exit code."""
        server = _server()
        assert server.stdout
        try:
            return int(server.stdout.readline())
        except BaseException:  # what comes late would be taken for that of the next command
            os.killpg(server.pid, signal.SIGKILL)
            server.communicate()
            _server.cache_clear()
            raise

    def poll(self) -> int | None:
        if self.returncode is not None:
            return self.returncode
        stdout = _server().stdout
        assert stdout
        return self.wait() if select.select([stdout], [], [], 0)[0] else None

    def wait(self) -> int:
        if self.returncode is None:
            WarmProcess._latest = None
            self.returncode = self._read()
            self._told = [file.read_text("utf-8") for file in self._files]
            self._folder.cleanup()
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        self.wait()
        out, err = self._told
        return out, err

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@cache
def _server() -> "subprocess.Popen[bytes]":
    """The process that forks."""
    program, pipe = [sys.executable, "-m", "tests.warm"], subprocess.PIPE
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # read when torch is loaded
    return subprocess.Popen(
        program, stdin=pipe, stdout=pipe, bufsize=0, cwd=ROOT, env=one_thread, start_new_session=True
    )


def _next_order() -> dict[str, Any]:
    """Fork for every line of stdin, write the fork's id, then its exit code; in a fork, return what the line asks."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            order: dict[str, Any] = json.loads(line)
            return order
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)


def _load() -> None:
    """Do once what every run would do: import modules, load compiled loops, read which file imports which, find fonts.

    Nothing that leaves a thread which a run needs, since a fork has only the one that forked.
    """
    for module in LOADED:
        importlib.import_module(module)
    importlib.import_module("gru4rec_cli.bench.fitted").warm_up("markov")
    registry = importlib.import_module("gru4rec_cli.models.registry")
    for kind in ("gru4rec", "markov", "popularity"):
        registry.source_files(kind)
    drawing = importlib.import_module("gru4rec_cli.reporting.figures.drawing")
    english = importlib.import_module("gru4rec_cli.reporting.text.words").ENGLISH
    with TemporaryDirectory() as folder, drawing.drawing():
        drawing.write_figure(Path(folder), drawing.new_canvas(), drawing.Figure("", "empty", "", ""), english)


def _serve() -> None:
    _load()
    gc.freeze()  # or collecting garbage copies all memory into every fork
    order = _next_order()
    signal.alarm(LONGEST)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    for descriptor, file in enumerate(order["streams"]):
        opened = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv, sys.path[0] = ["gru4rec-study", *order["arguments"]], order["cwd"]
    if order["first"]:
        module, function, arguments = order["first"]
        getattr(importlib.import_module(module), function)(*arguments)
    try:
        importlib.import_module("gru4rec_cli.__main__").main()
    except SystemExit as end:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(int(end.code or 0))  # to take down all that was loaded takes half a second


if __name__ == "__main__":
    _serve()
