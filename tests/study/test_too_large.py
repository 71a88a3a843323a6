"""Settings too large for memory or for a date end before training, with key and size (faults 20, 21, 26)."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.data import memory
from gru4rec_cli.data.synthetic import SynthSettings, certain_clicks, draw_times, generate
from gru4rec_cli.models import registry
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, write_config
from tests.worlds import chain

TINY: dict[str, Any] = {
    **SMALL,
    "synth": {"sessions": 400, "items": 16, "interests": 2, "successors": 2, "max_length": 8},
    "train": {"models": {}},
}


@pytest.mark.parametrize(
    ("kind", "setting", "value"),
    [
        ("gru4rec", "layers", [400_000]),
        ("gru4rec", "layers", [10_000_000, 100]),
        ("gru4rec", "n_sample", 500_000_000),
        ("gru4rec", "batch_size", 10**12),
        ("gru4rec", "embedding", 10**12),
        ("official", "layers", [400_000]),
        ("official", "n_sample", 500_000_000),
        ("sasrec", "hidden_size", 10**6),
        ("sasrec", "inner_size", 10**12),
        ("sasrec", "blocks", 10**9),
        ("sasrec", "length", 10**12),
        ("sasrec", "n_sample", 10**12),
        ("sasrec", "batch_size", 10**12),
        ("narm", "gru_size", 10**6),
        ("stamp", "hidden_size", 10**6),
        ("srgnn", "hidden_size", 10**6),
        ("srgnn", "batch_size", 10**12),
    ],
)
def test_a_model_too_large_is_refused_before_anything_is_fitted(kind: str, setting: str, value: Any, monkeypatch):
    """Fault 21."""
    monkeypatch.setattr("gru4rec_cli.models.official.fetching.verified_checkout", lambda: None)
    settings = registry.settings_class(kind).model_validate(
        {setting: tuple(value) if isinstance(value, list) else value}
    )
    with pytest.raises(
        UsageError, match=rf"^train\.models\.x\.{setting}: .* needs at least [0-9,.]+ GB, and .* leaves"
    ):
        settings.check_ready("train.models.x", to_fit=True)
    settings.check_ready("train.models.x", to_fit=False)  # a fitted one may be used


def test_a_model_too_large_for_its_data_is_refused_at_the_start_of_fitting(monkeypatch: pytest.MonkeyPatch):
    """Fault 21: the items are known only then."""
    settings = registry.settings_class("gru4rec").model_validate({"layers": (1000,), "n_sample": 0})
    settings.check_ready("x", to_fit=True)
    monkeypatch.setattr(memory, "headroom", lambda: iter([(10_000_000, "a limit")]))
    with pytest.raises(UsageError, match=r"layers: .* needs at least 0.0 GB, and a limit leaves this process 0.0 GB"):
        registry.model_class("gru4rec")(settings).fit(chain(50, 60))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sessions": 900_000_000}, "synth.sessions: 900,000,000 needs at least"),
        (
            {"sessions": 9_000_000, "items": 500_000, "interests": 1000, "successors": 100, "zipf_exponent": 0.1},
            "synth",
        ),
    ],
)
def test_a_log_too_large_is_refused_at_once(settings: dict[str, Any], told: str):
    """Fault 21."""
    began = time.monotonic()
    with pytest.raises(UsageError, match=told):
        generate(SynthSettings.model_validate(settings), 1)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("settings", [{"items": 10**15}, {"sessions": 10**18, "items": 10**8}, {"interests": 10**12}])
def test_numbers_that_no_machine_can_hold_are_refused_by_the_configuration(settings: dict[str, int]):
    """Fault 21: checking them filled the memory."""
    with pytest.raises(ValidationError):
        SynthSettings.model_validate(settings)


@pytest.mark.parametrize(
    "start", ["9999-12-31", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31", "2200-01-02"]
)
def test_a_start_outside_of_the_times_that_a_log_may_have_is_refused(start: str):
    """Fault 26."""
    with pytest.raises(ValidationError, match=r"is not a time between 1970 and 2200|is not an ISO 8601 time"):
        SynthSettings(start=start)


@pytest.mark.parametrize(
    "settings",
    [
        {"start": "2199-12-31", "days": 36_500},
        {"think_time_median": 86_400.0, "think_time_sigma": 3.0},
        {"think_time_median": 86_400.0, "think_time_sigma": 3.0, "max_length": 10_000},
    ],
)
def test_sessions_that_would_last_beyond_2200_are_refused(settings: dict[str, Any]):
    """Fault 26: times overflowed, and were negative."""
    given = SynthSettings.model_validate(settings)
    lengths = np.full(2000, given.max_length)
    with pytest.raises(UsageError, match="until after the year 2200"):
        draw_times(given, lengths, np.random.default_rng(0))


@pytest.mark.parametrize("items", [3_000, 50_000, 1_000_000])
@pytest.mark.parametrize("shape", [{}, {"length_distribution": "log-normal"}, {"min_length": 5}, {"max_length": 2}])
def test_the_number_of_sessions_that_the_message_names_is_enough_and_one_percent_less_is_not(
    items: int, shape: dict[str, Any]
):
    """Fault 26: the message named too few."""
    with pytest.raises(ValidationError) as caught:
        SynthSettings(sessions=10, items=items, **shape)
    words = caught.value.errors()[0]["msg"].split()
    named = int(words[words.index("sessions", words.index("raise")) + 2].replace(",", ""))
    enough = SynthSettings(sessions=named, items=items, **shape)
    fewer = enough.model_copy(update={"sessions": math.floor(named * 0.99)})
    assert certain_clicks(enough) >= 32 * items > certain_clicks(fewer)


def test_a_length_distribution_of_no_width_is_refused():
    with pytest.raises(ValidationError, match="leave no session between"):
        SynthSettings(length_distribution="log-normal", length_median=1e-300, length_sigma=1e-9)


def test_a_cutoff_above_the_number_of_items_means_all_items(tmp_path: Path):
    """Fault 20: a million on 16 items took 7 GB."""
    config = {**TINY, "evaluate": {"cutoffs": [16, 1_000_000], "resamples": 10}}
    study = study_of(load_config(write_config(tmp_path, config)), tmp_path / "run")
    *_, evaluated, report = study.run()
    rows = evaluated.results.document["metrics"]
    values = {
        k: {(row["model"], row["metric"], row["ties"], row["slice"]): row["value"] for row in rows if row["k"] == k}
        for k in (16, 1_000_000)
    }
    assert values[16]
    assert values[16] == values[1_000_000]
    curves = evaluated.results.document["curves"]
    assert {len(curve["values"]) for by_metric in curves.values() for curve in by_metric.values()} == {16}
    assert sum(path.stat().st_size for path in (tmp_path / "run" / "report").rglob("*") if path.is_file()) < 20_000_000
    assert report.stage == "report"


def test_lists_too_long_for_memory_are_refused_before_ranking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Fault 20."""
    study = study_of(load_config(write_config(tmp_path, TINY)), tmp_path / "run")
    for stage in ("synth", "split", "baseline"):
        study.run_stage(stage)
    monkeypatch.setattr(memory, "headroom", lambda: iter([(10_000, "a limit")]))
    with pytest.raises(
        UsageError, match=r"evaluate\.cutoffs: the largest, 20, with .* test events and 50 resamples needs"
    ):
        study.run_stage("evaluate")


@pytest.mark.parametrize("cutoffs", [[10_000_000], list(range(1, 200))])
def test_cutoffs_are_bounded_by_the_configuration(tmp_path: Path, cutoffs: list[int]):
    """Fault 20."""
    with pytest.raises(UsageError, match=r"evaluate\.cutoffs"):
        load_config(write_config(tmp_path, {**TINY, "evaluate": {"cutoffs": cutoffs}}))
