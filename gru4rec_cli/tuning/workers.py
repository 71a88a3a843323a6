"""What carries out trials: this process, or several others that share its threads."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.threads import limit_threads, thread_count, tuning_jobs
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.tuning.reading import read_train_and_valid
from gru4rec_cli.tuning.search import Workers
from gru4rec_cli.tuning.trial import Job, Trial, run_trial

_Result = tuple[Trial, dict[str, float]]
_sessions: tuple[Sessions, Sessions]  # of a worker process: training, validation


@contextmanager
def open_workers(split: Path, *, known_only: bool) -> Iterator[Workers]:
    """Give what carries out trials on the training and validation sessions of a finished split, and no others.

    Raises:
        StageError: one of several processes was killed.
    """
    jobs = tuning_jobs()
    if jobs == 1:
        yield _ThisProcess(split, known_only)
        return
    with _fewer_threads(max(1, thread_count() // jobs)):
        pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), _begin_worker, (split, known_only, os.getpid())
        )
        try:
            yield _Processes(pool, jobs)
        except BrokenProcessPool as error:
            raise StageError(
                "a process that carried out a trial was killed, perhaps for want of memory",
                "the same command continues; use fewer --jobs",
            ) from error
        finally:
            _end(pool)


class _ThisProcess:
    count = 1

    def __init__(self, split: Path, known_only: bool) -> None:
        self._sessions = read_train_and_valid(split, known_only=known_only)

    def submit(self, job: Job) -> Future[_Result]:
        future: Future[_Result] = Future()
        future.set_result(run_trial(job, *self._sessions))
        return future


class _Processes:
    def __init__(self, pool: ProcessPoolExecutor, count: int) -> None:
        self._pool, self.count = pool, count

    def submit(self, job: Job) -> Future[_Result]:
        return self._pool.submit(_in_worker, job)


def _begin_worker(split: Path, known_only: bool, parent: int) -> None:
    global _sessions
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process that started this one, which ends it
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _sessions = read_train_and_valid(split, known_only=known_only)


def _in_worker(job: Job) -> _Result:
    return run_trial(job, *_sessions)


def _end_with(parent: int) -> None:
    """End this process when the one that started it has been killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _end(pool: ProcessPoolExecutor) -> None:
    """End the processes, also those in the middle of a trial."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


@contextmanager
def _fewer_threads(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile compute on `count` threads."""
    before: dict[str, Any] = dict(os.environ)
    limit_threads(count)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
