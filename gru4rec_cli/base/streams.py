"""Standard streams that may be closed, full or not UTF-8, and Ctrl-C: none of them ends in a traceback."""

import errno
import os
import signal
import sys
from typing import Any, TextIO

from gru4rec_cli.base.errors import INTERRUPTED

_interrupted = False


class LenientStream:
    """A text stream on which writing never fails; after the first failure nothing more is written.

    Characters that its encoding lacks are written as escapes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write, or do nothing where an earlier write has failed."""
        if self.failure is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written so far."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def writelines(self, lines: Any) -> None:
        """Write every line."""
        for line in lines:
            self.write(line)

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # so that Python does not complain of it at its end
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Open what is closed of stdin, stdout and stderr, and make the latter two lenient."""
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get its number, and what is printed
            nowhere = os.open(os.devnull, flags)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
    streams: Any = sys
    streams.stdin = sys.stdin or os.fdopen(0, encoding="utf-8")
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name) or os.fdopen(descriptor, "w", encoding="utf-8")
        if not isinstance(stream, LenientStream):
            setattr(sys, name, LenientStream(stream))


def stdout_failure() -> str:
    """Return why stdout could not be written, or an empty text; a reader who has read enough is no failure."""
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    return "" if failure is None or failure.errno == errno.EPIPE else os.strerror(failure.errno or 0)


def end_at_once_on_interrupt() -> None:
    """Let Ctrl-C end the process quietly, as long as nothing has begun."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as below nohup
        signal.signal(signal.SIGINT, _end_at_once)


def stop_on_interrupt() -> None:
    """Let Ctrl-C, where it ended the process so far, stop the work in order, and a second one end the process."""
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, _stop)
        sys.unraisablehook = _unraisable


def ignore_interrupt() -> None:
    """Ignore Ctrl-C from here on: while Python ends, it has no other handler, and the exit code would be lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def interrupted() -> bool:
    """Return whether Ctrl-C was pressed: what fails then fails because of it."""
    return _interrupted


def _end_at_once(*_: object) -> None:
    os._exit(INTERRUPTED)


def _stop(*_: object) -> None:
    global _interrupted
    _interrupted = True
    signal.signal(signal.SIGINT, _end_at_once)
    raise KeyboardInterrupt


def _unraisable(args: Any) -> None:
    """End at once where Ctrl-C came while Python could not raise it."""
    if isinstance(args.exc_value, KeyboardInterrupt):
        _end_at_once()
    sys.__unraisablehook__(args)
