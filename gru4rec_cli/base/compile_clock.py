"""How long this process has compiled, and who is told of it. The compiler itself is loaded in `compiling`.

Numba compiles one loop at a time, whatever the threads, so that one clock is enough.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Listener = Callable[[str], None]  # is given the name of a loop when compiling it begins, and "" when it ends


@dataclass
class _Clock:
    depth: int = 0  # a loop is compiled for another
    began: float = 0.0
    finished: float = 0.0  # seconds before that
    loop: str = ""  # that is compiled


_clock = _Clock()
_listeners: list[Listener] = []


def seconds() -> float:
    """Return how many seconds this process has compiled and loaded compiled loops, what is under way included."""
    return _clock.finished + (time.perf_counter() - _clock.began if _clock.depth else 0.0)


def begin(loop: str = "") -> None:
    """Count from here on. The name of the loop is told where it is compiled for itself."""
    _clock.depth += 1
    if _clock.depth == 1:
        _clock.began, _clock.loop = time.perf_counter(), loop
        if loop:
            _tell(loop)


def end() -> None:
    """Count no longer, once for every `begin`."""
    _clock.depth -= 1
    if _clock.depth == 0:
        _clock.finished += time.perf_counter() - _clock.began
        told, _clock.loop = _clock.loop, ""
        if told:
            _tell("")


def _tell(loop: str) -> None:
    for listener in _listeners:
        listener(loop)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every loop that is compiled inside."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
