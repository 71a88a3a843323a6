"""Search spaces: which values a setting may have, and the points of a model that a search tries."""

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeGuard
from zlib import crc32

import numpy as np
from pydantic import ValidationError

from gru4rec_cli.base.errors import nearest
from gru4rec_cli.base.yaml_loader import read_yaml
from gru4rec_cli.models import registry
from gru4rec_cli.models.registry import settings_of

Space = dict[str, Any]  # values by setting: a list, an interval, or multiples, as in the configuration
Entry = dict[str, Any]  # settings of a model as in the configuration, without its kind

_PUBLISHED = Path(__file__).with_name("spaces.yaml")
_INTERVAL = {"from", "to", "step", "scale"}
_MULTIPLES = "of_mean_session_length"
_SOME_LENGTH = 3.3  # clicks; a mean session length to check multiples with, before there are sessions
_MOST_STEPS = 1_000_000  # of an interval
_FIXED = ("validate_on", "patience", "device")  # settings that a search cannot have in a space
_TRIES = 1000  # draws for one point, before the space is called empty or used up
_PATIENCE = 3  # epochs without a better value after which a trial ends, where the settings do not say


@cache
def _published() -> dict[str, Any]:
    spaces: dict[str, Any] = read_yaml(_PUBLISHED)
    return spaces


def has_published_space(kind: str) -> bool:
    """Return whether a search space is published for a kind."""
    return kind in _published()


def published_space(kind: str, entry: Entry) -> Space:
    """Return the published space of a kind whose other settings are those of `entry`; empty where there is none."""
    space = dict(_published().get(kind, {}))
    settings = settings_of(kind, entry)
    for key, by_value in space.pop("when", {}).items():
        space |= by_value.get(getattr(settings, key), {})
    return space


def validated_entry(kind: str, entry: Entry, metric: str) -> Entry:
    """Return the settings of a model for tuning: its epoch is chosen by the metric, if it has epochs to choose from."""
    if "validate_on" not in registry.settings_class(kind).model_fields:
        return entry
    return {"patience": _PATIENCE, **entry, "validate_on": metric}


def has_multiples(space: Space) -> bool:
    """Return whether values of a space are multiples of the mean session length."""
    return any(_is_multiples(values) for values in space.values())


def with_mean_session_length(space: Space, length: float) -> Space:
    """Return a space with the values, four digits each, in place of multiples of the mean session length, in clicks."""
    return {
        key: [float(f"{multiple * length:.4g}") for multiple in values[_MULTIPLES]] if _is_multiples(values) else values
        for key, values in space.items()
    }


