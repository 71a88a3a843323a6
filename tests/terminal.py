"""A terminal of a given size, in which a command runs, and what is on its screen."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence

_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>]")


class Screen:
    """The lines that a terminal of `width` columns shows, without colours; `wrapped` counts lines that did not fit."""

    def __init__(self, width: int) -> None:
        self.width, self.lines, self.row, self.column, self.wrapped = width, [""], 0, 0, 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Show text as a terminal does; a control sequence that is not complete waits for the rest."""
        text = self._rest + text
        self._rest = ""
        place = 0
        while place < len(text):
            if text[place] == "\x1b":
                found = _CONTROL.match(text, place)
                if not found:
                    self._rest = text[place:]
                    return
                self._control(found[1] or "", found[2] or "")
                place = found.end()
                continue
            self._put(text[place])
            place += 1

    def _control(self, given: str, letter: str) -> None:
        amount = int(given) if given.isdigit() else 1
        if letter == "A":
            self.row = max(0, self.row - amount)
        elif letter == "B":
            self._down(amount)
        elif letter == "K":
            line = self.lines[self.row]
            self.lines[self.row] = "" if given == "2" else line[: self.column]
        elif letter not in "mhl":
            raise AssertionError(f"a control sequence that is not known: {given}{letter}")

    def _put(self, sign: str) -> None:
        if sign == "\n":
            self._down(1)
        elif sign == "\r":
            self.column = 0
        else:
            if self.column == self.width:
                self.wrapped += 1
                self._down(1)
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
            self.column += 1

    def _down(self, amount: int) -> None:
        self.row += amount
        self.lines += [""] * (self.row + 1 - len(self.lines))


class Terminal:
    """A command in a terminal and a session of its own, as when it is typed there."""

    def __init__(self, program: Sequence[str], width: int, **environment: str) -> None:
        self.screen = Screen(width)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            program,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=clean | {"TERM": "xterm-256color"} | environment,
        )
        os.close(theirs)
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def shown(self, longest: float = 120.0) -> Iterator[list[str]]:
        """Yield the lines on the screen each time that something was written, until the command ends."""
        end = time.monotonic() + longest
        while time.monotonic() < end:
            if not select.select([self._ours], [], [], 0.2)[0]:
                if self.process.poll() is not None:
                    return
                continue
            try:
                found = os.read(self._ours, 65536)
            except OSError:  # the other end is closed
                return
            if not found:
                return
            self.screen.feed(self._decoder.decode(found))
            yield [line.rstrip() for line in self.screen.lines]
        raise AssertionError("the command did not end in time")

    def close(self) -> int:
        """Wait for the command, and return its exit code."""
        code = self.process.wait(timeout=30)
        os.close(self._ours)
        return code
