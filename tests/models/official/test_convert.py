"""Parameters and saved models, to the author's formats and back."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.evaluation.metrics import metric_values, ranks
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.models import gru4rec, registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.official import Settings as AuthorSettings
from gru4rec_cli.models.official.adapter import AuthorCode, seeded
from gru4rec_cli.models.official.convert import export_checkpoint, import_checkpoint
from gru4rec_cli.models.official.fetching import verified_checkout
from gru4rec_cli.models.official.parameters import as_section, read_parameters, settings_of
from gru4rec_cli.models.official.worker import _frame
from tests.fetched import needs_fetch
from tests.small import study
from tests.worlds import random_sessions

FILE = """from collections import OrderedDict
gru4rec_params = OrderedDict([
    ('loss', 'bpr-max'), ('constrained_embedding', False), ('embedding', 'layersize'), ('layers', [10, 20]),
    ('elu_param', 1), ('bpreg', 0.9), ('logq', 0.0), ('n_epochs', 3),
])
"""


def test_a_parameter_file_becomes_settings_and_is_not_executed(tmp_path: Path):
    path = tmp_path / "params.py"
    path.write_text(FILE + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    settings = settings_of(read_parameters(str(path)))
    assert settings == gru4rec.Settings(
        loss="bpr-max", embedding="layersize", layers=(10, 20), elu_param=1.0, bpreg=0.9, epochs=3,
        batch_size=64, learning_rate=0.05, momentum=0.0, dropout_p_hidden=0.0,
    )  # fmt: skip
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["gru4rec_params = f()", "gru4rec_params = dict(loss=f())", "x = 1", "a b", "["])
def test_what_would_have_to_run_is_no_parameter_file(tmp_path: Path, text: str):
    (tmp_path / "params.py").write_text(text)
    with pytest.raises(UsageError):
        read_parameters(str(tmp_path / "params.py"))


def test_a_string_becomes_a_section_that_a_configuration_can_hold():
    text = as_section(
        read_parameters("loss=cross-entropy,layers=100/50,constrained_embedding=True,logq=1,momentum=0.2")
    )
    entry = yaml.safe_load(text)["train"]["models"]["gru4rec"]
    settings = gru4rec.Settings.model_validate_json(json.dumps(entry))
    assert settings.layers == (100, 50)
    assert settings.embedding == "shared"
    assert settings.logq == 1.0
    assert settings.batch_size == 64  # the author's default, not ours


@pytest.mark.parametrize(
    "text", ["layers=a", "loss=top1", "speed=3", "loss", "constrained_embedding=maybe", "layers=0"]
)
def test_what_the_author_does_not_know_is_refused(text: str):
    with pytest.raises(UsageError):
        settings_of(read_parameters(text))


def test_parameters_there_and_back_are_the_same():
    for given in ({}, {"embedding": "none"}, {"embedding": 7, "loss": "bpr-max", "bpreg": 0.3}, {"layers": (4, 5)}):
        settings = AuthorSettings.model_validate(given)
        back = settings_of(settings.author_parameters())
        assert (
            AuthorSettings.model_validate(
                {name: getattr(back, name) for name in AuthorSettings.model_fields}
            ).author_parameters()
            == settings.author_parameters()
        )


def test_the_command_prints_the_section():
    done = study("convert-parameters", "layers=7,n_epochs=2")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["train"]["models"]["gru4rec"]["layers"] == [7]
    assert study("convert-parameters", "speed=1").returncode == 2


def test_a_checkpoint_is_not_opened_without_consent(tmp_path: Path):
    (tmp_path / "model.pt").write_bytes(b"")
    done = study("import-checkpoint", tmp_path / "model.pt", "--to", tmp_path / "model")
    assert done.returncode == 2
    assert "runs any code" in done.stderr
    assert "--yes-unpickle" in done.stderr


def a_model(**settings: Any) -> gru4rec.Model:
    given = {"layers": [8], "epochs": 1, "batch_size": 8, "n_sample": 8} | settings
    model = gru4rec.Model(gru4rec.Settings.model_validate_json(json.dumps(given)))
    model.fit(random_sessions(40, 200, seed=1), FitContext(seed=1))
    return model


def save(model: gru4rec.Model, folder: Path) -> Path:
    folder.mkdir()
    ids = np.array([f"item {index}" for index in range(40)])
    registry.save_model(folder, "gru4rec", model.settings, 1, model, ids)
    return folder


def scores(model: Any) -> Any:
    return np.concatenate([block.dense() for block in model.score(random_sessions(40, 30, seed=2))])


@needs_fetch
@pytest.mark.parametrize(
    "settings",
    [{}, {"layers": [8, 8]}, {"embedding": "none", "layers": [6, 8]}, {"embedding": 5, "loss": "bpr-max"}],
    ids=["shared", "two layers", "one-hot", "separate"],
)
def test_a_model_that_is_exported_and_imported_gives_the_same_scores(tmp_path: Path, settings: dict[str, Any]):
    model = a_model(**settings)
    export_checkpoint(save(model, tmp_path / "ours"), tmp_path / "author.pt")
    described = import_checkpoint(tmp_path / "author.pt", tmp_path / "back")
    assert described["items"] == 40
    back = registry.load_model(tmp_path / "back")
    assert scores(back.model) == pytest.approx(scores(model), abs=1e-5)
    ids = pl.read_parquet(tmp_path / "back" / "items.parquet")["item_id"].to_list()
    assert ids == [f"item {index}" for index in range(40)]


@needs_fetch
def test_the_authors_unpatched_code_opens_what_was_exported(tmp_path: Path):
    model = a_model()
    export_checkpoint(save(model, tmp_path / "ours"), tmp_path / "author.pt")
    code = """
