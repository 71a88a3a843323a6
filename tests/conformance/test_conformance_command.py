"""`gru4rec-study conformance`: recorded runs, our implementation, somebody else's, and the faults it may have."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.conformance.comparison import compare
from gru4rec_cli.conformance.faults import FAULTS, diagnose
from gru4rec_cli.conformance.plain import plain_trace
from gru4rec_cli.conformance.recording import read_recording
from tests.small import study

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(GOLDEN.glob("*.npz"))
ADAPTER = ROOT / "docs" / "examples" / "conformance_adapter.py"


def examine(*cases: Path, fault: str = "", adapter: Path = ADAPTER) -> dict[str, Any]:
    """The adapter of the documents around the implementation beside this file, with a fault in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULT", fault)
        done = study("conformance", *cases, "--module", adapter, "--json", cwd=Path(__file__).parent)
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if document["conforms"] else 6), done.stderr
    return document


@pytest.mark.parametrize("step", ["torch", "compiled"])
def test_all_recorded_runs_conform_through_the_command(step: str):
    done = study("conformance", *CASES, "--step", step, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["conforms"]
    assert len(document["cases"]) == len(CASES) == 11
    names = {"batches", "loss", "weights", "scores", "ranks"}
    for case in document["cases"]:
        has_metrics = set() if "dropout" in case["case"] else {"metrics"}
        assert {check["name"] for check in case["checks"]} == names | has_metrics
    assert all(check["excess"] <= 1 for case in document["cases"] for check in case["checks"])


def test_the_table_names_every_case_and_its_deviations():
    done = study("conformance", GOLDEN / "xe_shared", GOLDEN / "bprmax_onehot.json")
    assert done.returncode == 0
    assert "xe_shared" in done.stdout
    assert done.stdout.count("conforms") == 2
    assert "0.0001 relative or 1e-05 absolute" in done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_plain_implementation_conforms_too(case: Path):
    recording = read_recording(case)
    assert all(check.holds for check in compare(recording, plain_trace(recording)))


@pytest.mark.parametrize(
    ("changed", "told"),
    [("step/loss", "loss"), ("final/gru.0.bias_hh", "weights"), ("test_scores", "scores"), ("step/target", "batches")],
)
def test_a_recording_that_differs_is_told_with_6(tmp_path: Path, changed: str, told: str):
    arrays = dict(np.load(GOLDEN / "xe_shared.npz"))
    arrays[changed] = arrays[changed].copy()
    arrays[changed].reshape(-1)[7] += 1
    np.savez(tmp_path / "xe_shared.npz", **arrays)
    shutil.copy(GOLDEN / "xe_shared.json", tmp_path)
    done = study("conformance", tmp_path / "xe_shared.npz", "--json")
    assert done.returncode == 6
    assert "1 of 1 cases deviate from what was recorded: xe_shared" in done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    assert told in {check["name"] for check in case["checks"] if not check["holds"]}


def test_wrong_metrics_are_told(tmp_path: Path):
    described = json.loads((GOLDEN / "xe_shared.json").read_text())
    described["metrics"]["standard"]["recall"]["5"] += 0.02
    (tmp_path / "xe_shared.json").write_text(json.dumps(described))
    shutil.copy(GOLDEN / "xe_shared.npz", tmp_path)
    done = study("conformance", tmp_path / "xe_shared", "--json")
    failed = [check["name"] for check in json.loads(done.stdout)["cases"][0]["checks"] if not check["holds"]]
    assert (done.returncode, failed) == (6, ["metrics"])


@pytest.mark.parametrize("damage", ["missing", "not a zip", "no losses", "no hyperparameters"])
def test_files_that_are_no_recording_end_with_3(tmp_path: Path, damage: str):
    shutil.copy(GOLDEN / "xe_shared.json", tmp_path)
    arrays = dict(np.load(GOLDEN / "xe_shared.npz"))
    if damage == "not a zip":
        (tmp_path / "xe_shared.npz").write_bytes(b"PK nothing")
    elif damage == "no losses":
        del arrays["step/loss"]
        np.savez(tmp_path / "xe_shared.npz", **arrays)
    elif damage == "no hyperparameters":
        np.savez(tmp_path / "xe_shared.npz", **arrays)
        (tmp_path / "xe_shared.json").write_text("{}")
    done = study("conformance", tmp_path / "xe_shared")
    assert done.returncode == 3, done.stderr
    assert "xe_shared" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_adapter_of_the_documents_conforms_without_a_fault():
    shared = [case for case in CASES if "shared" in case.stem]
    assert examine(*shared)["conforms"]


PLANTED = {
    "hidden state not reset": ("xe_shared", "hidden state not reset"),
    "reset mask stale": ("xe_shared", "reset mask stale"),
    "reset mask late": ("xe_shared", "reset mask stale"),
    "softmax twice": ("xe_shared", "softmax twice"),
    "softmax before sampling": ("xe_shared", "softmax before sampling"),
    "BPR-max regularisation missing": ("bprmax_shared_elu", "BPR-max regularisation missing"),
    "dropout as keep rate": ("xe_shared_dropout", "dropout as keep rate"),
    "dropped hidden state not carried": ("xe_shared_dropout", "dropped hidden state not carried"),
    "epoch tail lost": ("xe_shared", "epoch tail lost"),
    "duplicate rows squared before summing": ("xe_shared", "duplicate rows squared before summing"),
    "logQ on the wrong columns": ("xe_shared", "logQ on the wrong columns"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named(fault: str):
    case, name = PLANTED[fault]
    (verdict,) = examine(GOLDEN / f"{case}.npz", fault=fault)["cases"]
    assert not verdict["conforms"]
    assert verdict["diagnosis"] == {"faults": [name], "explained": True, "together": False}


def test_a_keep_rate_is_named_even_where_nothing_should_be_dropped():
    (verdict,) = examine(GOLDEN / "xe_shared.npz", fault="dropout as keep rate")["cases"]
    assert verdict["diagnosis"]["faults"] == ["dropout as keep rate"]


def test_hits_only_below_k_are_named(tmp_path: Path):
    adapter = tmp_path / "adapter.py"
    adapter.write_text(
        ADAPTER.read_text().replace(
            '    return {"losses"',
            """    targets = recording.test.target_items()
    rank = (scores > scores[range(len(targets)), targets][:, None]).sum(1) + 1
    hits = {k: float((rank < int(k)).mean()) for k in recording.metrics["standard"]["recall"]}
    return {"metrics": {"standard": {"recall": hits}}, "losses\"""",
        )
    )
    (verdict,) = examine(GOLDEN / "xe_shared.npz", adapter=adapter)["cases"]
    assert [check["name"] for check in verdict["checks"] if not check["holds"]] == ["metrics"]
    assert verdict["diagnosis"]["faults"] == ["rank < K"]


def test_every_known_fault_is_planted_somewhere():
    named = {name for _, name in PLANTED.values()} | {"rank < K"}
    assert named == set(FAULTS)


def test_two_faults_together_are_named():
    from dataclasses import replace

    from gru4rec_cli.conformance.plain import RIGHT

    recording = read_recording(GOLDEN / "xe_shared.npz")
    trace = plain_trace(recording, replace(RIGHT, loss="softmax twice", reset="never"))
    found = diagnose(recording, trace)
    assert set(found.faults) == {"softmax twice", "hidden state not reset"}
    assert found.together


def test_an_unknown_deviation_is_not_given_a_name():
    recording = read_recording(GOLDEN / "xe_shared.npz")
    trace = plain_trace(recording)
    odd = type(trace)([loss + 0.5 for loss in trace.losses], trace.batches, trace.weights, trace.scores)
    assert not diagnose(recording, odd).explained


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no adapter file"),
        ("x = 1\n", "defines no function replay"),
        ("def replay(recording):\n    return 3\n", "returned no losses"),
        ("def replay(recording):\n    return {'losses': [], 'wieghts': {}}\n", "unknown parts: wieghts"),
    ],
)
def test_an_adapter_that_is_none_is_told(tmp_path: Path, content: str | None, told: str):
    adapter = tmp_path / "adapter.py"
    if content is not None:
        adapter.write_text(content)
    done = study("conformance", GOLDEN / "xe_shared.npz", "--module", adapter)
    assert done.returncode in (2, 3)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
