"""Sessions in pickles, as the preprocessing of SR-GNN writes them (`train.txt`, `test.txt`, `all_train_seq.txt`).

A pickle is a program, which may call any function. Here only lists, tuples, numbers and texts are built.
"""

import pickle
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.eventfile import FileCounts, FileEvents
from gru4rec_cli.data.memory import Room
from gru4rec_cli.data.times import MICROSECONDS_PER_SECOND

_SAFE = [
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK,
    pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS,
    pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
    pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG, pickle.LONG1,
    pickle.FLOAT, pickle.BINFLOAT,
    pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE,
    pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING,
    pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GET, pickle.BINGET, pickle.LONG_BINGET,
]  # fmt: skip
_SMALLEST = 2**63
_HINT = "write it again as lists of lists of plain integers or texts; numpy's numbers, for instance, are classes"


class _PlainUnpickler(pickle._Unpickler):
    """The unpickler written in Python, of which only the safe instructions are left.

    The one in C could not be limited so, and a few bytes can make it reserve all memory.
    """

    dispatch: ClassVar[dict[int, Any]] = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in _SAFE}

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is a class or a function")


@dataclass(frozen=True)
class PickledSessions:
    """A pickle of sessions (lists of items), or of a pair: their beginnings, longest first, and the next items."""

    path: Path

    def read(self, room: Room) -> FileEvents:
        """Return SESSION, ITEM, TIME: sessions numbered from 0, and the number of the event, from 0, as seconds.

        Raises:
            DataError: the pickle holds something else, or is damaged.
            UsageError: the events do not fit into memory.
        """
        room.take(self.path, 0)
        sessions = self._sessions(self._loaded())
        events = sum(map(len, sessions))
        room.take(self.path, events)
        if not events:
            raise DataError(f"{self.path}: holds no events", "is this the right file?")
        columns = {
            SESSION: np.repeat(np.arange(len(sessions)), np.fromiter(map(len, sessions), dtype=np.int64)),
            ITEM: self._items(sessions),
            TIME: np.arange(events, dtype=np.int64) * MICROSECONDS_PER_SECOND,
        }
        table = pl.DataFrame(columns)
        return FileEvents(table, FileCounts(events))

    def _loaded(self) -> Any:
        try:
            with self.path.open("rb") as stream:
                return _PlainUnpickler(stream, encoding="utf-8").load()
        except KeyError as error:
            what = f"instruction {bytes([error.args[0]])!r}" if isinstance(error.args[0], int) else "what is not there"
            raise DataError(f"{self.path}: the pickle is damaged, or holds more than lists ({what})", _HINT) from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})", "check its permissions") from None
        except Exception as error:
            raise DataError(f"{self.path}: not a whole pickle ({type(error).__name__}: {error})", _HINT) from None

    def _sessions(self, found: Any) -> list[list[Any]]:
        beginnings = found[0] if isinstance(found, list | tuple) and len(found) == 2 else None
        if beginnings and isinstance(beginnings, list | tuple) and isinstance(beginnings[0], list | tuple):
            return self._joined(*(self._list(part) for part in found))
        return [self._list(session) for session in self._list(found)]

    def _joined(self, beginnings: list[Any], targets: list[Any]) -> list[list[Any]]:
        """Whole sessions: the row (a, b, c), d of a session stands before (a, b), c and (a), b."""
        if len(beginnings) != len(targets):
            raise DataError(f"{self.path}: {len(beginnings)} sequences, but {len(targets)} next items", _HINT)
        sessions: list[list[Any]] = []
        expected: list[Any] = []  # with its next item, the beginning that continues the session
        for row, (given, target) in enumerate(zip(beginnings, targets, strict=True), start=1):
            beginning = self._list(given)
            whole = [*beginning, target]
            if not beginning or (expected and whole != expected):
                raise DataError(
                    f"{self.path}: row {row} does not continue the session before it",
                    "the rows of a session must follow each other, from all of its items down to the first two; "
                    "read all_train_seq.txt in place of a file in another order",
                )
            if not expected:
                sessions.append(whole)
            expected = beginning if len(beginning) > 1 else []
        if expected:
            raise DataError(f"{self.path}: the last session is cut off", "copy or download the file again")
        return sessions

    def _list(self, found: Any) -> list[Any]:
        if not isinstance(found, list | tuple):
            raise DataError(f"{self.path}: {str(found)[:40]!r} is not a list", _HINT)
        return list(found)

    def _items(self, sessions: list[list[Any]]) -> pl.Series:
        kinds = {type(item) for item in chain.from_iterable(sessions)}
        if kinds == {int}:
            least, most = (f(chain.from_iterable(sessions)) for f in (min, max))
            if least > -_SMALLEST and most < _SMALLEST:
                return pl.Series(list(chain.from_iterable(sessions)), dtype=pl.Int64)
        texts = [str(item) for item in chain.from_iterable(sessions)]
        if not kinds <= {int, str} or any(not text or "\n" in text or not _is_text(text) for text in texts):
            raise DataError(f"{self.path}: an item is neither an integer nor a text", _HINT)
        return pl.Series(texts, dtype=pl.String)


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
