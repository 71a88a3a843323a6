"""The history of every event: the clicks of its session before it."""

from collections.abc import Iterator
from typing import NamedTuple

from gru4rec_cli.base.arrays import Int32Array, Int64Array
from gru4rec_cli.data.sessions import Sessions


class Histories(NamedTuple):
    """Histories of consecutive events: rows `first[event]` to `last[event]` of `items`, both included."""

    items: Int32Array  # (clicks,) item indices; negative ones are unknown and passed over
    first: Int64Array  # (events,)
    last: Int64Array  # (events,)

    @classmethod
    def of(cls, sessions: Sessions) -> "Histories":
        """Return the histories of all events of `sessions`, in event order."""
        return cls(sessions.items, sessions.offsets[sessions.event_sessions()], sessions.input_rows())

    def blocks(self, size: int) -> Iterator[tuple[int, "Histories"]]:
        """Yield the histories of `size` events at a time, with the number of the first event."""
        for start in range(0, len(self.last), size):
            events = slice(start, start + size)
            yield start, Histories(self.items, self.first[events], self.last[events])
