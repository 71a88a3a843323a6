"""Click logs from a planted process, so that the best possible ranking is known.

Every session has a hidden interest k. Its first click is drawn from the popularity p; every next one from p without
the current item (with probability `noise`), otherwise from the interest's own transitions T_k. All interests share p as
their stationary distribution, so a single click says nothing about the interest and a first-order model cannot use it;
a pair of clicks gives it away.

Construction of T_k: the items are arcs of lengths p on a circle of circumference 1, in random order. Moving the circle
by an offset u sends item i onto the items that its arc then covers, T[i, j] = |(arc_i + u) ∩ arc_j| / p_i. This keeps p
exactly (sum_i p_i T[i, j] = p_j), is sparse, and with p_max < u < 1 - p_max no item follows itself. T_k mixes
`successors` such moves at neighbouring offsets, and interests differ in the offset alone: items that are neighbours on
the circle behave alike, which is what a recurrent network can learn from few clicks per item.
"""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gru4rec_cli.base.arrays import AnyArray, Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.data.faults import LOG_FAULTS, SPLIT_FAULTS
from gru4rec_cli.data.memory import require_room
from gru4rec_cli.data.times import LATEST

MIN_SUPPORT = 5  # clicks of every item: what the default cleaning asks for
EXPECTED_SUPPORT = 32  # of the rarest item; a Poisson count of this mean is below MIN_SUPPORT once in 10^9
RARE = 1e-6  # accepted probability that there are fewer clicks in all than the popularity floor counts on
LARGEST_SHARE = 0.2  # of the most popular item; the rest of the circle holds the offsets
PEAK_HOUR = 20
DAY = 86_400_000  # milliseconds
_BYTES_PER_CLICK = 40  # at least
SLIVER = 1e-14  # overlaps this short are rounding


