"""The decorator of compiled loops. Numba compiles them at first use and keeps them on disk.

Compiling takes seconds, so it is logged, once for a process.
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numba
from filelock import FileLock
from numba.core import event
from numba.core.caching import FunctionCache

from gru4rec_cli.base import compile_clock

if TYPE_CHECKING:
    from numba.core.decorators import _JITWrapper  # keeps the types of what it decorates
    from numba.core.dispatcher import Dispatcher

Function = TypeVar("Function", bound=Callable[..., object])

_REORDERED = {"reassoc", "contract", "arcp", "nsz"}
_WORDS = (b"numba", b"compiled", b"NamedTuple")  # in the files that decide what is compiled
_UNUSED = 14 * 86_400  # seconds after which a cache folder is deleted

_log = logging.getLogger(__name__)


class _Watch(event.Listener):
    """Times compiling, and logs the first loop that is compiled; loops that are loaded from disk are not compiled."""

    announced = False

    def on_start(self, event: Any) -> None:
        if not self.announced:
            self.announced = True
            _log.info("compiling loops, once; they are kept for the next time")
        compile_clock.begin(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event: Any) -> None:
        compile_clock.end()


event.register("numba:compile", _Watch())  # type: ignore[no-untyped-call]


@overload
def compiled(function: Function) -> "Dispatcher[Function]": ...


@overload
def compiled(*, reorder_sums: bool = ..., fastmath: bool | set[str] = ...) -> "_JITWrapper": ...


def compiled(
    function: Callable[..., object] | None = None, *, reorder_sums: bool = False, fastmath: bool | set[str] = False
) -> Any:
    """Compile a loop over arrays: `@compiled`, or `@compiled(reorder_sums=True)`.

    A compiled loop runs without the interpreter's lock, so that threads can share the work. With `reorder_sums`, sums
    may be taken in any order, so that they are vectorised; `fastmath` is numba's. Division by zero is NumPy's: the
    check that Python asks for prevents vectorisation (Adagrad's row update took 290 µs with it and 46 µs without).
    """
    options = _REORDERED if reorder_sums else fastmath
    numba_decorator = numba.njit(nogil=True, error_model="numpy", fastmath=options)

    def decorate(loop: Callable[..., object]) -> Any:
        dispatcher: Any = numba_decorator(loop)
        try:
            dispatcher._cache = _Cache(loop)  # type: ignore[no-untyped-call]
        except (RuntimeError, OSError):  # numba finds no folder that it may write to
            _say_not_kept()
        return dispatcher

    return decorate if function is None else decorate(function)


class _Cache(FunctionCache):
    """Keeps a loop's machine code on disk; one process at a time writes to a folder.

    Numba numbers the files of a loop by what its index holds. Two processes that compile the loop for different types
    at the same time would give both files one number, and the index would name the wrong code.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        compile_clock.begin()
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        finally:
            compile_clock.end()

    def save_overload(self, sig: Any, data: Any) -> None:
        compile_clock.begin()
        try:
            with suppress(OSError), FileLock(Path(self.cache_path) / "write.lock"):
                super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        finally:
            compile_clock.end()


def _folders(package: Path) -> Iterator[Path]:
    """Yield the folders in which loops may be kept, the preferred one first; a user without a home has only one."""
    yield package / "__pycache__"
    with suppress(RuntimeError):
        yield Path.home() / ".cache" / "gru4rec-study"


@cache
def _say_not_kept() -> None:
    _log.warning(
        "compiled loops cannot be kept: no folder for them can be written; every process compiles them again, unless "
        "NUMBA_CACHE_DIR names a folder that can be written"
    )


def _set_cache_folder() -> None:
    """Have numba keep compiled loops in a folder named after the code of all loops of this package, and of the named
    tuples that they take.

    By itself numba compares only the file of a loop. It would go on with old code of a loop in another file that this
    one calls, and with the old order of a tuple's fields.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    package = Path(__file__).parents[1]
    sources = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    code = hashlib.sha256(b"".join(source for source in sources if any(word in source for word in _WORDS)))
    name = f"loops-{code.hexdigest()[:12]}"
    for folder in _folders(package):
        with suppress(OSError):
            (folder / name).mkdir(parents=True, exist_ok=True)
            os.utime(folder / name)
            for old in folder.glob("loops-*"):  # other code may still be running
                if old.stat().st_mtime < time.time() - _UNUSED:
                    shutil.rmtree(old, ignore_errors=True)
            numba.config.CACHE_DIR = str(folder / name)  # type: ignore[attr-defined]
            return


_set_cache_folder()
