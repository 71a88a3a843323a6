"""Event types that are asked for and that no event has."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from gru4rec_cli.data.quality.finding import Finding

UNKNOWN_TYPE = "unknown-event-type"

_SHOWN = 10


def unknown_types(wanted: Iterable[str], kinds: Mapping[str, int], where: str) -> list[Finding]:
    """Return a finding for each event type in `wanted` that is not among those of the log.

    Args:
        wanted: event types to keep.
        kinds: the event types of the log, with their numbers of events.
        where: the file, for messages.
    """
    return [
        Finding(
            UNKNOWN_TYPE,
            f"{where}: no event is of type {kind!r}; {listed_types(kinds)}",
            f"{nearest_types([kind], kinds)}correct or remove it in data.events",
            kind,
        )
        for kind in wanted
        if kind not in kinds
    ]


def listed_types(kinds: Mapping[str, int]) -> str:
    """Return the event types of a log with their numbers of events, the most frequent ones first, as a clause."""
    ordered = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{kind[:40]!r} ({count:,})" for kind, count in ordered[:_SHOWN])
    others = f" and {len(ordered) - _SHOWN:,} others" if len(ordered) > _SHOWN else ""
    return f"its event types are {shown}{others}"


def nearest_types(wanted: Iterable[str], kinds: Mapping[str, int]) -> str:
    """Return a question that names the event types written most like those in `wanted`; empty if none is."""
    by_lower = {kind.strip().lower(): kind for kind in kinds}
    close = [match for kind in wanted for match in get_close_matches(kind.strip().lower(), by_lower, n=1, cutoff=0.5)]
    names = " or ".join(repr(by_lower[match]) for match in dict.fromkeys(close))
    return f"did you mean {names}? " if names else ""