import sys, torch
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from gru4rec_pytorch import GRU4Rec
gru = GRU4Rec.loadmodel(sys.argv[2], device="cpu")
assert list(gru.data_iterator.itemidmap.index[:2]) == ["item 0", "item 1"]
print(gru.model.forward(torch.tensor([3] * 32), [torch.zeros(32, 8)], None)[0].tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(verified_checkout()), str(tmp_path / "author.pt")],
        capture_output=True,
        text=True,
        check=False,
        env={"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
    )
    assert done.returncode == 0, done.stderr
    _, expected = model.recommend([3], 40)
    assert sorted(json.loads(done.stdout), reverse=True) == pytest.approx(expected.tolist(), abs=1e-5)


@needs_fetch
def test_a_model_that_the_authors_code_trained_and_saved_is_imported(tmp_path: Path):
    train, test = random_sessions(40, 200, seed=1), random_sessions(40, 30, seed=2)
    author = AuthorCode(verified_checkout(), lambda events: None)
    trained = author.gru.GRU4Rec(**{"layers": [8], "n_epochs": 1, "n_sample": 4}, device=torch.device("cpu"))
    with seeded(1):
        trained.fit(_frame(train.items, train.offsets), sample_cache_max_size=1000)
    trained.savemodel(tmp_path / "author.pt")
    import_checkpoint(tmp_path / "author.pt", tmp_path / "ours")
    ids = pl.read_parquet(tmp_path / "ours" / "items.parquet")["item_id"].to_numpy()
    recall, mrr = author.evaluation.batch_eval(trained, _frame(test.items, test.offsets), cutoff=[5], batch_size=8)
    place = np.argsort(ids)  # his index of every item
    renumbered = dataclasses.replace(test, items=place[test.items].astype(np.int32))
    found = rank_targets(registry.load_model(tmp_path / "ours").model.score(renumbered), renumbered)
    rank = ranks(found.greater, found.equal, "conservative")
    assert metric_values(rank, "recall", 5).mean() == pytest.approx(recall[5])
    assert metric_values(rank, "mrr", 5).mean() == pytest.approx(mrr[5])


