"""The author's own code behind our protocol: what it learns is his, what we rank is what he would count."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gru4rec_cli.base.errors import CheckError, ExternalError
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import TieRule, metric_values, ranks
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.official import Settings
from gru4rec_cli.models.official.adapter import AuthorCode, seeded
from gru4rec_cli.models.official.fetching import verified_checkout
from gru4rec_cli.models.official.model import Model
from gru4rec_cli.models.official.process import WorkerProcess
from gru4rec_cli.models.official.weights import extract
from tests.fetched import needs_fetch
from tests.small import SMALL, artifact_hashes, command, study, write_config
from tests.worlds import random_sessions, sessions_of

pytestmark = needs_fetch

QUICK: dict[str, Any] = {"layers": [16], "epochs": 2, "batch_size": 8, "n_sample": 8}
GOLDEN = Path(__file__).parents[2] / "golden"
MODES: list[tuple[str, TieRule]] = [("standard", "optimistic"), ("conservative", "conservative")]


def model_of(train: Sessions, seed: int = 42, **settings: Any) -> Model:
    model = Model(Settings.model_validate_json(json.dumps(QUICK | settings)))
    model.fit(train, FitContext(seed=seed))
    return model


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "bpr-max", "learning_rate": 0.05, "embedding": "none"},
        {"embedding": "none", "layers": [12, 16]},
        {"embedding": 6, "layers": [12, 10], "loss": "bpr-max", "learning_rate": 0.05},
        {"embedding": "layersize"},
        {"layers": [8, 16]},
    ],
    ids=["shared", "one-hot", "one-hot stacked", "separate of another width", "separate", "shared stacked"],
)
def test_our_ranks_are_those_that_the_authors_evaluation_counts(settings: dict[str, Any]):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    model = model_of(train, **settings)
    found = rank_targets(model.score(test), test)
    cutoffs = [1, 3, 10, 20, 40]
    for mode, ties in MODES:
        rank = ranks(found.greater, found.equal, ties)
        recall, mrr = model.batch_eval(test, cutoffs, mode)
        assert recall == pytest.approx([metric_values(rank, "recall", k).mean() for k in cutoffs], abs=1e-12)
        assert mrr == pytest.approx([metric_values(rank, "mrr", k).mean() for k in cutoffs], abs=1e-6)


def test_tied_scores_are_ranked_as_the_authors_evaluation_ranks_them():
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    model = model_of(train)
    model.weights = {name: np.zeros_like(value) for name, value in model.weights.items()}
    found = rank_targets(model.score(test), test)
    assert set(found.equal) == {39}
    assert model.batch_eval(test, [20], "standard")[0] == [1.0]
    assert model.batch_eval(test, [20], "conservative")[0] == [0.0]


def test_with_the_workarounds_the_authors_code_still_computes_what_was_recorded_of_it():
    """Without extra negatives and dropout nothing is left to chance; the recorded run began from seed 42."""
    name = "xe_shared_no_extra_negatives"
    case, arrays = json.loads((GOLDEN / f"{name}.json").read_text()), np.load(GOLDEN / f"{name}.npz")
    author = AuthorCode(verified_checkout(), lambda events: None)
    frame = pd.DataFrame({column: arrays[f"train/{column}"] for column in ("SessionId", "ItemId", "Time")})
    model = author.gru.GRU4Rec(**case["hyperparameters"], device=torch.device("cpu"))
    with seeded(42):
        model.fit(frame, sample_cache_max_size=1)
    order = model.data_iterator.itemidmap[arrays["item_ids"]].to_numpy().astype(np.int64)
    for key, value in extract(model.model, order).items():
        expected = arrays[f"final/{key}"]
        assert value == pytest.approx(expected.reshape(value.shape), abs=4e-5), key


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    train = random_sessions(40, 100, seed=1)
    one, two, other = (model_of(train, seed, dropout_p_embed=0.2).weights for seed in (1, 1, 2))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    assert not np.array_equal(one["output_embedding"], other["output_embedding"])


@pytest.mark.parametrize("n_sessions", [1, 3, 31])
def test_fewer_sessions_than_lanes_are_no_obstacle(n_sessions: int):
    train = random_sessions(12, n_sessions, seed=3)
    model = model_of(train, batch_size=32, epochs=1)
    found = rank_targets(model.score(train), train)
    recall, _ = model.batch_eval(train, [5], "conservative")
    assert recall == pytest.approx([(found.greater + found.equal + 1 <= 5).mean()])


def test_an_item_without_training_clicks_is_ranked_last():
    train = sessions_of([[0, 1, 3], [3, 1, 0], [1, 0, 3]], n_items=5)
    scores = np.concatenate([block.scores for block in model_of(train).score(train)])
    assert np.isfinite(scores).all()
    assert (scores[:, [2, 4]].max(axis=1) < scores[:, [0, 1, 3]].min(axis=1)).all()


def test_a_model_folder_holds_no_pickle(tmp_path: Path):
    model = model_of(random_sessions(12, 30, seed=3))
    registry.save_model(tmp_path, "official", model.settings, 42, model, np.arange(40))
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "items.parquet", "weights.safetensors"}


def test_loss_and_progress_are_told_and_the_helper_counts_in_the_costs():
    model = Model(Settings.model_validate_json(json.dumps(QUICK)))
    with measured() as cost:
        report = model.fit(random_sessions(40, 300, seed=1), FitContext(seed=1))
    assert [row["epoch"] for row in report.curve] == [1, 2]
    assert report.curve[0]["loss"] > report.curve[1]["loss"]
    assert len(report.facts["commit"]) == 40
    with measured() as alone:
        pass
    assert cost.peak_memory_bytes > alone.peak_memory_bytes + 100 * 2**20


def test_a_diverging_training_is_told():
    with pytest.raises(CheckError, match="not a number"):
        model_of(random_sessions(12, 300, seed=3), loss="bpr-max", learning_rate=1e18, momentum=0.9, elu_param=0.0)


def test_a_failing_worker_shows_the_end_of_what_it_said():
    worker = WorkerProcess()
    with pytest.raises(ExternalError, match="KeyError: 'nonsense'") as raised:
        list(worker.ask("nonsense", {}))
    assert raised.value.exit_code == 5
    assert not worker.running


def test_a_killed_worker_is_told_and_the_next_job_gets_a_new_one():
    test = random_sessions(40, 90, seed=2)
    model = model_of(random_sessions(40, 300, seed=1))
    blocks = model.score(test)
    next(blocks)
    assert model._worker is not None
    blocks.close()  # type: ignore[attr-defined] # scores that nobody wants any more end the worker
    assert not model._worker.running
    assert rank_targets(model.score(test), test).greater.shape == (test.n_targets,)
    os.kill(model._worker._process.pid, signal.SIGKILL)
    model._worker._process.wait()
    assert sum(len(block.scores) for block in model.score(test)) == test.n_targets


def official_study(**settings: Any) -> dict[str, Any]:
    models = {"author": {"kind": "official", **QUICK, "layers": [8], **settings}}
    return {**SMALL, "train": {"models": models}}


def test_two_runs_give_the_same_artifacts(tmp_path: Path):
    hashes = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        done = study("run", "--config", write_config(folder, official_study()), "--run-dir", folder / "run")
        assert done.returncode == 0, done.stderr
        hashes.append(artifact_hashes(folder / "run"))
    assert hashes[0] == hashes[1]


def test_item_ids_may_be_text(tmp_path: Path):
    rows = [
        f"v{visit},shoe-{(visit + step) % 9},{1_700_000_000 + visit * 3000 + step}"
        for visit in range(200)
        for step in range(2 + visit % 4)
    ]
    (tmp_path / "clicks.csv").write_text("\n".join(["SessionId,ItemId,Time", *rows]) + "\n")
    config = official_study(layers=[16], epochs=30, dropout_p_hidden=0.0)
    del config["synth"]
    config["data"] = {"source": str(tmp_path / "clicks.csv")}
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "evaluate" / "metrics.json").read_text())["metrics"]
    (recall,) = (
        row["value"]
        for row in metrics
        if (row["model"], row["metric"], row["k"], row["ties"], row["seed"], row["slice"])
        == ("author", "recall", 5, "conservative", "all", "all")
    )
    assert recall > 0.9


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the process in /proc")
def test_the_worker_dies_with_a_killed_run(tmp_path: Path):
    config = write_config(tmp_path, official_study(epochs=10_000))
    done = [study(stage, "--config", config, "--run-dir", tmp_path / "run") for stage in ("synth", "split")]
    assert [one.returncode for one in done] == [0, 0]
    process = subprocess.Popen(
        command("train", "--config", config, "--run-dir", tmp_path / "run", "--quiet"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        worker = wait_for(lambda: child_of(process.pid))
        time.sleep(1)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not alive(worker))


def alive(process: int) -> bool:
    """Whether it still runs; one that has ended may wait for somebody to take note."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def child_of(parent: int) -> int | None:
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"PPid:\t{parent}\n" in status.read_text() and b"worker" in (status.parent / "cmdline").read_bytes():
                return int(status.parent.name)
        except OSError:
            continue
    return None


def wait_for(found: Any) -> Any:
    limit = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < limit, "waited for a minute"
        time.sleep(0.05)
    return value
