"""Every field of the configuration changes what comes out; a new field without an entry here fails."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import MODEL_FILE
from gru4rec_cli.data.events import ColumnSettings, DataSettings
from gru4rec_cli.data.sessionising import SessionSettings
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.synthetic import SynthSettings
from gru4rec_cli.data.windows import RecentSettings, WindowSettings
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.models import registry
from gru4rec_cli.study.config import ReportSettings, StudyConfig, load_config
from gru4rec_cli.study.windows import study_of
from gru4rec_cli.tuning.settings import TuneSettings
from tests.fetched import skip_unless_fetched
from tests.small import write_config

pytestmark = pytest.mark.slow

PLANTED: dict[str, Any] = {
    "name": "fields",
    "data": {"source": "synth"},
    "split": {"valid": 0.1},
    "synth": {"sessions": 400, "items": 16, "interests": 2, "successors": 2, "max_length": 8},
    "baseline": {"models": {"popularity": {}}},
    "train": {"models": {"gru4rec": {"layers": [4], "epochs": 1, "batch_size": 8, "n_sample": 4}}},
    "evaluate": {"resamples": 20},
}
FROM_FILE: dict[str, Any] = {
    "name": "fields",
    "data": {"source": "clicks.csv"},
    "baseline": {"models": {"popularity": {}}},
}
LOG_NORMAL = {"length_distribution": "log-normal"}

# field: (what else is set both times, the other value); the stage whose artifacts must differ follows from the section.
SYNTH: dict[str, tuple[dict[str, Any], Any]] = {
    "faults": ({}, ["reloads"]),
    "sessions": ({}, 500),
    "items": ({}, 18),
    "interests": ({}, 3),
    "successors": ({}, 3),
    "noise": ({}, 0.5),
    "zipf_exponent": ({}, 0.5),
    "length_distribution": ({}, "log-normal"),
    "length_exponent": ({}, 1.2),
    "length_median": (LOG_NORMAL, 3.0),
    "length_sigma": (LOG_NORMAL, 1.5),
    "min_length": ({}, 3),
    "max_length": ({}, 12),
    "days": ({}, 3),
    "start": ({}, "2023-05-05"),
    "daily_rhythm": ({}, 0.1),
    "think_time_median": ({}, 300.0),
    "think_time_sigma": ({}, 2.0),
}
SPLIT: dict[str, tuple[dict[str, Any], Any]] = {
    "drop_duplicates": ({"drop_repeats": False}, False),
    "drop_repeats": ({}, False),
    "min_session_length": ({}, 4),
    "min_item_support": ({}, 40),
    "max_session_length": ({}, 6),
    "overlong": ({"max_session_length": 6}, "cut"),
    "by": ({"test": 0.5}, "days"),
    "test": ({}, 0.4),
    "valid": ({}, 0.2),
    "straddle": ({}, "truncate"),
    "unseen": ({"min_item_support": 1}, "miss"),
    "preset": ({"test": 0.4}, "rsc15"),
    "filtering": ({"min_item_support": 40, "min_session_length": 4}, "once"),
    "recent": ({}, {"share": "1/2"}),
    "window": ({}, {"number": 1, "of": 2}),
    "window.number": ({"window": {"number": 1, "of": 2}}, {"number": 2, "of": 2}),
    "window.of": ({"window": {"number": 1, "of": 2}}, {"number": 1, "of": 3}),
    "recent.share": ({"recent": {"share": "1/2"}}, {"share": 0.25}),
    "recent.days": ({"recent": {"days": 5}}, {"days": 3}),
    "recent.prefixes": ({"recent": {"prefixes": "1/2"}}, {"prefixes": 0.25}),
    "recent.items": ({"recent": {"share": "1/8"}}, {"share": "1/8", "items": "all"}),
    "end": ({"by": "days", "test": 2, "straddle": "truncate"}, 1_600_000_000 + 9 * 86_400),
    "valid_end": ({"by": "days", "test": 2, "valid": 2, "straddle": "train"}, "cut"),
    "on_cut": ({}, "drop"),
    "equal_starts": ({}, "file"),
}
USERS = {"columns": {"user": "Visitor"}, "sessions": {"by": "user", "gap_minutes": 60.0}}
KINDS = {"columns": {"event": "Kind"}, "events": ["view"]}
YOOCHOOSE = {"format": "yoochoose", "source": "yoochoose"}
BY_DAY = {"columns": {"session": "Reversed", "time": "Day"}}  # many events, and starts of sessions, have one time
GAPS_OF_VIEWS = {"by": "user", "gap_minutes": 60.0}
DATA_BOTH: dict[str, Any] = {
    "quote": {"source": "quoted.csv"},
    "files": YOOCHOOSE,
    "shared_row_numbers": YOOCHOOSE,
    "whole_seconds": {"columns": {"time": "Fine"}},
    "equal_times": BY_DAY,
    "sessions.gap_over": {
        "columns": {"user": "Visitor", "event": "Kind"},
        "events": ["view"],
        "sessions": GAPS_OF_VIEWS,
    },
    "test": {"source": None, "train": "clicks.csv", "test": "later.csv"},
    "format": {"source": "events.csv"},
    "events": KINDS,
    "columns.user": USERS,
    "columns.event": KINDS,
    "columns.part": {"columns": {"part": "Part"}},
    "sessions": USERS,
    "sessions.by": USERS,
    "sessions.gap_minutes": USERS,
    "sessions.min_dwell_seconds": USERS,
}
DATA: dict[str, Any] = {
    "quote": {"quote": None},
    "files": {"files": ["yoochoose-clicks.dat"]},
    "shared_row_numbers": {"shared_row_numbers": True},
    "whole_seconds": {"whole_seconds": True},
    "equal_times": {"equal_times": "item"},
    "session_time": {"session_time": "last_row"},
    "sessions.gap_over": {"sessions": {**GAPS_OF_VIEWS, "gap_over": "all"}},
    "format": {"format": "retailrocket"},
    "events": {"events": ["view", "cart"]},
    "sessions": {"sessions": {"by": "user", "gap_minutes": 600.0}},
    "on_error": {"source": "bad.csv", "on_error": "skip"},
    "missing": {"source": "bad.csv", "missing": [""]},
    "columns.user": {"columns": {"user": "Cookie"}},
    "columns.event": {"columns": {"event": "Step"}},
    "columns.part": {"columns": {"part": "Fold"}},
    "sessions.by": {"sessions": {"by": "session", "gap_minutes": 60.0}},
    "sessions.gap_minutes": {"sessions": {"by": "user", "gap_minutes": 600.0}},
    "sessions.min_dwell_seconds": {"sessions": {"by": "user", "gap_minutes": 60.0, "min_dwell_seconds": 600.0}},
    "source": {"source": "other.csv"},
    "train": {"source": None, "train": "clicks.csv", "test": "later.csv"},
    "test": {"source": None, "train": "clicks.csv", "test": "latest.csv"},
    "columns": {"columns": {"item": "Category"}},
    "time_unit": {"time_unit": "milliseconds"},
    "separator": {"source": "semicolons.csv", "separator": ";"},
    "columns.session": {"columns": {"session": "Visitor"}},
    "columns.item": {"columns": {"item": "Category"}},
    "columns.time": {"columns": {"time": None}},
}
REPORT: dict[str, Any] = {"title": "Clicks", "languages": ["es"]}
EVALUATE: dict[str, tuple[dict[str, Any], Any]] = {
    "cutoffs": ({}, [3]),
    "ties": ({}, "optimistic"),
    "resamples": ({}, 30),
    "confidence": ({}, 0.5),
    "permutations": ({}, 30),
    "sensitivity": ({}, True),
}
GRU4REC: dict[str, tuple[dict[str, Any], Any]] = {
    "loss": ({}, "bpr-max"),
    "embedding": ({}, "none"),
    "layers": ({}, [4, 4]),
    "epochs": ({}, 2),
    "batch_size": ({}, 16),
    "learning_rate": ({}, 0.01),
    "momentum": ({}, 0.5),
    "n_sample": ({}, 8),
    "sample_alpha": ({}, 0.0),
    "dropout_p_embed": ({}, 0.5),
    "dropout_p_hidden": ({}, 0.1),
    "logq": ({}, 0.0),
    "bpreg": ({"loss": "bpr-max"}, 3.0),
    "elu_param": ({"loss": "bpr-max"}, 0.0),
    "validate_on": ({"epochs": 3}, "recall@5"),
    "patience": ({"epochs": 9, "learning_rate": 0.5, "validate_on": "recall@5"}, 1),
    "step": ({}, "compiled"),
}
OFFICIAL = {field: values for field, values in GRU4REC.items() if field not in ("validate_on", "patience", "step")}
MODELS: dict[str, dict[str, tuple[dict[str, Any], Any]]] = {
    "gru4rec": GRU4REC,
    "official": OFFICIAL,
}  # those of the baselines stand in their own tests
# With auto and cpu a machine without a GPU does the same, and every other device it refuses; see the test of its own.
TESTED_ALONE = {("gru4rec", "device")}
BY_ENGINE = {
    "engine"
}  # the same comes out, in another layout: tests/data/test_spark.py, which also sets all of `spark`
BY_FILE = "predictions"  # a file that fits the test: tests/study/test_predictions.py
REPEATED = {"statistics.json", MODEL_FILE}  # they differ because they repeat the settings
SEARCH: dict[str, Any] = {
    "models": {"sr": {"steps": [2, 3, 10], "weighting": ["same", "div"]}},
    "budget": {"trials": 3},
}
TUNE: dict[str, tuple[dict[str, Any], Any, str]] = {  # and the stage whose artifacts differ
    "models": ({}, {"sr": {"steps": [4, 5, 6]}}, "tune"),
    "budget": ({}, {"trials": 2}, "tune"),
    "metric": ({}, "recall@5", "tune"),
    "search": ({}, "tpe", "tune"),
    "prune": (
        {"models": {"gru4rec": {"learning_rate": [0.0001, 0.0002, 0.0003]}}, "budget": {"trials": 8}},
        False,
        "tune",
    ),
    "choose": ({}, "one-standard-error", "tune"),
    "defaults": ({}, False, "baseline"),
}
TOP = {"name", "seed", "seeds", "data", "spark", "synth", "split", "tune", "baseline", "train", "evaluate", "report"}


def write_clicks(folder: Path) -> None:
    """A log with duplicates, repeats, rare and new items, long sessions, and sessions that last over a cut."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 12, 300)
    session = np.repeat(np.arange(300), lengths)
    start = np.sort(rng.uniform(0, 10 * 86_400, 300))
    within = np.concatenate([np.arange(length) for length in lengths])
    time = 1_600_000_000 + np.repeat(start, lengths) + within * 3600
    item = (20 * rng.random(len(session)) ** 2).astype(int) + (time > 1_600_000_000 + 9 * 86_400) * 2
    item = np.where(rng.random(len(item)) < 0.2, np.roll(item, 1), item)
    columns = {
        "SessionId": session,
        "ItemId": item,
        "Time": time.astype(int),
        "Category": item % 5,
        "Visitor": session // 2,
        "Cookie": session // 3,
        "Kind": np.where(item % 3 > 0, "view", "cart"),
        "Step": np.where(session % 3 > 0, "view", "cart"),
        "timestamp": time.astype(int) * 1000,
        "visitorid": session // 2,
        "event": "view",
        "itemid": item,
        "Fine": time + 0.25,
        "Day": time.astype(int) // 86_400 * 86_400,
        "Reversed": 1_000 - session,
        "Part": np.where(session > 200, "test", "train"),
        "Fold": np.where(session > 250, "test", "train"),
    }
    log = pl.DataFrame(columns)
    log = pl.concat([log, log[::17]])
    log.write_csv(folder / "events.csv")
    log[::2].with_columns(pl.when(pl.col("ItemId") > 3).then(pl.col("ItemId"))).write_csv(folder / "bad.csv")
    log.write_csv(folder / "clicks.csv")
    log.filter(pl.col("SessionId") > 20).write_csv(folder / "other.csv")
    log.filter(pl.col("SessionId") > 40).write_csv(folder / "semicolons.csv", separator=";")
    log.with_columns(pl.format('"{}"', "ItemId").alias("ItemId")).write_csv(folder / "quoted.csv", quote_style="never")
    (folder / "yoochoose").mkdir()
    for name, half in (
        ("clicks", log.filter(pl.col("SessionId") < 150)),
        ("test", log.filter(pl.col("SessionId") > 149)),
    ):
        times = pl.from_epoch("Time").dt.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        rows = half.select("SessionId", times, "ItemId", "Category")
        rows.write_csv(folder / "yoochoose" / f"yoochoose-{name}.dat", include_header=False)
    for name, offset in (("later.csv", 1000), ("latest.csv", 2000)):
        log.filter(pl.col("SessionId") > offset / 10).with_columns(pl.col("SessionId") + offset).write_csv(
            folder / name
        )


