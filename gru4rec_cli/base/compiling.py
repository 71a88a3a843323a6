"""How loops are compiled: by numba at first use, and kept on disk. That takes seconds, so it is told once."""

import hashlib
import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core import event

if TYPE_CHECKING:
    from numba.core.decorators import _JITWrapper  # keeps the types of what it decorates

_UNUSED = 14 * 86_400  # seconds after which kept loops go

_log = logging.getLogger(__name__)


class _Announcement(event.Listener):
    """Hears of every loop that is compiled, not of those that are found on disk."""

    told = False

    def on_start(self, event: Any) -> None:
        if not self.told:
            self.told = True
            _log.info("compiling loops, once; they are kept for the next time")

    def on_end(self, event: Any) -> None:
        return None


event.register("numba:compile", _Announcement())  # type: ignore[no-untyped-call]


def compiled(*, fastmath: bool | set[str] = False) -> "_JITWrapper":
    """A decorator for loops over arrays, run without the interpreter's lock so that threads can share the work.

    `fastmath` is numba's. Division by zero is NumPy's: the check that Python asks for keeps a loop from being
    vectorised (Adagrad's row update took 290 µs with it and 46 µs without).
    """
    return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath)


def _keep_by_code() -> None:
    """Have numba keep loops in a folder that the code of all loops of this package names.

    By itself it looks only at the file of a loop, and would go on with the old code of other files' loops inside it.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    package = Path(__file__).parents[1]
    sources = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    code = hashlib.sha256(b"".join(source for source in sources if b"numba" in source or b"compiled" in source))
    name = f"loops-{code.hexdigest()[:12]}"
    for folder in (package / "__pycache__", Path.home() / ".cache" / "gru4rec-study"):
        with suppress(OSError):
            (folder / name).mkdir(parents=True, exist_ok=True)
            os.utime(folder / name)
            for old in folder.glob("loops-*"):  # other code may still be running
                if old.stat().st_mtime < time.time() - _UNUSED:
                    shutil.rmtree(old, ignore_errors=True)
            numba.config.CACHE_DIR = str(folder / name)  # type: ignore[attr-defined]
            return


_keep_by_code()