def _is_multiples(values: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(values, dict) and _MULTIPLES in values


def space_problems(kind: str, entry: Entry, space: object) -> list[tuple[str, str]]:
    """Return what is wrong with a space that was given for a model, as (key or nothing, message)."""
    if not isinstance(space, dict) or not space:
        return [("", "expected values by setting, such as {learning_rate: [0.05, 0.1]}, or null: the published space")]
    fields = [name for name in registry.settings_class(kind).model_fields if name not in _FIXED]
    problems: list[tuple[str, str]] = []
    for key, values in space.items():
        if key not in fields:
            known = f"{nearest(key, fields)}; known: {', '.join(fields)}"
            problems.append((str(key), f"{kind} has no such setting{known}"))
        elif message := _values_problem(kind, key, values):
            problems.append((key, message))
    if problems:
        return problems
    space = with_mean_session_length(space, _SOME_LENGTH)
    if next(points(kind, entry, space, 0, "", first=2), None) is None:
        reason = _reason(kind, {**entry, **_draw(space, np.random.default_rng(0))})
        return [
            ("", f"none of {_TRIES:,} combinations of these values is allowed or differs from the settings{reason}")
        ]
    return []


def _values_problem(kind: str, key: str, values: object) -> str:
    """Return what is wrong with the values of one setting, or an empty text."""
    if _is_multiples(values):
        if message := _multiples_problem(values):
            return message
        values = with_mean_session_length({key: values}, _SOME_LENGTH)[key]
    if isinstance(values, list):
        if not values:
            return "an empty list; give at least one value"
        if any(value in values[:place] for place, value in enumerate(values)):
            return f"a value is there twice: {json.dumps(values)}"
        tried = values
    elif isinstance(values, dict):
        if message := _interval_problem(values):
            return message
        tried = [values["from"], values["to"]]
    else:
        return f"expected a list of values, {{from, to, step}}, {{from, to, scale: log}}, or {{{_MULTIPLES}: […]}}"
    for value in tried:
        try:
            registry.settings_class(kind).model_validate_json(json.dumps({key: value}))
        except ValidationError as error:
            wrong = [detail["msg"] for detail in error.errors() if detail["loc"][:1] == (key,)]
            if wrong:
                return f"{json.dumps(value)} is no value of this setting: {wrong[0][0].lower()}{wrong[0][1:]}"
    return ""


def _multiples_problem(values: dict[Any, Any]) -> str:
    """Return what is wrong with multiples of the mean session length, or an empty text."""
    multiples = values[_MULTIPLES]
    if others := [str(key) for key in values if key != _MULTIPLES]:
        return f"{_MULTIPLES} goes with no other key; given too: {', '.join(others)}"
    if not isinstance(multiples, list) or not all(
        isinstance(each, int | float) and not isinstance(each, bool) and 0 < each < math.inf for each in multiples
    ):
        return f"{_MULTIPLES} needs a list of numbers above 0"
    return ""


def _interval_problem(interval: dict[Any, Any]) -> str:
    """Return what is wrong with an interval, or an empty text."""
    unknown = sorted(str(key) for key in interval.keys() - _INTERVAL)
    if unknown or not {"from", "to"} <= interval.keys():
        return (
            f"an interval has from and to, and step or scale: log{'; unknown: ' if unknown else ''}{', '.join(unknown)}"
        )
    low, high, step, scale = interval["from"], interval["to"], interval.get("step"), interval.get("scale")
    numbers = [low, high, *([] if step is None else [step])]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        return "from, to and step are numbers"
    if low >= high:
        return f"from ({low}) must be below to ({high})"
    if scale not in (None, "linear", "log"):
        return f"scale: given {scale!r}; allowed: linear, log"
    if scale == "log" and (low <= 0 or step is not None):
        return "scale: log needs from above 0, and takes no step"
    if step is not None and not 0 < step <= high - low:
        return f"step must be above 0, and at most the length of the interval, {high - low:g}"
    if step is not None and (high - low) / step > _MOST_STEPS:
        return f"the interval has more than {_MOST_STEPS:,} steps; leave step out"
    return ""


def _reason(kind: str, entry: Entry) -> str:
    try:
        settings_of(kind, entry)
    except ValidationError as error:
        return f"; for example: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
    return ""


def points(kind: str, entry: Entry, space: Space, seed: int, name: str, *, first: int = 1) -> Iterator[Entry]:
    """Yield the settings of trial 1, 2, …: those of `entry`, then random points of the space, none twice.

    All have every default filled in. What trial i is follows from the seed, the model's name and i, unless an earlier
    trial has the same settings. Ends where the space has no more points.
    """
    entry = settings_of(kind, entry).model_dump(mode="json")
    seen = [entry]
    if first == 1:
        yield entry
    for number in count(max(first, 2)):
        generator = trial_generator(seed, name, number)
        for _ in range(_TRIES):
            point = allowed(kind, {**entry, **_draw(space, generator)})
            if point is not None and point not in seen:
                break
        else:
            return
        seen.append(point)
        yield point


def trial_generator(seed: int, name: str, number: int) -> np.random.Generator:
    """Return what draws everything random of a trial's point."""
    return np.random.Generator(np.random.PCG64([seed, crc32(name.encode()), number]))


def allowed(kind: str, entry: Entry) -> Entry | None:
    """Return settings with every default filled in, or None where they do not go together."""
    try:
        return settings_of(kind, entry).model_dump(mode="json")
    except ValidationError:
        return None


def _draw(space: Space, generator: np.random.Generator) -> Entry:
    return {key: _value(space[key], generator) for key in sorted(space)}


def _value(values: list[Any] | Mapping[str, Any], generator: np.random.Generator) -> Any:
    """Return one of the values, all alike likely; of an interval with scale: log, of their logarithms."""
    if isinstance(values, list):
        return values[generator.integers(len(values))]
    low, high, step = values["from"], values["to"], values.get("step")
    whole = isinstance(low, int) and isinstance(high, int)
    if step is not None:
        steps = math.floor((high - low) / step + 1e-9)
        value = low + step * int(generator.integers(steps + 1))
        return value if isinstance(value, int) else float(f"{value:.10g}")  # 0.15, not 0.15000000000000002
    if values.get("scale") == "log":
        value = float(np.exp(generator.uniform(np.log(low), np.log(high))))
        return min(high, max(low, round(value))) if whole else min(high, max(low, float(f"{value:.4g}")))
    if whole:
        return int(generator.integers(low, high + 1))
    return float(f"{generator.uniform(low, high):.6g}")
