"""Compiled loops that several threads run in step, meeting without the interpreter's lock.

All threads of a team run the same loop; what one has written before `meet` the others see after it. Waiting is a short
spin, since they meet many times a millisecond; a thread that waits longer sleeps, so as not to hold up a busy machine.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from gru4rec_cli.compiling import compiled
from gru4rec_cli.intrinsics import load_acquire, store_release

Progress = npt.NDArray[np.int64]  # (threads, PADDING): how often each thread has arrived, a cache line each

PADDING = 8
_SPINS = 200_000  # looks, about a tenth of a millisecond
_NAP = 1 if sys.platform == "win32" else 50  # milliseconds there, microseconds elsewhere

# To yield instead is no help: a thread that slept goes before others, one that yielded waits milliseconds for its turn.
_sleep: Any = types.ExternalFunction("Sleep" if sys.platform == "win32" else "usleep", types.int32(types.uint32))


class Team:
    """So many threads, the calling one among them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.progress: Progress = np.zeros((size, PADDING), dtype=np.int64)
        self._others = ThreadPoolExecutor(size - 1) if size > 1 else None

    def run(self, loop: Callable[..., None], *arguments: Any) -> None:
        """`loop(progress, thread, *arguments)` in every thread; back when all are."""
        pool, progress = self._others, self.progress
        others = [pool.submit(loop, progress, thread, *arguments) for thread in range(1, self.size)] if pool else []
        loop(progress, 0, *arguments)
        for other in others:
            other.result()


@compiled()
def meet(progress: Progress, thread: int) -> None:
    """Wait until every thread of the team has come here as often as this one."""
    if len(progress) == 1:
        return
    reached = progress[thread, 0] + 1
    store_release(progress, thread * PADDING, reached)
    for other in range(len(progress)):
        spins = 0
        while load_acquire(progress, other * PADDING) < reached:
            spins += 1
            if spins > _SPINS:
                _sleep(np.uint32(_NAP))
