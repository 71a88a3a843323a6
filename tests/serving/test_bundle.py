"""`export` and bundles: what is written is what was fitted, whole, and damage is refused."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.base.errors import CheckError, StageError, UsageError
from gru4rec_cli.base.files import hash_folder, write_manifest
from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.evaluation.ranking import tiles
from gru4rec_cli.models import registry
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.serving import export_bundle, load_bundle, load_run
from tests.fetched import fetched
from tests.serving.test_engine import KINDS, fitted
from tests.small import SMALL, study, write_config
from tests.worlds import random_sessions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


CONFIG: dict[str, Any] = {
    **SMALL,
    "seeds": [1, 2],
    "synth": {"sessions": 800, "items": 50, "interests": 2, "successors": 3},
    "evaluate": {"resamples": 50, "confidence": 0.9},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    done = study("run", "--config", write_config(folder, CONFIG), "--run-dir", folder / "run", "--quiet")
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
        with pytest.raises(UsageError, match="cannot be written: No space"):
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


def test_an_export_that_was_killed_while_it_replaced_a_bundle_loses_none(run: Path, tmp_path: Path):
    export_bundle(run, "markov", tmp_path / "bundle")
    code = (
        "import os, signal, sys, pathlib, gru4rec_cli.serving.bundle as b\n"
        "rename, count = pathlib.Path.rename, []\n"
        "def second(self, to):\n"
        "    count.append(to)\n"
        "    return rename(self, to) if len(count) < 2 else os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path.rename = second\n"
        "run, to = map(pathlib.Path, sys.argv[1:])\n"
        "b.export_bundle(run, 'popularity', to, force=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run), str(tmp_path / "bundle")], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "bundle").exists()
    with pytest.raises(UsageError, match="a bundle already"):
        export_bundle(run, "popularity", tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").kind == "markov"


def test_a_full_disk_leaves_nothing(run: Path, tmp_path: Path):
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom gru4rec_cli.serving import export_bundle, load_run\n"
        "load_run(Path(sys.argv[1])).model('markov')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "export_bundle(Path(sys.argv[1]), 'markov', Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run), str(tmp_path / "bundle")], capture_output=True, text=True, check=False
    )
    assert "UsageError" in done.stderr
    assert "the bundle cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", [".", "..", "../.."])
def test_the_current_folder_is_not_replaced(run: Path, tmp_path: Path, to: str):
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    done = study("export", "--run-dir", run, "--model", "markov", "--to", to, cwd=here)
    assert done.returncode == 2
    assert "this is the current folder, or above it" in done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "damaged"),
    [
        ("gru4rec", "train/gru4rec.seed-1/weights.safetensors"),
        ("markov", "baseline/markov/arrays.safetensors"),
        ("markov", "evaluate/metrics.csv"),
        ("markov", "evaluate/metrics.json"),
        ("markov", "split/statistics.json"),
    ],
)
def test_what_is_damaged_in_the_run_is_not_exported(run: Path, tmp_path: Path, model: str, damaged: str):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / damaged
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match=f"{path.name} is damaged"):
        export_bundle(tmp_path / "run", model, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def card_of(bundle: Path) -> tuple[dict[str, Any], str]:
    return json.loads((bundle / "card.json").read_text()), (bundle / "README.md").read_text()


def test_the_card_has_the_numbers_of_its_seed_and_says_what_they_mean(run: Path, tmp_path: Path):
    export_bundle(run, "gru4rec.seed-2", tmp_path / "bundle")
    card, text = card_of(tmp_path / "bundle")
    with (run / "evaluate" / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["model"], row["seed"]) == ("gru4rec", "2")]
    for metric, ties in (("recall", "conservative"), ("coverage", "any")):
        (value,) = [
            float(row["value"])
            for row in rows
            if (row["metric"], row["k"], row["ties"], row["slice"]) == (metric, "5", ties, "all")
        ]
        assert [row["value"] for row in card["metrics"] if (row["metric"], row["k"]) == (metric, 5)] == [value]
        assert f"| {metric}@5 | {value:.4f} |" in text
    statistics = json.loads((run / "split" / "statistics.json").read_text())
    assert card["data"]["split"] == statistics["settings"]
    train = statistics["parts"]["train"]
    assert f"| train | {train['sessions']} | {train['events']:,} | {train['items']} |" in text
    assert "by: ratio\ntest: 0.2\n" in text
    assert "Intervals: 0.9 confidence" in text
    assert "an item that scores as high as the target counts as above it" in text
    weights = hashlib.sha256((run / "train" / "gru4rec.seed-2" / "weights.safetensors").read_bytes()).hexdigest()
    assert f"| `weights.safetensors` | `{weights}` |" in text
    assert card["package"] is None


def test_metrics_and_data_of_an_earlier_fit_are_not_on_the_card(run: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    models = {"gru4rec": {**CONFIG["train"]["models"]["gru4rec"], "epochs": 1}}
    config = write_config(tmp_path / "changed", {**CONFIG, "train": {"models": models}})
    done = study("train", "--config", config, "--run-dir", copy, "--quiet")
    assert done.returncode == 0, done.stderr
    export_bundle(copy, "gru4rec", tmp_path / "retrained")
    card, text = card_of(tmp_path / "retrained")
    assert (card["settings"]["epochs"], card["metrics"], card["protocol"]) == (1, [], None)
    assert "The run was evaluated before its stage train ran last" in text
    assert card["data"]["parts"]["train"]["sessions"] > 0
    export_bundle(copy, "markov", tmp_path / "markov")  # the other section was evaluated as it is
    assert card_of(tmp_path / "markov")[0]["metrics"]

    config = write_config(tmp_path / "changed", {**CONFIG, "split": {"test": 0.3}})
    done = study("split", "--config", config, "--run-dir", copy, "--quiet")
    assert done.returncode == 0, done.stderr
    export_bundle(copy, "markov", tmp_path / "split-anew")
    card, text = card_of(tmp_path / "split-anew")
    assert (card["metrics"], card["data"]["parts"]) == ([], {})
    assert "The run was evaluated before its stage split ran last" in text


def test_a_file_that_kept_its_times_is_read_anew(run: Path, tmp_path: Path):
    export_bundle(run, "markov", tmp_path / "bundle")
    load_bundle(tmp_path / "bundle")
    path = tmp_path / "bundle" / "arrays.safetensors"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    os.utime(path, ns=times)
    with pytest.raises(StageError, match=r"arrays\.safetensors has changed"):
        load_bundle(tmp_path / "bundle")


def one_fit(run: Path, model: FittedModel, name: str = "mine") -> Path:
    """The folder of a fit in a run directory, as `train` writes it, without the rest of a run."""
    folder = run / "train" / name
    folder.mkdir(parents=True)
    registry.save_model(folder, model.kind, model.settings, model.seed, model.model, model.ids)
    return folder


def test_only_files_of_the_model_are_exported(tmp_path: Path):
    folder = one_fit(tmp_path / "run", fitted("markov", {}))
    (folder / "deep").mkdir()
    (folder / "deep" / "table.bin").write_bytes(b"of an installed kind")
    write_manifest(folder / "manifest.json", {"outputs": hash_folder(folder)})
    (folder / "passwords.txt").write_text("put here later")
    export_bundle(tmp_path / "run", "mine", tmp_path / "bundle")
    found = {path.relative_to(tmp_path / "bundle").as_posix() for path in (tmp_path / "bundle").rglob("*.*")}
    assert {"deep/table.bin", "model.json", "arrays.safetensors"} < found
    assert "passwords.txt" not in found
    load_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "deep" / "table.bin").write_bytes(b"of an installed_kind")
    with pytest.raises(StageError, match=r"deep/table\.bin has changed"):
        load_bundle(tmp_path / "bundle")


def rewritten(bundle: Path, **changes: Any) -> None:
    """Change what describes a bundle, with a version that fits."""
    described = json.loads((bundle / "bundle.json").read_text()) | changes
    described.pop("version")
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(described | {"version": digest[:16]}))


def test_kinds_that_are_not_installed_and_files_outside_are_refused(tmp_path: Path):
    one_fit(tmp_path / "run", fitted("markov", {}))
    bundle = tmp_path / "bundle"
    export_bundle(tmp_path / "run", "mine", bundle)
    described = json.loads((bundle / "bundle.json").read_text())
    (tmp_path / "outside").write_bytes(b"x")
    for name in ("../outside", str(tmp_path / "outside")):
        rewritten(bundle, files=described["files"] | {name: hashlib.sha256(b"x").hexdigest()})
        with pytest.raises(StageError, match="outside is missing"):
            load_bundle(bundle)
    model = json.loads((bundle / "model.json").read_text()) | {"kind": "elsewhere", "package": "their-models 2.1"}
    (bundle / "model.json").write_text(json.dumps(model))
    digest = hashlib.sha256((bundle / "model.json").read_bytes()).hexdigest()
    rewritten(bundle, kind="elsewhere", files=described["files"] | {"model.json": digest})
    with pytest.raises(StageError, match="'elsewhere', which is not installed") as refused:
        load_bundle(bundle)
    assert refused.value.hint == "install their-models 2.1"
    (bundle / "bundle.json").write_text("{")
    with pytest.raises(StageError, match="damaged") as refused:
        load_bundle(bundle)
    assert refused.value.hint == "export the model again"


def all_scores(model: FittedModel, test: Sessions) -> bytes:
    numbered = Sessions(**{**vars(test), "vocabulary": Vocabulary(model.ids, test.vocabulary.supports)})
    return b"".join(np.asarray(tile.dense()).tobytes() for tile in tiles(model.score(numbered)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_of_every_kind_gives_the_scores_of_the_run_bit_for_bit(tmp_path: Path, kind: str):
    model, test = fitted(kind, KINDS[kind]), random_sessions(50, 12, seed=2)
    one_fit(tmp_path / "run", model)
    export_bundle(tmp_path / "run", "mine", tmp_path / "bundle")
    shutil.rmtree(tmp_path / "run")
    expected = all_scores(model, test)
    assert len(expected) >= 4 * 50 * test.n_targets
    assert all_scores(load_bundle(tmp_path / "bundle"), test) == expected


def test_a_bundle_of_the_authors_code_holds_weights_and_says_what_it_needs(tmp_path: Path):
    settings = registry.settings_of("official", {"layers": [4]})
    model = registry.model_class("official")(settings)
    ours = fitted("gru4rec", GRU | {"layers": [4]}).model  # names and shapes are the same
    model.weights = {name: value.numpy() for name, value in ours.parameters.items()}  # type: ignore[attr-defined]
    one_fit(tmp_path / "run", FittedModel("official", settings, 1, model, np.arange(50)))
    export_bundle(tmp_path / "run", "mine", tmp_path / "bundle")
    assert "It is licensed for research and education only" in card_of(tmp_path / "bundle")[1]
    loaded = load_bundle(tmp_path / "bundle")
    weights = loaded.model.weights  # type: ignore[attr-defined]
    assert weights.keys() == model.weights.keys()  # type: ignore[attr-defined]
    assert all(weights[name].tobytes() == value.tobytes() for name, value in model.weights.items())  # type: ignore[attr-defined]
    if not fetched():
        with pytest.raises(StageError, match="author's code is not in") as refused:
            loaded.recommend([3])
        assert "gru4rec-study fetch" in refused.value.hint


def test_onnx_without_its_packages_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one_fit(tmp_path / "run", fitted("gru4rec", GRU))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match="--onnx needs onnxscript") as refused:
        export_bundle(tmp_path / "run", "mine", tmp_path / "bundle", onnx=True)
    assert refused.value.hint == "pip install 'gru4rec-study[onnx]'"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


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
