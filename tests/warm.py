"""The command in a fork of a process that has loaded what runs load, since loading takes seconds.

The fork is a process of its own that has computed nothing before. It differs from one that a user starts in what is
decided while Python and libraries are loaded: the environment, the hashes of text, the time it takes.
"""

import atexit
import gc
import importlib
import json
import os
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


def run_warm(arguments: list[str], cwd: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the command in a fork, with an environment that counts from then on."""
    server = _server()
    assert server.stdin
    assert server.stdout
    with TemporaryDirectory() as folder:
        streams = [os.devnull, str(Path(folder, "stdout")), str(Path(folder, "stderr"))]
        order = {"arguments": arguments, "cwd": str(cwd), "environment": environment, "streams": streams}
        try:
            print(json.dumps(order), file=server.stdin, flush=True)
            code = int(server.stdout.readline())
        except BaseException:  # its answer would be taken for that of the next command
            os.killpg(server.pid, signal.SIGKILL)
            server.communicate()
            _server.cache_clear()
            raise
        return subprocess.CompletedProcess(arguments, code, *(Path(file).read_text("utf-8") for file in streams[1:]))


@cache
def _server() -> "subprocess.Popen[str]":
    """The process that forks."""
    program, pipe = [sys.executable, "-m", "tests.warm"], subprocess.PIPE
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # read when torch is loaded
    return subprocess.Popen(
        program, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=one_thread, start_new_session=True
    )


def _next_order() -> dict[str, Any]:
    """Fork for every line of stdin and write the exit code of the fork; in a fork, return what the line asks for."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            order: dict[str, Any] = json.loads(line)
            return order
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)


def _serve() -> None:
    for module in LOADED:
        importlib.import_module(module)
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
    try:
        importlib.import_module("gru4rec_cli.__main__").main()
    except SystemExit as end:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(int(end.code or 0))  # to take down all that was loaded takes half a second


if __name__ == "__main__":
    _serve()
