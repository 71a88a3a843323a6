"""Threads that run one compiled loop together and wait for each other without the interpreter's lock.

All threads of a group run the same loop. What one has written before `wait`, the others see after it. Waiting is a
short spin, since they wait many times a millisecond. A thread that waits longer sleeps, for the sake of other work.
"""

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import typeof, types
from numba.core.dispatcher import Dispatcher

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.intrinsics import load_acquire, store_release

Counters = Int64Array  # (threads, PADDING): how often each thread has signalled, a cache line each

PADDING = 8
_GONE = np.iinfo(np.int64).max  # of a thread that failed or was interrupted: nobody waits for it any more
_SPINS = 200_000  # looks, about a tenth of a millisecond
_NAP = 1 if sys.platform == "win32" else 50  # milliseconds there, microseconds elsewhere

# To yield instead is no help: a thread that slept goes before others, one that yielded waits milliseconds for its turn.
_sleep: Any = types.ExternalFunction("Sleep" if sys.platform == "win32" else "usleep", types.int32(types.uint32))


class ThreadGroup:
    """A number of threads, the calling one among them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size - 1) if size > 1 else None
        self._ready: set[Callable[..., None]] = set()

    def run(self, loop: Callable[..., None], *arguments: Any) -> None:
        """Run `loop(counters, thread, *arguments)` in every thread, and return when all have.

        Raises:
            Exception: whatever the loop raised in any of them, KeyboardInterrupt in the calling one.
        """
        counters: Counters = np.zeros((self.size, PADDING), dtype=np.int64)
        self._compile(loop, counters, 0, *arguments)
        others: list[Future[None]] = []
        try:
            if self._pool:
                others = [self._pool.submit(_go, loop, counters, n, arguments) for n in range(1, self.size)]
            loop(counters, 0, *arguments)
        finally:
            counters[0, 0] = _GONE
        for other in others:
            other.result()

    def _compile(self, loop: Callable[..., None], *arguments: Any) -> None:
        """In the calling thread, where it can be interrupted."""
        if loop not in self._ready and isinstance(loop, Dispatcher):
            loop.compile(tuple(typeof(argument) for argument in arguments))  # type: ignore[no-untyped-call]
        self._ready.add(loop)


def _go(loop: Callable[..., None], counters: Counters, thread: int, arguments: tuple[Any, ...]) -> None:
    try:
        loop(counters, thread, *arguments)
    finally:
        counters[thread, 0] = _GONE


@compiled
def signal(counters: Counters, thread: int) -> None:
    """Tell the others that this thread has come here, and go on."""
    if len(counters) > 1:
        store_release(counters, thread * PADDING, counters[thread, 0] + 1)


@compiled
def wait(counters: Counters, thread: int) -> None:
    """Wait until every thread of the group has come here as often as this one, by `wait` or by `signal`."""
    if len(counters) == 1:
        return
    signal(counters, thread)
    reached = counters[thread, 0]
    for other in range(len(counters)):
        spins = 0
        while load_acquire(counters, other * PADDING) < reached:
            spins += 1
            if spins > _SPINS:
                _sleep(np.uint32(_NAP))