class SynthSettings(Settings):
    """Size and shape of the log that `synth` generates."""

    sessions: int = Field(20_000, ge=1, le=1_000_000_000, description="number of sessions")
    items: int = Field(2_000, ge=2, le=10_000_000, description="number of items; each is clicked at least once")
    interests: int = Field(
        5, ge=1, le=10_000_000, description="number of hidden interests, all equally likely; each session has one"
    )
    successors: int = Field(
        10, ge=1, le=10_000_000, description="number of items that follow a rare item under one interest, about"
    )
    noise: float = Field(0.15, ge=0, le=1, description="probability that a click follows popularity, not the interest")
    zipf_exponent: float = Field(0.8, ge=0, le=3, description="popularity of the r-th item falls as r^-zipf_exponent")
    length_distribution: Literal["power-law", "log-normal"] = Field(
        "power-law", description="distribution of the session lengths"
    )
    length_exponent: float = Field(2.0, ge=0, le=10, description="power-law: P(length) is proportional to length^-this")
    length_median: float = Field(4.0, gt=0, description="log-normal: median length before truncation, in clicks")
    length_sigma: float = Field(0.8, gt=0, le=5, description="log-normal: standard deviation of the log of the length")
    min_length: int = Field(2, ge=2, description="shortest session, in clicks")
    max_length: int = Field(50, ge=2, le=10_000, description="longest session, in clicks")
    days: int = Field(14, ge=1, le=36_500, description="sessions start within this many days")
    start: str = Field("2024-01-01", description="first day, ISO 8601; UTC unless it has an offset")
    daily_rhythm: float = Field(
        0.6, ge=0, le=1, description="variation of session starts over the day, as a share; peak at 20 h"
    )
    think_time_median: float = Field(40.0, ge=1, le=86_400, description="median time between clicks, in seconds")
    think_time_sigma: float = Field(1.0, ge=0, le=3, description="standard deviation of the log of the think time")

    faults: tuple[str, ...] = Field(
        (),
        description="faults to plant, in this order, to see what each does to the results; docs/audit.md lists them; "
        "one of a split divides the log itself, with the last 15 % of the time as the test",
    )

    @field_validator("faults")
    @classmethod
    def _known_faults(cls, faults: tuple[str, ...]) -> tuple[str, ...]:
        known = [*LOG_FAULTS, *SPLIT_FAULTS]
        for name in faults:
            if name not in known:
                near = get_close_matches(name, known, 1, 0.4)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"unknown fault {name!r}; {hint}the faults are {', '.join(known)}")
        return faults

    @field_validator("start", mode="before")
    @classmethod
    def _accept_dates(cls, value: object) -> object:
        """YAML reads an unquoted 2024-01-01 as a date."""
        return value.isoformat() if isinstance(value, date) else value

    @field_validator("start")
    @classmethod
    def _check_start(cls, value: str) -> str:
        try:
            begin = 1000 * _milliseconds(value)
        except (ValueError, OverflowError):
            raise ValueError(f"{value!r} is not an ISO 8601 time, like 2024-01-01 or 2024-01-01T06:00+02:00") from None
        if not 0 <= begin <= LATEST:
            raise ValueError(f"{value!r} is not a time between 1970 and 2200")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.max_length < self.min_length:
            raise ValueError(f"max_length ({self.max_length}) is below min_length ({self.min_length})")
        idle = {"power-law": ["length_median", "length_sigma"], "log-normal": ["length_exponent"]}
        for name in idle[self.length_distribution]:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no effect while length_distribution is {self.length_distribution}")
        clicks, needed = certain_clicks(self), EXPECTED_SUPPORT * self.items
        if clicks < needed:
            raise ValueError(
                f"sessions ({self.sessions:,}) are too few for items ({self.items:,}): only {clicks:,.0f} clicks are "
                f"certain, but {needed:,} are needed for every item to be clicked at least {MIN_SUPPORT} times; "
                f"raise sessions to {_sessions_for(needed, self):,} or lower items"
            )
        largest = float(popularity_by_rank(self)[0])
        if largest > LARGEST_SHARE:
            raise ValueError(
                f"the most popular item would get {largest:.0%} of the clicks, but at most {LARGEST_SHARE:.0%} is "
                "possible; lower zipf_exponent or raise items"
            )
        if self.interests * self.successors > (1 - 2 * largest) * self.items:
            raise ValueError(
                f"interests ({self.interests}) times successors ({self.successors}) do not fit into items "
                f"({self.items:,}) without overlap; lower interests or successors, or raise items"
            )
        return self


