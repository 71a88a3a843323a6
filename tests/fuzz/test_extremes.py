"""Settings at the extremes of their types: refused with a message, or the log is as they say (fault 26)."""

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.synthetic import MIN_SUPPORT, SynthSettings, generate
from gru4rec_cli.data.times import LATEST
from tests.fuzz.seeds import TIMES, generator

COUNT = 400 * TIMES
EXTREMES: dict[str, list[Any]] = {
    "sessions": [1, 100, 2000, 10**9, 10**18],
    "items": [2, 3, 10, 40, 10**7, 10**15],
    "interests": [1, 2, 10, 10**7, 10**12],
    "successors": [1, 2, 10, 10**7],
    "noise": [0.0, 1.0, 5e-324, -0.0, 1e308],
    "zipf_exponent": [0.0, 3.0, 5e-324],
    "length_distribution": ["power-law", "log-normal"],
    "length_exponent": [0.0, 10.0, 5e-324],
    "length_median": [5e-324, 1e-300, 4.0, 1e308],
    "length_sigma": [5e-324, 1e-300, 0.8, 5.0],
    "min_length": [2, 50, 10_000],
    "max_length": [2, 50, 10_000],
    "days": [1, 36_500],
    "start": ["1970-01-01", "2199-12-31", "2200-01-01", "9999-12-31", "0001-01-01", "1970-01-01T00:00+14:00", ""],
    "daily_rhythm": [0.0, 1.0, 5e-324],
    "think_time_median": [1.0, 86_400.0],
    "think_time_sigma": [0.0, 3.0, 5e-324],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_synthetic_log_at_the_extremes_is_refused_or_is_as_the_settings_say():
    rng, ends = generator("synth"), Counter[str]()
    for _ in range(COUNT):
        chosen = rng.sample(list(EXTREMES), rng.choice([1, 2, 3]))
        given = {"sessions": 2000, "items": 40, "interests": 2, "successors": 2}
        given |= {name: rng.choice(EXTREMES[name]) for name in chosen}
        try:
            settings = SynthSettings.model_validate(given)
            if settings.sessions * settings.max_length > 500_000:
                ends["too long for a test"] += 1
                continue
            events, _ = generate(settings, 1)
        except (ValidationError, UsageError):
            ends["refused"] += 1
            continue
        lengths = events.group_by(SESSION).len()["len"]
        assert len(lengths) == settings.sessions, given
        assert settings.min_length <= lengths.min() <= lengths.max() <= settings.max_length, given  # type: ignore[operator]
        assert events.group_by(ITEM).len()["len"].min() >= MIN_SUPPORT, given  # type: ignore[operator]
        assert 0 <= events[TIME].min() <= events[TIME].max() <= LATEST, given  # type: ignore[operator]
        ends["generated"] += 1
    assert sum(ends.values()) == COUNT
    assert min(ends["refused"], ends["generated"]) > COUNT / 20, ends
