"""`refit`: models fitted again on training and validation, or on all sessions, for the epochs that were kept."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.base.errors import ConfigError
from gru4rec_cli.base.files import read_json
from gru4rec_cli.data.sessions import Sessions, read_vocabulary
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.gru4rec import Model, Settings
from gru4rec_cli.models.registry import load_model
from gru4rec_cli.study.config import load_config, resolved
from tests.small import SMALL, artifact_hashes, started, study, write_config
from tests.study.test_killed import send_when

pytestmark = pytest.mark.slow

# Ten sessions, an hour apart: training has a 11 times, b 6 times, c once; validation b 10 times, c 8 times, and n; the
# test b and a, and t.
SESSIONS = ["abc", *["aba"] * 5, "bcbcbcbcbn", "bcbcbcbcb", "bat", "ba"]
SPLIT: dict[str, Any] = {"test": 0.2, "valid": 0.25, "min_item_support": 1}
POPULARITY: dict[str, Any] = {"models": {"popularity": {}}}


def configured(folder: Path, split: dict[str, Any], sessions: list[str] = SESSIONS, **sections: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{n},{item},{3600 * n + place}" for n, items in enumerate(sessions) for place, item in enumerate(items)]
    (folder / "log.csv").write_text("\n".join(["SessionId,ItemId,Time", *rows, ""]))
    data = {"source": str(folder / "log.csv")}
    evaluate = {"cutoffs": [2], "resamples": 20}
    return write_config(
        folder, {"name": "refit", "data": data, "split": SPLIT | split, "evaluate": evaluate, **sections}
    )


def run(config: Path, *arguments: str) -> Path:
    folder = config.parent / "run"
    done = study("run", "--config", config, "--run-dir", folder, *arguments)
    assert done.returncode == 0, done.stderr
    return folder


def most_popular(run: Path) -> str:
    return "".join(load_model(run / "baseline" / "popularity").recommend(["a"], 9)[0])


def test_counts_are_those_of_training_and_validation_and_everything_says_so(tmp_path: Path):
    config = configured(tmp_path, {}, baseline=POPULARITY | {"refit": "train+valid"})
    folder = run(config)
    assert most_popular(folder) == "bac"  # 16, 11, 9
    expected = {"on": "train+valid", "sessions": 8, "events": 3 * 6 + 9 + 9, "items": 3, "epochs": None}
    model = folder / "baseline" / "popularity"
    assert read_json(model / "fit.json")["refit"] == expected
    assert read_json(model / "manifest.json")["refit"] == expected
    metrics = read_json(folder / "evaluate" / "metrics.json")
    assert metrics["models"]["popularity"]["refit"] == {"popularity": expected}
    assert metrics["protocol"]["items"] == 3
    told = "Fitted again from the start on training and validation sessions, before this evaluation: popularity."
    assert told in " ".join((folder / "report" / "report.md").read_text().split())

    config = configured(tmp_path, {}, baseline=POPULARITY)
    assert "refit" not in resolved(load_config(config))["baseline"]
    done = study("run", "--config", config, "--run-dir", folder)
    assert "baseline.refit: train+valid → nothing" in " ".join(done.stderr.split())
    assert most_popular(folder) == "abc"  # 11, 6, 1
    assert "refit" not in read_json(folder / "evaluate" / "metrics.json")["models"]["popularity"]


@pytest.mark.parametrize("unseen", ["miss", "keep"])
def test_the_items_stay_those_of_training_if_there_is_an_evaluation(tmp_path: Path, unseen: str):
    folder = run(configured(tmp_path, {"unseen": unseen}, baseline=POPULARITY | {"refit": "train+valid"}))
    assert most_popular(folder) == "bac"
    assert read_json(folder / "baseline" / "popularity" / "fit.json")["refit"]["events"] == 36  # without n


def test_a_model_for_use_learns_from_all_sessions_and_knows_all_items(tmp_path: Path):
    config = configured(tmp_path, {"unseen": "keep"}, baseline=POPULARITY | {"refit": "all"})
    folder = run(config)
    assert most_popular(folder) == "bacnt"  # 18, 13, 9, 1, 1: n was first
    refit = read_json(folder / "baseline" / "popularity" / "fit.json")["refit"]
    assert (refit["sessions"], refit["events"], refit["items"]) == (10, 42, 5)
    assert read_json(folder / "baseline" / "manifest.json")["warnings"] == []


def test_a_model_that_has_seen_the_test_is_never_evaluated(tmp_path: Path):
    config = configured(tmp_path, {}, baseline=POPULARITY, train={"models": {"markov": {}}, "refit": "all"})
    folder = tmp_path / "run"
    done = study("run", "--config", config, "--run-dir", folder)
    assert done.returncode == 0
    for stage in ("evaluate", "report"):
        assert f"{stage}: left out (train.refit: all fits models on the test sessions, too" in done.stderr
        assert not (folder / stage).exists()
        refused = study(stage, "--config", config, "--run-dir", folder)
        assert refused.returncode == 2
        assert "to evaluate, leave refit out or set it to train+valid" in " ".join(refused.stderr.split())
    assert study("verify", folder).returncode == 0
    without = configured(tmp_path, {}, baseline=POPULARITY, train={"models": {"markov": {}}})
    refused = study("evaluate", "--config", without, "--run-dir", folder)
    assert refused.returncode == 4
    assert "train.refit: all → nothing" in " ".join(refused.stderr.split())


def test_without_a_test_part_validation_and_its_new_items_are_learned(tmp_path: Path):
    split = {"test": 0, "valid": 0.4}  # the last four sessions
    refit = POPULARITY | {"refit": "train+valid"}
    dropped = run(configured(tmp_path / "dropped", split, baseline=refit))
    assert most_popular(dropped) == "bac"
    (warning,) = read_json(dropped / "baseline" / "manifest.json")["warnings"]
    assert warning["id"] == "refit-without-new-items"
    assert "2 from the valid part" in warning["message"]
    kept = run(configured(tmp_path / "kept", split | {"unseen": "keep"}, baseline=refit))
    assert most_popular(kept) == "bacnt"
    assert read_json(kept / "baseline" / "manifest.json")["warnings"] == []


@pytest.mark.parametrize(
    ("split", "sections", "message"),
    [
        ({"valid": None}, {"baseline": POPULARITY | {"refit": "train+valid"}}, "needs validation sessions"),
        ({"valid": None, "test": 0}, {"train": POPULARITY | {"refit": "all"}}, "all sessions are training already"),
        ({"windows": 2}, {"train": POPULARITY | {"refit": "all"}}, "each of split.windows is evaluated"),
        ({}, {"train": POPULARITY | {"refit": "valid"}}, "train.refit"),
    ],
)
def test_what_cannot_be_fitted_again_is_refused(
    tmp_path: Path, split: dict[str, Any], sections: dict[str, Any], message: str
):
    with pytest.raises(ConfigError, match=message):
        load_config(configured(tmp_path, split, **sections))


def test_a_file_with_a_column_of_parts_but_no_validation_is_refused(tmp_path: Path):
    config = configured(tmp_path, {}, baseline=POPULARITY | {"refit": "train+valid"})
    lines = (tmp_path / "log.csv").read_text().split()
    parts = ["part", *("test" if line.startswith(("8,", "9,")) else "train" for line in lines[1:])]
    (tmp_path / "log.csv").write_text("\n".join(",".join(pair) for pair in zip(lines, parts, strict=True)) + "\n")
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", "--set", "split={by: column}")
    assert done.returncode == 2
    assert "baseline.refit: train+valid needs validation sessions" in " ".join(done.stderr.split())


NEURAL: dict[str, Any] = SMALL | {
    "split": {"valid": 0.2},
    "train": {
        "models": {
            "gru4rec": SMALL["train"]["models"]["gru4rec"]
            | {"epochs": 4, "learning_rate": 0.3, "validate_on": "recall@5", "patience": 1}
        },
        "refit": "train+valid",
    },
}


def test_a_network_is_trained_again_for_the_epochs_that_validation_chose(tmp_path: Path):
    folder = run(write_config(tmp_path, NEURAL))
    fit = read_json(folder / "train" / "gru4rec" / "fit.json")
    values = [row["valid_recall@5"] for row in fit["curve"]]
    kept = 1 + int(np.argmax(values))
    assert fit["facts"]["kept_epoch"] == fit["refit"]["epochs"] == len(fit["refit"]["curve"]) == kept
    assert all("valid_recall@5" not in row for row in fit["refit"]["curve"])

    vocabulary = read_vocabulary(folder / "split" / "items.parquet")
    index = {item: place for place, item in enumerate(vocabulary.ids.tolist())}
    rows = [pl.read_parquet(folder / "split" / f"{part}.parquet").rows() for part in ("train", "valid")]
    sessions: dict[Any, list[tuple[int, int]]] = {}
    for session, item, time in (row for part in rows for row in part):
        sessions.setdefault(session, []).append((time, index[item]))
    ordered = sorted(sessions.items(), key=lambda entry: entry[1][0][0])
    clicks = [click for _, events in ordered for click in events]
    together = Sessions(
        np.array([item for _, item in clicks], dtype=np.int32),
        np.cumsum([0, *(len(events) for _, events in ordered)]),
        np.array([time for time, _ in clicks]),
        np.array([session for session, _ in ordered]),
        vocabulary,
    )
    chosen = {**NEURAL["train"]["models"]["gru4rec"], "epochs": kept, "validate_on": None, "patience": None}
    alone = Model(Settings.model_validate_json(json.dumps(chosen)))
    alone.fit(together, FitContext(seed=42))
    fitted: Any = load_model(folder / "train" / "gru4rec").model
    for name, value in alone.parameters.items():
        assert np.array_equal(fitted.parameters[name].numpy(), value.numpy()), name
    told = f"before this evaluation: gru4rec (epochs: {kept})."
    assert told in " ".join((folder / "report" / "report.md").read_text().split())


def test_a_run_killed_in_the_second_fit_ends_like_an_uninterrupted_one(tmp_path: Path):
    model = {**NEURAL["train"]["models"]["gru4rec"], "epochs": 5, "patience": None}
    config = NEURAL | {
        "synth": {**SMALL["synth"], "sessions": 6000, "items": 200},
        "train": {"models": {"gru4rec": model}, "refit": "train+valid"},
    }
    path = write_config(tmp_path, config)
    whole = run(path)
    killed = tmp_path / "killed"
    process = started("run", "--config", path, "--run-dir", killed)
    second = ".train.partial/.gru4rec.*.checkpoints/refit/latest.json"
    send_when(process, lambda: any(killed.glob(second)), signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "train").exists()
    done = study("run", "--config", path, "--run-dir", killed)
    assert done.returncode == 0, done.stderr
    assert artifact_hashes(killed) == artifact_hashes(whole)
