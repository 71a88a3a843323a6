"""The process of the worker, as the study starts and uses it."""

import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import gru4rec_cli
from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.base.measuring import count_helper
from gru4rec_cli.models.official.fetching import verified_checkout
from gru4rec_cli.models.official.messages import Arrays, Message, receive, send

_LAST_LINES = 12


class WorkerProcess:
    """A running worker. It ends with this object, or with this process."""

    def __init__(self) -> None:
        checkout = verified_checkout()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        module = "gru4rec_cli.models.official.worker"
        packages = [str(Path(gru4rec_cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(checkout.resolve()), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, packages))},
        )
        self._end = weakref.finalize(self, _end, self._process, self._log)

    @property
    def running(self) -> bool:
        return self._end.alive and self._process.poll() is None

    def ask(self, job: str, arrays: Arrays, **values: Any) -> Iterator[Message]:
        """Give the worker a job and yield its answers. The worker ends if the answers are not read to the last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        finished = False
        try:
            try:
                send(self._process.stdin, {"job": job, **values}, arrays)
            except BrokenPipeError:
                raise self._failure(job) from None
            while True:
                message = receive(self._process.stdout)
                if message is None:
                    raise self._failure(job)
                if message[0]["kind"] == "done":
                    count_helper(message[0]["peak_memory"])
                    finished = True
                    return
                yield message
        finally:
            if not finished:
                self.close()

    def close(self) -> None:
        self._end()

    def _failure(self, job: str) -> ExternalError:
        status = self._process.wait()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        self._log.seek(0)
        said = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        shown = "".join(f"\n  {line}" for line in said[-_LAST_LINES:])
        hint = "see docs/official.md for what the author's code can do" if said else "it may have run out of memory"
        return ExternalError(f"the author's code failed ({job}): its process {how}{shown}", hint)


def _end(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                continue  # the process that would read the rest is dead
    process.wait()
    log.close()