@needs_fetch
def test_files_that_are_no_saved_model_are_refused(tmp_path: Path):
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(DataError, match="is damaged, or no model that the author's code saved: UnpicklingError"):
        import_checkpoint(tmp_path / "text.pt", tmp_path / "model")
    torch.save({"a": 1}, tmp_path / "dict.pt")
    with pytest.raises(DataError, match=r"holds builtins\.dict"):
        import_checkpoint(tmp_path / "dict.pt", tmp_path / "model")
    with pytest.raises(DataError, match="no file"):
        import_checkpoint(tmp_path / "none.pt", tmp_path / "model")
    assert not (tmp_path / "model").exists()


@needs_fetch
def test_the_commands_convert_there_and_back(tmp_path: Path):
    folder = save(a_model(), tmp_path / "ours")
    done = study("export-checkpoint", folder, "--to", tmp_path / "author.pt", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"] == 40
    done = study("import-checkpoint", tmp_path / "author.pt", "--to", tmp_path / "back", "--yes-unpickle")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back" / "weights.safetensors").exists()
    (folder / "items.parquet").unlink()
    done = study("export-checkpoint", folder, "--to", tmp_path / "author.pt")
    assert done.returncode == 4
    assert "--items" in done.stderr


@needs_fetch
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model.layers = [9]", "output_embedding is 40×8 float32, and by the settings 40×9"),
        ("model.layers = 'a'", "these parameters have no counterpart here: layers"),
        ("model.logq = object()", "TypeError"),
        ("del model.data_iterator.itemidmap", "AttributeError"),
        ("model.data_iterator.itemidmap = model.data_iterator.itemidmap[:7]", "not numbered from 0 to 39"),
        ("model.data_iterator.itemidmap.index = [1.5] * 40", "neither all integers of 64 bits nor all text"),
        ("model.data_iterator.itemidmap.index = [1] * 40", "its item ids are not distinct"),
        ("del model.model", "not a trained GRU4Rec"),
    ],
)
def test_a_checkpoint_with_wrong_parts_is_refused_with_what_is_wrong(tmp_path: Path, change: str, said: str):
    export_checkpoint(save(a_model(), tmp_path / "ours"), tmp_path / "author.pt")
    AuthorCode(verified_checkout(), lambda events: None)  # its modules are then known to pickle
    model = torch.load(tmp_path / "author.pt", weights_only=False)
    exec(change, {"model": model})
    torch.save(model, tmp_path / "author.pt")
    with pytest.raises(DataError, match=re.escape(said)):
        import_checkpoint(tmp_path / "author.pt", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "text",
    [
        "gru4rec_params = {'layers': 5}",
        "gru4rec_params = {'layers': None}",
        "gru4rec_params = {5: 5}",
        "gru4rec_params = " + "-" * 100_000 + "1",
        "gru4rec_params = " + "[" * 5_000,
    ],
    ids=["number", "none", "key", "minus", "brackets"],
)
def test_odd_parameter_files_are_refused(tmp_path: Path, text: str):
    (tmp_path / "params.py").write_text(text)
    with pytest.raises(UsageError):
        settings_of(read_parameters(str(tmp_path / "params.py")))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.json", b"{}"),
        ("model.json", b'{"kind": "gru4rec", "settings": {"layers": 5}, "seed": 1}'),
        ("model.json", b'{"kind": "gru4rec", "settings": {"layers": [9]}, "seed": 1}'),
        ("weights.safetensors", b""),
        ("items.parquet", b"PAR1"),
    ],
)
def test_a_damaged_model_is_not_exported_and_the_message_names_it(tmp_path: Path, file: str, content: bytes):
    folder = save(a_model(), tmp_path / "ours")
    (folder / file).write_bytes(content)
    done = study("export-checkpoint", folder, "--to", tmp_path / "author.pt")
    assert done.returncode == 4, done.stderr
    assert "ours" in done.stderr
    assert "damaged" in done.stderr
    assert "try:" in done.stderr
