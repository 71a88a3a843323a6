"""What a process may do first so that it kills itself with SIGKILL before its n-th change of a file below a folder."""

import os
import signal
import sys

_CHANGES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kill_before(number: int, folder: str) -> None:
    """Kill this process before its change of that number; processes that it starts are not counted."""
    count = 0

    def counts(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event not in _CHANGES or not str(arguments[0]).startswith(folder):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
            return
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(counts)
