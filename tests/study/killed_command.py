"""Run `gru4rec-study` in a process that kills itself with SIGKILL before its n-th change of a file below a folder.

`python -m tests.study.killed_command N FOLDER ARGUMENTS…`
"""

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


if __name__ == "__main__":
    from gru4rec_cli.__main__ import main

    _, given, below, *arguments = sys.argv
    sys.argv = ["gru4rec-study", *arguments]
    kill_before(int(given), below)
    main()
