"""How many threads compute, and a plain way to share work among them."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import chain, islice
from typing import Any, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


_ASKED = "GRU4REC_STUDY_THREADS"  # in the environment, so that processes that this one starts know it too
_JOBS = "GRU4REC_STUDY_JOBS"  # likewise


def limit_threads(count: int) -> None:
    """Compute on so many threads from here on, training included; before torch is loaded, since it reads it then."""
    os.environ["OMP_NUM_THREADS"] = os.environ[_ASKED] = str(count)


def limit_jobs(count: int) -> None:
    """Carry out so many trials of a search at a time from here on."""
    os.environ[_JOBS] = str(count)


def tuning_jobs() -> int:
    """Return how many trials of a search are carried out at a time, 1 unless more were asked for."""
    return int(os.environ.get(_JOBS) or 1)


def training_threads() -> int:
    """Threads of a training step: as many as were asked for or, by default, there are cores, but at most two.

    More would have nothing to do. The weights do not depend on how many they are.
    """
    return min(2, int(os.environ.get(_ASKED) or thread_count()))


def thread_count() -> int:
    """The cores this process may use, or fewer where OMP_NUM_THREADS says so, as for torch."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores


def one_blas_thread() -> AbstractContextManager[Any]:
    """Let the BLAS of compiled loops, which is SciPy's, compute on one thread meanwhile."""
    limit: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limit


@cache
def _blas() -> Any:
    import scipy.linalg.cython_blas  # noqa: F401 - only what is loaded is found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute on `count` threads meanwhile."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_few = threading.Lock()
_before: list[int] = []  # torch's threads outside `one_torch_thread`, once for every caller inside


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute on one thread meanwhile, for work of a few milliseconds.

    Where other processes need the cores, threads that wait for each other make such work ten times slower. Several
    threads may be inside at once.
    """
    import torch

    with _few:
        _before.append(_before[0] if _before else torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _few:
            torch.set_num_threads(_before.pop())


def in_threads(function: Callable[[Work], Result], work: Iterable[Work]) -> Iterator[Result]:
    """`function` of every piece of work, in order, computed in threads a few pieces ahead.

    `function` must release the interpreter's lock while it computes, or nothing is gained.
    """
    pieces = iter(work)
    first = list(islice(pieces, 2))
    threads = thread_count()
    if threads == 1 or len(first) < 2:
        yield from map(function, chain(first, pieces))
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Result]] = deque()
        for piece in chain(first, pieces):
            ahead.append(pool.submit(function, piece))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def ahead(work: Iterator[Work]) -> Iterator[Work]:
    """`work`, each piece made in another thread while the one before it is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, work, None)
        while (piece := coming.result()) is not None:
            coming = pool.submit(next, work, None)
            yield piece
