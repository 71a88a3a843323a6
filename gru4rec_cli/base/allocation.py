"""Memory that a training step frees and the next step needs again."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Options of glibc's mallopt, and the values that it reaches by itself: see its manual page
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_LARGEST_TRIM_THRESHOLD, _DEFAULT_MMAP_MAX = 64 * 2**20, 65_536


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep memory that is freed meanwhile in this process; afterwards what is free then goes back to the system.

    Otherwise glibc gives large blocks back at once, and every training step waits for new pages. With another C library
    nothing changes.
    """
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        library.mallopt(_TRIM_THRESHOLD, _LARGEST_TRIM_THRESHOLD)
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """Return the C library, or None where it is not glibc."""
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
    except OSError:
        return None