def artifacts(folder: Path, config: dict[str, Any], last: str) -> dict[str, str]:
    """Hashes of what a stage writes, the stages before it having run; what repeats settings does not count."""
    study = study_of(load_config(write_config(folder, config)), folder / "run")
    outcome = next(outcome for outcome in study.run() if outcome.stage == last)
    manifest = study.directory.manifest(outcome.stage)
    assert manifest is not None
    return {name: digest for name, digest in manifest["outputs"].items() if Path(name).name not in REPEATED}


def merged(config: dict[str, Any], section: str, *changes: dict[str, Any]) -> dict[str, Any]:
    together = dict(config.get(section, {}))
    for change in changes:
        together |= change
    return {**config, section: together}


def check(tmp_path: Path, one: dict[str, Any], other: dict[str, Any], last: str) -> None:
    assert artifacts(tmp_path / "one", one, last) != artifacts(tmp_path / "other", other, last)


@pytest.mark.parametrize("field", SynthSettings.model_fields)
def test_every_field_of_synth(tmp_path: Path, field: str):
    both, value = SYNTH[field]
    one = merged(PLANTED, "synth", both)
    check(tmp_path, one, merged(one, "synth", {field: value}), "synth")


@pytest.fixture
def clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clicks(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("clicks")
@pytest.mark.parametrize(
    "field",
    [
        *(name for name in SplitSettings.model_fields if name != "windows"),
        *(f"recent.{name}" for name in RecentSettings.model_fields),
        *(f"window.{name}" for name in WindowSettings.model_fields),
    ],
)
def test_every_field_of_split(tmp_path: Path, field: str):
    both, value = SPLIT[field]
    base = merged(FROM_FILE, "data", BY_DAY) if field == "equal_starts" else FROM_FILE
    one = merged(base, "split", both)
    check(tmp_path, one, merged(one, "split", {field.partition(".")[0]: value}), "split")


@pytest.mark.usefixtures("clicks")
def test_windows_are_several_runs(tmp_path: Path):
    several = study_of(
        load_config(write_config(tmp_path, merged(FROM_FILE, "split", {"windows": 2}))), tmp_path / "run"
    )
    assert len({name.rpartition("/")[0] for name, _ in several.plan()} - {""}) == 2


@pytest.mark.usefixtures("clicks")
@pytest.mark.parametrize(
    "field",
    [
        *(name for name in DataSettings.model_fields if name not in BY_ENGINE),
        *(f"columns.{name}" for name in ColumnSettings.model_fields),
        *(f"sessions.{name}" for name in SessionSettings.model_fields),
    ],
)
def test_every_field_of_data(tmp_path: Path, field: str):
    base = {**FROM_FILE, "split": {"by": "column"}} if field == "columns.part" else FROM_FILE
    one = merged(base, "data", DATA_BOTH.get(field, {}))
    check(tmp_path, one, merged(one, "data", DATA[field]), "split")


@pytest.mark.usefixtures("clicks")
def test_a_bad_row_stops_by_default(tmp_path: Path):
    with pytest.raises(DataError, match="column 'ItemId': the id is empty"):
        artifacts(tmp_path, merged(FROM_FILE, "data", {"source": "bad.csv"}), "split")


@pytest.mark.parametrize("field", [name for name in EvaluateSettings.model_fields if name != BY_FILE])
def test_every_field_of_evaluate(tmp_path: Path, field: str):
    both, value = EVALUATE[field]
    one = merged(PLANTED, "evaluate", both)
    check(tmp_path, one, merged(one, "evaluate", {field: value}), "evaluate")


@pytest.mark.parametrize("field", TuneSettings.model_fields)
def test_every_field_of_tune(tmp_path: Path, field: str):
    both, value, stage = TUNE[field]
    one = {**merged(PLANTED, "baseline", {"models": {"sr": {}}}), "tune": {**SEARCH, **both}}
    check(tmp_path, one, merged(one, "tune", {field: value}), stage)


@pytest.mark.parametrize("field", ReportSettings.model_fields)
def test_every_field_of_report(tmp_path: Path, field: str):
    check(tmp_path, PLANTED, {**PLANTED, "report": {field: REPORT[field]}}, "report")


@pytest.mark.parametrize(
    ("kind", "field"),
    [(k, f) for k in MODELS for f in registry.settings_class(k).model_fields if (k, f) not in TESTED_ALONE],
)
def test_every_field_of_a_model(tmp_path: Path, kind: str, field: str):
    skip_unless_fetched(kind)
    both, value = MODELS[kind][field]
    entry = {**PLANTED["train"]["models"]["gru4rec"], **both}
    one = {**PLANTED, "train": {"models": {kind: entry}}}
    check(tmp_path, one, {**PLANTED, "train": {"models": {kind: {**entry, field: value}}}}, "train")


def test_the_device_of_gru4rec_is_followed_or_refused(tmp_path: Path):
    one = merged(PLANTED, "train", {"models": {"gru4rec": {**PLANTED["train"]["models"]["gru4rec"], "device": "cpu"}}})
    other = merged(one, "train", {"models": {"gru4rec": {**one["train"]["models"]["gru4rec"], "device": "cuda"}}})
    if torch.cuda.is_available():
        check(tmp_path, one, other, "train")  # fit.json names the device
        return
    artifacts(tmp_path / "one", one, "train")
    assert read_json(tmp_path / "one" / "run" / "train" / "gru4rec" / "fit.json")["facts"]["device"] == "cpu"
    with pytest.raises(UsageError, match=r"train\.models\.gru4rec\.device: cuda cannot be used"):
        artifacts(tmp_path / "other", other, "train")


def test_every_section_is_covered_and_name_and_seeds_change_results(tmp_path: Path):
    assert set(StudyConfig.model_fields) == TOP
    check(tmp_path, PLANTED, {**PLANTED, "name": "other"}, "report")
    check(tmp_path / "seed", PLANTED, {**PLANTED, "seed": 1}, "synth")
    check(tmp_path / "seeds", PLANTED, {**PLANTED, "seeds": [1, 2]}, "train")
