"""The sessions that a server keeps: the clicks of each, for a time and up to a number, on disk if asked for."""

import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from gru4rec_cli.base.errors import DataError

Item = int | str

_log = logging.getLogger(__name__)

_TABLE = """
CREATE TABLE IF NOT EXISTS clicks (session TEXT NOT NULL, number INTEGER NOT NULL, item, time REAL NOT NULL,
PRIMARY KEY (session, number)) WITHOUT ROWID
"""


class KeptSession:
    """The clicks of one session, as item ids."""

    __slots__ = ("clicks", "used")

    def __init__(self, clicks: list[Item], used: float) -> None:
        self.clicks = clicks
        self.used = used  # time of the last click, seconds since 1970


class SessionStore:
    """Sessions by id, the one that was used last at the end. Not safe for use by several threads at a time.

    A session is forgotten `time_to_live` seconds after its last click, and before that if there are more than `most`:
    then the one goes whose last click is longest ago. `forgotten` is told the id of each.
    """

    def __init__(
        self,
        time_to_live: float,
        most: int,
        disk: "Disk | None" = None,
        forgotten: Callable[[str], None] = lambda session: None,
    ) -> None:
        self.time_to_live = time_to_live
        self.most = most
        self.forgotten = forgotten
        self.expired = 0  # sessions that were forgotten because of their age
        self.evicted = 0  # because of the number
        self._disk = disk
        self._kept: OrderedDict[str, KeptSession] = OrderedDict()
        if disk is not None:
            for session, clicks, used in disk.read():
                self._kept[session] = KeptSession(clicks, used)
            self.clean()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, session: str) -> KeptSession | None:
        """Return what is kept of a session, if it is; this is no use of it."""
        self.clean()
        return self._kept.get(session)

    def keep(self, session: str, clicks: list[Item]) -> None:
        """Keep the clicks of a session: those that are kept already, if any, and one more."""
        now = time.time()
        kept = self._kept.get(session)
        if self._disk is not None:
            for number in range(len(clicks) - 1 if kept else 0, len(clicks)):
                self._disk.add(session, number, clicks[number], now)
        if kept is None:
            self._kept[session] = KeptSession(clicks, now)
        else:
            kept.clicks, kept.used = clicks, now
            self._kept.move_to_end(session)
        self.clean()

    def forget(self, session: str) -> bool:
        """Forget a session; return whether it was kept."""
        known = self._kept.pop(session, None) is not None
        if known:
            self._tell(session)
        return known

    def clean(self) -> None:
        """Forget what is too old or too much."""
        oldest = time.time() - self.time_to_live
        while self._kept:
            session, kept = next(iter(self._kept.items()))
            if kept.used < oldest:
                self.expired += 1
            elif len(self._kept) > self.most:
                self.evicted += 1
            else:
                return
            del self._kept[session]
            self._tell(session)

    def write(self) -> None:
        """Hand what changed over to the disk, if sessions are kept there."""
        if self._disk is not None:
            self._disk.write()

    def close(self) -> None:
        """Write, and close the file."""
        if self._disk is not None:
            self._disk.close()

    def _tell(self, session: str) -> None:
        self.forgotten(session)
        if self._disk is not None:
            self._disk.forget(session)


class Disk:
    """The clicks of sessions in an SQLite file, so that they outlive the process, also one that is killed.

    A failure, such as a full disk, is logged once and counted, and does not stop the server: what could not be written
    is lost if the process ends.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            DataError: it cannot be opened, or is something else.
        """
        self.failures = 0
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=OFF")  # a killed process loses nothing; a power cut may
            self._database.execute(_TABLE)
            self._database.execute("SELECT session, number, item, time FROM clicks LIMIT 1").fetchall()
        except sqlite3.Error as error:
            raise DataError(
                f"{path}: sessions cannot be kept there: {error}", "name a new file, or one that `serve` made"
            ) from error
        self._changes: list[tuple[str, tuple[object, ...]]] = []

    def read(self) -> list[tuple[str, list[Item], float]]:
        """Return all sessions with their clicks and the time of the last one, that of the last click last."""
        sessions: dict[str, list[Item]] = {}
        last: dict[str, float] = {}
        rows = self._database.execute("SELECT session, item, time FROM clicks ORDER BY session, number")
        for session, item, when in rows:
            sessions.setdefault(session, []).append(item)
            last[session] = when
        return [(session, sessions[session], last[session]) for session in sorted(last, key=last.__getitem__)]

    def add(self, session: str, number: int, item: Item, when: float) -> None:
        """Note a click, number `number` of its session, from 0."""
        self._changes.append(("INSERT OR REPLACE INTO clicks VALUES (?, ?, ?, ?)", (session, number, item, when)))

    def forget(self, session: str) -> None:
        """Note that a session is forgotten."""
        self._changes.append(("DELETE FROM clicks WHERE session = ?", (session,)))

    def write(self) -> None:
        """Write what was noted, all of it or, if that fails, nothing."""
        if not self._changes:
            return
        changes, self._changes = self._changes, []
        try:
            self._database.execute("BEGIN")
            for statement, values in changes:
                self._database.execute(statement, values)
            self._database.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self.failures += 1
            if self.failures == 1:
                _log.warning("sessions cannot be written to disk, and go on in memory alone: %s", error)

    def close(self) -> None:
        """Write, and close the file."""
        self.write()
        self._database.close()
