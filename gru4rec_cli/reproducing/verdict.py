"""The verdict on a row: if what was printed is what comes out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gru4rec_cli.evaluation.metrics import HEADLINE

Word = Literal["reproduced", "not reproduced", "not comparable", "cannot decide", "not in the table"]

# Relative, beside the interval: the author of GRU4Rec prints three values of MRR@20 for the same settings on
# RetailRocket, .2131, .2164 and .2175, and two on Diginetica, .1500 and .1542.
TOLERANCE = {HEADLINE: 0.01}
_OTHER_METRICS = 0.03
_SEEDS_DIFFER = 0.05  # relative: what another seed may change
_FEWEST_SEEDS = 3
_TOO_WIDE = 0.1  # half of the interval, relative to the value


class Value(NamedTuple):
    """Our value of a metric, with its interval over sessions, and the values of all seeds.

    Without an interval both of its ends are the value.
    """

    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()


class Verdict(NamedTuple):
    """The verdict, and why."""

    word: Word
    reason: str


def verdict(figures: Mapping[str, float], ours: Mapping[str, Value], *, random: bool, difference: str = "") -> Verdict:
    """Return the verdict on a row.

    Args:
        figures: printed values by metric, such as recall@20.
        ours: our values by metric.
        random: the model depends on its seed.
        difference: the first difference of data or counts from what was published; empty: none is known.
    """
    if not figures:
        return Verdict("not in the table", "the source has no such row")
    if difference:
        return Verdict("not comparable", difference)
    distances = {name: _distance(name, figures[name], ours[name]) for name in figures}
    if not any(distances.values()):
        return Verdict("reproduced", "every figure is within the interval and the tolerance")
    worst = max(distances, key=lambda name: distances[name])
    value, printed = ours[worst], figures[worst]
    change = f" ({100 * (printed / value.value - 1):+.0f} %)" if value.value else ""
    said = f"{worst}: printed {printed:.4f}, found {value.value:.4f}{change}"
    if value.high - value.low > 2 * _TOO_WIDE * value.value:
        return Verdict("cannot decide", f"{said}; the interval is too wide for a decision")
    few = random and len(value.seeds) < _FEWEST_SEEDS
    if few and distances[worst] <= _SEEDS_DIFFER:
        return Verdict("cannot decide", f"{said}; another seed may make this difference: run {_FEWEST_SEEDS} seeds")
    return Verdict("not reproduced", said)


def _distance(name: str, printed: float, ours: Value) -> float:
    """Return how far a printed value is from the interval and the seeds, relative to ours; 0 within the tolerance."""
    low, high = min(ours.low, *ours.seeds, ours.value), max(ours.high, *ours.seeds, ours.value)
    outside = max(low - printed, printed - high, 0.0) / ours.value if ours.value else float(printed != 0)
    tolerance = TOLERANCE.get(name.partition("@")[0], _OTHER_METRICS)
    return outside if outside > tolerance else 0.0


def settings_difference(stated: Mapping[str, Any], used: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return a row for every setting of a model: name, what the source states, what is used, and same or differs."""
    rows = []
    for name, value in used.items():
        if name not in stated:
            rows.append((name, "–", _shown(value), "not stated"))
        else:
            same = _shown(stated[name]) == _shown(value)
            rows.append((name, _shown(stated[name]), _shown(value), "same" if same else "differs"))
    return rows


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def first_difference(published: Mapping[str, int | None], found: Mapping[str, int]) -> str:
    """Return the first count that differs from the published one, in words; empty where none does."""
    for name, count in published.items():
        if count is not None and found[name] != count:
            return f"{found[name]:,} {name.replace('_', ' ')} in place of {count:,}"
    return ""
