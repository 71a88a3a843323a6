"""How progress is shown: bars on a terminal, plain lines without one.

Neither a rate nor a time left counts compiling: clocks stand still meanwhile, and a line of its own tells of it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from gru4rec_cli.base import compile_clock

_REFRESH = 0.1  # seconds between updates of a bar
_LINE_EVERY = 10.0  # seconds between lines without a terminal
_SHORT = 2.0  # seconds; shorter work leaves no line behind


class _Counter:
    """Counts a task's units, and calls `show` every `interval` seconds at most."""

    def __init__(self, total: float | None, unit: str, interval: float, show: "Callable[[_Counter], None]") -> None:
        self.total, self.unit, self.interval = total, unit, interval
        self.show = show
        self.done = self.earlier = 0.0  # units; of those done, some are of an earlier run
        self.started = self.shown = _seconds()
        self.status: dict[str, object] = {}
        self.leaves_line = True

    def advance(self, amount: float = 1, **status: object) -> None:
        """Count units; see `base.progress.Task`."""
        self.done += amount
        self.status = status
        if _seconds() - self.shown >= self.interval:
            self.shown = _seconds()
            self.show(self)

    def count_earlier(self, amount: float = 1, **status: object) -> None:
        """Count units of an earlier run; see `base.progress.Task`."""
        self.earlier += amount
        self.advance(amount, **status)

    def leave_no_line(self) -> None:
        """Leave nothing behind; see `base.progress.Task`."""
        self.leaves_line = False

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning, without those of compiling."""
        return _seconds() - self.started

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at the rate of this run, None where it has none yet."""
        counted = self.done - self.earlier
        return self.elapsed * max(0.0, self.total - self.done) / counted if self.total and counted else None

    def clock(self) -> str:
        """Return the time left, or the time taken where that is not known, such as `0:07 left`."""
        return _minutes(self.elapsed) if self.left is None else f"{_minutes(self.left)} left"

    def line(self) -> str:
        """Return rate and status, such as `3,104 events/s, loss 5.12`."""
        rate = (self.done - self.earlier) / max(self.elapsed, 1e-9)
        parts = [f"{rate:,.0f} {self.unit}/s"] if self.unit and rate >= 1 else []
        return ", ".join([*parts, *(f"{key} {value}" for key, value in self.status.items())])


def _seconds() -> float:
    return time.monotonic() - compile_clock.seconds()


class BarProgress:
    """Shows tasks on a terminal, inner ones below outer ones."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars, self._depth = bars, 0
        self._compiled, self._compiling = 0, TaskID(-1)

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[_Counter]:
        """Open a task; see `base.progress.Progress`."""

        def show(counter: _Counter) -> None:
            counts = f"{counter.done:,.0f}/{total:,.0f} " if total else ""
            self._bars.update(identity, completed=counter.done, status=counts + counter.line())

        counter = _Counter(total, unit, _REFRESH, show)
        identity = self._add("  " * self._depth + description, total, counter.clock)
        self._depth += 1
        try:
            yield counter
        finally:
            self._depth -= 1
            self._bars.remove_task(identity)

    def note(self, text: str) -> None:
        """Leave a line above the bars.

        Rich computes what is to be erased before it writes. Without its lock, its thread draws bars in between, and
        lines stay or are lost.
        """
        with self._bars.live._lock:
            self._bars.console.print(Text(text))

    def compiling(self, loop: str) -> None:
        """Show that a loop is compiled; see `base.compile_clock.Listener`."""
        if not loop:
            self._bars.remove_task(self._compiling)
            return
        self._compiled += 1
        began = time.monotonic()
        self._compiling = self._add("compiling loops, once", None, lambda: _minutes(time.monotonic() - began))
        self._bars.update(self._compiling, status=f"number {self._compiled}: {loop.strip('_')}")

    def _add(self, description: str, total: float | None, clock: Callable[[], str]) -> TaskID:
        return self._bars.add_task(description, total=total, status="", clock=clock)


class LineProgress:
    """Shows tasks as lines, given to `say`, where there is no terminal."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._compiled, self._said = 0, time.monotonic()
        self._open: list[_Counter] = []  # tasks, an inner one after its outer one

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[_Counter]:
        """Open a task; see `base.progress.Progress`."""

        def show(counter: _Counter) -> None:
            share = f"{100 * counter.done / total:.0f} %, " if total else ""
            left = "" if counter.left is None else f", {counter.left:.0f} s left"
            self._say(f"{description}: {share}{counter.line()}{left}")

        counter = _Counter(total, unit, _LINE_EVERY, show)
        with self._tell_of_silence(description, counter):
            yield counter
        if counter.leaves_line and counter.elapsed >= _SHORT:
            rate = counter.line()
            self._say(f"{description}: done in {counter.elapsed:.1f} s" + (f" ({rate})" if rate else ""))

    @contextmanager
    def _tell_of_silence(self, description: str, counter: _Counter) -> Iterator[None]:
        """Say that the innermost task is under way where nothing of it is counted, such as with long training steps."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_LINE_EVERY) and counter.done == counter.earlier:
                if self._open[-1] is counter and counter.elapsed >= _LINE_EVERY:  # compiling has lines of its own
                    self._say(f"{description}: under way for {counter.elapsed:.0f} s")

        self._open.append(counter)
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            self._open.remove(counter)

    def note(self, text: str) -> None:
        """Leave a line."""
        self._say(text)

    def compiling(self, loop: str) -> None:
        """Tell now and then which loop is compiled; see `base.compile_clock.Listener`."""
        self._compiled += bool(loop)
        if loop and time.monotonic() - self._said >= _LINE_EVERY:
            self._said = time.monotonic()
            self._say(f"compiling loops, once: number {self._compiled}, {loop.strip('_')}")


class _Clock(ProgressColumn):
    """The time left, or the time taken where the amount of work is not known."""

    def render(self, task: RichTask) -> Text:
        return Text(task.fields["clock"](), style="progress.remaining")


def new_bars(console: Console) -> RichProgress:
    """Return bars that leave nothing behind."""
    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[status]}", markup=False),
        _Clock(Column(no_wrap=True)),
        console=console,
        transient=True,
    )


@contextmanager
def compiling_shown(progress: BarProgress | LineProgress) -> Iterator[None]:
    """Show what is compiled inside, and in the end how long that took."""
    n_loops, before = 0, compile_clock.seconds()

    def tell(loop: str) -> None:
        nonlocal n_loops
        n_loops += bool(loop)
        progress.compiling(loop)

    with compile_clock.listening(tell):
        yield
    if n_loops:
        loops = f"{n_loops} loop{'' if n_loops == 1 else 's'}"
        progress.note(f"compiled {loops} in {compile_clock.seconds() - before:.1f} s, which no other time contains")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