@dataclass(frozen=True, eq=False)
class PlantedProcess:
    """The process behind the clicks. Row k V + i of the stacked sparse matrices holds T_k[i, ·], columns ascending."""

    item_ids: Int64Array  # (V,) ascending
    popularity: Float64Array  # (V,) sums to 1
    prior: Float64Array  # (K,) of the interests
    noise: float
    row_starts: Int64Array  # (K V + 1,)
    successors: Int32Array  # (nnz,) index of the next item
    probabilities: Float64Array  # (nnz,)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    @property
    def n_interests(self) -> int:
        return len(self.prior)

    @cached_property
    def _keys(self) -> Int64Array:
        """Row and column of every non-zero as one ascending number, shape (nnz,)."""
        rows = np.repeat(np.arange(len(self.row_starts) - 1), np.diff(self.row_starts))
        return rows * self.n_items + self.successors

    def interest_probabilities(self, items: AnyArray, next_items: AnyArray) -> Float64Array:
        """Return T_k[i, j] for n pairs of item indices, shape (n, K)."""
        rows = np.arange(self.n_interests) * self.n_items + items.astype(np.int64)[:, None]
        keys = rows * self.n_items + next_items.astype(np.int64)[:, None]
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[found] == keys, self.probabilities[found], 0.0)

    def click_probabilities(self, items: AnyArray, next_items: AnyArray) -> Float64Array:
        """Return P_k(j | i), noise included, for n pairs of item indices, shape (n, K)."""
        chance = np.where(items != next_items, self.popularity[next_items] / (1 - self.popularity[items]), 0.0)
        return (1 - self.noise) * self.interest_probabilities(items, next_items) + self.noise * chance[:, None]

    def save(self, path: Path) -> None:
        """Write the process as safetensors: the same process, the same bytes."""
        arrays = {**vars(self), "noise": np.array([self.noise])}
        save_file({name: np.ascontiguousarray(arrays[name]) for name in self.__dataclass_fields__}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the process that `save` wrote. Raises `StageError` where the file is not one."""
        try:
            arrays: dict[str, Any] = load_file(path)
            return cls(**{**arrays, "noise": float(arrays["noise"][0])})
        except (SafetensorError, KeyError, TypeError) as error:
            raise StageError(f"{path} is not a planted process: {error}", "run synth again") from error


def generate(settings: SynthSettings, seed: int, progress: Progress = SILENT) -> tuple[pl.DataFrame, PlantedProcess]:
    """Generate a click log, sorted by time, then session, and the process behind it; the same seed gives the same log.

    The frame holds SESSION (from 1, by start time), ITEM (from 1, in no order) and TIME (microseconds), all int64.
    Raises `UsageError` where an item got fewer than MIN_SUPPORT clicks, which valid settings make very unlikely.
    """
    lengths, share = length_distribution(settings)
    clicks = settings.sessions * float(share @ lengths)
    require_room(int(_BYTES_PER_CLICK * clicks), f"synth.sessions: {settings.sessions:,}", "lower synth.sessions")
    successors = settings.items * settings.interests * settings.successors
    require_room(32 * successors, f"synth.items: {settings.items:,}", "lower synth.items, interests or successors")
    streams = [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(4)]
    process = plant(settings, streams[0])
    lengths = draw_lengths(settings, streams[1])
    items = draw_items(process, lengths, streams[2], progress)
    supports = np.bincount(items, minlength=settings.items)
    if supports.min() < MIN_SUPPORT:
        rarest = f"item {process.item_ids[supports.argmin()]} was clicked {supports.min()} times with seed {seed}"
        message = f"synth: {rarest}, and cleaning would drop items with fewer than {MIN_SUPPORT} clicks"
        raise UsageError(message, "raise sessions, lower items, or take another seed")
    times = draw_times(settings, lengths, streams[3])
    order = np.argsort(times, kind="stable")  # stable: at equal times, sessions stay in the order of their ids
    sessions = np.repeat(np.arange(1, settings.sessions + 1), lengths)
    return pl.DataFrame({SESSION: sessions[order], ITEM: process.item_ids[items[order]], TIME: times[order]}), process


def plant(settings: SynthSettings, random: np.random.Generator) -> PlantedProcess:
    """Draw the process: the popularity of every item, the order on the circle, the offset of every interest."""
    popularity = random.permutation(popularity_by_rank(settings))
    circle = random.permutation(settings.items)
    step = 1 / settings.items
    largest = popularity.max()
    slot = (1 - 2 * largest) / settings.interests  # one an interest, so that no two share offsets
    spare = max(0.0, slot - settings.successors * step)
    offsets = largest + slot * np.arange(settings.interests) + step / 2 + spare * random.random(settings.interests)
    moves = step * np.arange(settings.successors)
    rows, columns, values = zip(*(shift_transitions(popularity, circle, u + moves) for u in offsets), strict=True)
    stacked = np.concatenate([row + k * settings.items for k, row in enumerate(rows)])
    counts = np.bincount(stacked, minlength=settings.interests * settings.items)
    return PlantedProcess(
        item_ids=np.arange(1, settings.items + 1),
        popularity=popularity,
        prior=np.full(settings.interests, 1 / settings.interests),
        noise=settings.noise,
        row_starts=np.concatenate([[0], np.cumsum(counts)]),
        successors=np.concatenate(columns).astype(np.int32),
        probabilities=np.concatenate(values),
    )


def shift_transitions(
    popularity: Float64Array, circle: Int64Array, offsets: Float64Array
) -> tuple[Int64Array, Int64Array, Float64Array]:
    """Return row, column and value (nnz,) of the equal mixture of the moves by `offsets`, in row, then column order.

    `popularity` (V,) by item index, `circle` (V,) the item indices in circle order, `offsets` in [p_max, 1 - p_max].
    """
    n_items = len(popularity)
    edges = np.concatenate([[0.0], np.cumsum(popularity[circle])[:-1]])  # (V,) where the arcs begin
    keys, overlaps = [], []
    for offset in offsets:
        points = np.sort(np.concatenate([edges, (edges + offset) % 1]))
        lengths = np.diff(points, append=1.0)
        points, lengths = points[lengths > SLIVER], lengths[lengths > SLIVER]
        middles = points + lengths / 2
        source = circle[np.searchsorted(edges, (middles - offset) % 1, side="right") - 1]
        target = circle[np.searchsorted(edges, middles, side="right") - 1]
        keys.append(source * n_items + target)
        overlaps.append(lengths)
    distinct, position = np.unique(np.concatenate(keys), return_inverse=True)
    weights = np.bincount(position, weights=np.concatenate(overlaps))
    rows, columns = np.divmod(distinct, n_items)
    return rows, columns, weights / np.bincount(rows, weights=weights, minlength=n_items)[rows]


def draw_items(
    process: PlantedProcess, lengths: Int64Array, random: np.random.Generator, progress: Progress = SILENT
) -> Int32Array:
    """Draw the clicks of all sessions as item indices, session after session, shape (sum of lengths,)."""
    n_items, n_interests = process.n_items, process.n_interests
    popular = np.cumsum(process.popularity)
    rows = np.repeat(np.arange(n_interests * n_items), np.diff(process.row_starts))
    running = np.cumsum(process.probabilities)
    before = np.concatenate([[0.0], running])[process.row_starts[:-1]]
    cumulative = rows + (running - before[rows])  # row r ends at r + 1
    longest = np.argsort(-lengths, kind="stable")
    place = (np.cumsum(lengths) - lengths)[longest]  # of the first click of every session
    clicks = np.empty(int(lengths.sum()), dtype=np.int32)
    interest = random.choice(n_interests, size=len(lengths), p=process.prior)
    current = np.minimum(np.searchsorted(popular, random.random(len(lengths)), side="right"), n_items - 1)
    clicks[place] = current
    longer = len(lengths) - np.cumsum(np.bincount(lengths))  # [n]: how many sessions have more than n clicks
    with progress.task("Generating clicks", total=len(clicks), unit="clicks") as task:
        task.advance(len(lengths))
        for step in range(1, int(lengths.max())):
            active = int(longer[step])
            current, interest = current[:active], interest[:active]
            row = interest * n_items + current
            follow = np.searchsorted(cumulative, row + random.random(active), side="right")
            follow = np.clip(follow, process.row_starts[row], process.row_starts[row + 1] - 1)
            chance = _popular_but(current, process.popularity, popular, random.random(active))
            noisy = random.random(active) < process.noise
            current = np.where(noisy, chance, process.successors[follow])
            clicks[place[:active] + step] = current
            task.advance(active)
    return clicks


def _popular_but(current: Int64Array, popularity: Float64Array, popular: Float64Array, u: Float64Array) -> Int64Array:
    """An item from the popularity without the current one, for every u in [0, 1)."""
    target = u * (1 - popularity[current])
    target += np.where(target >= popular[current] - popularity[current], popularity[current], 0.0)
    chosen = np.minimum(np.searchsorted(popular, target, side="right"), len(popular) - 1)
    return np.where(chosen == current, (chosen + 1) % len(popular), chosen)  # equal by rounding only


def draw_times(settings: SynthSettings, lengths: Int64Array, random: np.random.Generator) -> Int64Array:
    """Draw the time of every click in microseconds, session after session by start, shape (sum of lengths,)."""
    grid = np.linspace(0, 1, 1441)  # of the day; the share of starts up to then follows from 1 + rhythm cos(...)
    turn, peak = 2 * np.pi, PEAK_HOUR / 24
    share = grid + settings.daily_rhythm / turn * (np.sin(turn * (grid - peak)) + np.sin(turn * peak))
    of_day = np.interp(random.random(len(lengths)), share, grid)
    days = random.integers(settings.days, size=len(lengths))
    starts = np.sort(days * DAY + np.floor(of_day * DAY).astype(np.int64)) + _milliseconds(settings.start)
    think = random.standard_normal(int(lengths.sum()))
    seconds = settings.think_time_median * np.exp(settings.think_time_sigma * think)
    longest = settings.think_time_median * math.exp(settings.think_time_sigma * float(think.max(initial=0.0)))
    if (starts[-1] + 1000 * longest * settings.max_length) * 1000 > LATEST:
        raise UsageError(
            "synth: with these think times, sessions may last until after the year 2200",
            "lower synth.think_time_median, think_time_sigma or max_length, or set an earlier synth.start",
        )
    passed = np.maximum(1000, np.rint(1000 * seconds)).astype(np.int64)
    first = np.cumsum(lengths) - lengths
    passed[first] = 0
    passed = np.cumsum(passed)
    times: Int64Array = 1000 * (passed + np.repeat(starts - passed[first], lengths))
    return times


def draw_lengths(settings: SynthSettings, random: np.random.Generator) -> Int64Array:
    """Draw the number of clicks of every session, shape (sessions,)."""
    lengths, share = length_distribution(settings)
    return lengths[np.minimum(np.searchsorted(np.cumsum(share), random.random(settings.sessions)), len(lengths) - 1)]


def length_distribution(settings: SynthSettings) -> tuple[Int64Array, Float64Array]:
    """Return the possible session lengths and their probabilities, both of shape (max_length - min_length + 1,)."""
    lengths = np.arange(settings.min_length, settings.max_length + 1)
    if settings.length_distribution == "power-law":
        weights = (lengths / settings.min_length) ** -settings.length_exponent
    else:
        edges = np.append(lengths, settings.max_length + 1) - 0.5
        scaled = np.log(edges / settings.length_median) / (settings.length_sigma * math.sqrt(2))
        weights = -np.diff([math.erfc(edge) for edge in scaled])
        if not weights.sum() > 0:
            raise ValueError("length_median and length_sigma leave no session between min_length and max_length")
    return lengths, weights / weights.sum()


def certain_clicks(settings: SynthSettings) -> float:
    """Return a number of clicks that the log has except with probability RARE (tail bound of a positive sum)."""
    lengths, share = length_distribution(settings)
    spread = math.sqrt(2 * math.log(1 / RARE) * settings.sessions * float(share @ lengths**2))
    return max(settings.sessions * settings.min_length, settings.sessions * float(share @ lengths) - spread)


def _sessions_for(clicks: float, settings: SynthSettings) -> int:
    """Return the smallest number of sessions with which so many clicks are certain: where n m - s √n = clicks."""
    lengths, share = length_distribution(settings)
    mean, spread = float(share @ lengths), math.sqrt(2 * math.log(1 / RARE) * float(share @ lengths**2))
    by_mean = ((spread + math.sqrt(spread**2 + 4 * mean * clicks)) / (2 * mean)) ** 2
    return math.ceil(min(by_mean * (1 + 1e-9), clicks / settings.min_length))


def popularity_by_rank(settings: SynthSettings) -> Float64Array:
    """Return the probability of the r-th most popular item, shape (V,): Zipf's law above a floor; no item is rare."""
    zipf = np.arange(1.0, settings.items + 1) ** -settings.zipf_exponent
    floor = EXPECTED_SUPPORT / certain_clicks(settings)
    popularity: Float64Array = floor + (1 - settings.items * floor) * zipf / zipf.sum()
    popularity /= popularity.sum()
    return popularity


def _milliseconds(start: str) -> int:
    """Milliseconds from 1970 to an ISO 8601 time."""
    moment = datetime.fromisoformat(start)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
