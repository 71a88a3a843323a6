"""`export` and bundles: what is written is what was fitted, whole, and damage is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.base.errors import CheckError, StageError, UsageError
from gru4rec_cli.models import registry
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.serving import export_bundle, load_bundle, load_run
from tests.serving.test_engine import fitted
from tests.small import SMALL, study, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    config = {**SMALL, "seeds": [1, 2], "synth": {"sessions": 800, "items": 50, "interests": 2, "successors": 3}}
    done = study("run", "--config", write_config(folder, config), "--run-dir", folder / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def same(one: FittedModel, other: FittedModel) -> None:
    for history in ([one.ids[0]], list(one.ids[:7]), [one.ids[3], one.ids[3]]):
        items, scores = one.recommend(history, 10)
        found, their_scores = other.recommend(history, 10)
        assert items.tolist() == found.tolist()
        assert scores.tolist() == their_scores.tolist()


@pytest.mark.parametrize(
    ("model", "fit"), [("markov", "markov"), ("gru4rec", "gru4rec.seed-1"), ("gru4rec.seed-2",) * 2]
)
def test_a_bundle_needs_nothing_but_itself(run: Path, tmp_path: Path, model: str, fit: str):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    expected = load_run(run).model(fit)
    done = study("export", "--run-dir", copy, "--model", model, "--to", tmp_path / "bundle", "--json")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(copy)
    same(load_bundle(tmp_path / "bundle"), expected)
    card = json.loads((tmp_path / "bundle" / "card.json").read_text())
    assert (card["name"], card["seed"]) == (fit, expected.seed)
    text = (tmp_path / "bundle" / "README.md").read_text()
    metrics = {(row["metric"], row["k"]): row["value"] for row in card["metrics"]}
    recorded = json.loads((run / "evaluate" / "metrics.json").read_text())
    assert metrics
    assert f"| recall@20 | {metrics['recall', 20]:.4f} |" in text
    assert text.count("| recall@20 |") == 1
    assert str(recorded["protocol"]["events"]) in text
    recommended = study("recommend", "--bundle", tmp_path / "bundle", "--items", str(expected.ids[0]), "--json")
    assert recommended.returncode == 0, recommended.stderr


def test_every_changed_byte_is_seen(run: Path, tmp_path: Path):
    bundle = tmp_path / "bundle"
    export_bundle(run, "markov", bundle)
    generator = np.random.default_rng(5)
    for path in sorted(bundle.iterdir()):
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1, *generator.integers(len(whole), size=6).tolist()}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(StageError):
                load_bundle(bundle)
        path.unlink()
        with pytest.raises(StageError):
            load_bundle(bundle)
        path.write_bytes(whole)
    load_bundle(bundle)


def test_bundles_that_cannot_be_used_say_why(run: Path, tmp_path: Path):
    bundle = tmp_path / "bundle"
    export_bundle(run, "markov", bundle)
    (bundle / "notes.txt").write_text("my own")
    load_bundle(bundle)
    described = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(described | {"format": 2, "made_by": "gru4rec-study 9.0"}))
    with pytest.raises(StageError, match=r"format 2, made by gru4rec-study 9\.0"):
        load_bundle(bundle)
    (tmp_path / "empty").mkdir()
    for folder, error, said in (
        (tmp_path / "empty", StageError, "no bundle"),
        (bundle / "notes.txt", UsageError, "no folder"),
        (run, StageError, "no bundle"),
    ):
        with pytest.raises(error, match=said):
            load_bundle(folder)
    served = study("serve", bundle, "--port", "0")
    assert served.returncode == 4
    assert "update gru4rec-study" in served.stderr


@pytest.mark.parametrize(
    ("place", "force", "said"),
    [
        ("run", False, "run directory"),
        ("run/train/mine", False, "run directory"),
        ("other", False, "other files"),
        ("other", True, "other files"),
        ("file", True, "a file"),
        ("bundle", False, "a bundle already"),
    ],
)
def test_no_other_folder_is_overwritten(run: Path, tmp_path: Path, place: str, force: bool, said: str):
    (tmp_path / "run").symlink_to(run)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("mine")
    export_bundle(run, "markov", tmp_path / "bundle")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=said):
        export_bundle(tmp_path / "run", "markov", tmp_path / place, force=force)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_force_replaces_a_bundle(run: Path, tmp_path: Path):
    export_bundle(run, "markov", tmp_path / "bundle")
    export_bundle(run, "popularity", tmp_path / "bundle", force=True)
    assert load_bundle(tmp_path / "bundle").kind == "popularity"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("there", [False, True])
def test_a_failure_leaves_what_was_there(run: Path, tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch):
    if there:
        export_bundle(run, "markov", tmp_path / "bundle")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gru4rec_cli.serving.bundle.write_text", full)
        with pytest.raises(OSError, match="No space"):
            export_bundle(run, "popularity", tmp_path / "bundle", force=True)
    assert [path.name for path in tmp_path.iterdir()] == (["bundle"] if there else [])
    if there:
        assert load_bundle(tmp_path / "bundle").kind == "markov"


def test_a_killed_export_leaves_no_half_bundle(run: Path, tmp_path: Path):
    code = (
        "import os, signal, sys, gru4rec_cli.serving.bundle as b\n"
        "b.write_text = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from pathlib import Path\nb.export_bundle(Path(sys.argv[1]), 'markov', Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run), str(tmp_path / "bundle")], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "bundle").exists()
    export_bundle(run, "markov", tmp_path / "bundle")
    load_bundle(tmp_path / "bundle")


def test_a_run_that_was_not_evaluated_has_a_card_that_says_so(run: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "evaluate")
    export_bundle(copy, "markov", tmp_path / "bundle")
    assert "was not evaluated" in (tmp_path / "bundle" / "README.md").read_text()


GRU = {"epochs": 1, "batch_size": 8, "n_sample": 8}
NETWORKS = [
    {"layers": [16]},
    {"layers": [16], "embedding": 12},
    {"layers": [16], "embedding": "none"},
    {"layers": [12, 8]},
    {"layers": [12, 8], "embedding": "none", "loss": "bpr-max"},
]


@pytest.mark.parametrize("given", NETWORKS, ids=str)
def test_a_step_in_onnxruntime_gives_our_scores(tmp_path: Path, given: dict[str, Any]):
    onnxruntime = pytest.importorskip("onnxruntime")
    from gru4rec_cli.serving.onnx_step import write_step

    model = fitted("gru4rec", GRU | given)
    facts = write_step(model, tmp_path)
    assert facts["largest_difference"] <= 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / facts["file"]), providers=["CPUExecutionProvider"])
    for history in ([3], [3, 9, 4, 4, 20]):
        state = np.zeros((1, model.model.state_size), dtype=np.float32)  # type: ignore[attr-defined]
        for item in history:
            scores, state = session.run(None, {"item": np.array([item]), "state": state})
        items, ours = model.model.recommend(history, 5)
        np.testing.assert_allclose(scores[0, items], ours, rtol=1e-4, atol=1e-5)


def test_a_graph_that_gives_other_scores_is_not_kept(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("gru4rec_cli.serving.onnx_step._largest_difference", lambda *_: float("nan"))
    with pytest.raises(CheckError, match="other scores"):
        export_bundle(run, "gru4rec", tmp_path / "bundle", onnx=True)
    assert list(tmp_path.iterdir()) == []


def test_other_kinds_have_no_step(run: Path, tmp_path: Path):
    done = study("export", "--run-dir", run, "--model", "markov", "--to", tmp_path / "bundle", "--onnx")
    assert done.returncode == 2
    assert "markov has no step" in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_of_text_ids(tmp_path: Path):
    model = fitted("markov", {})
    named = FittedModel("markov", model.settings, 1, model.model, np.array([f"ö/{i}" for i in range(50)], dtype=object))
    folder = tmp_path / "run" / "baseline" / "mine"
    folder.mkdir(parents=True)
    registry.save_model(folder, "markov", model.settings, 1, model.model, named.ids)
    export_bundle(tmp_path / "run", "mine", tmp_path / "bundle")
    same(load_bundle(tmp_path / "bundle"), named)
