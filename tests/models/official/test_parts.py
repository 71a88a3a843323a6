"""What needs no fetched code: messages, settings, and the refusal to run without it."""

import io
from pathlib import Path

import numpy as np
import pytest

from gru4rec_cli.models import gru4rec, official
from gru4rec_cli.models.official.messages import receive, send
from tests.small import SMALL, study, write_config


def test_messages_carry_arrays_of_any_shape():
    stream = io.BytesIO()
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.zeros((0, 4), dtype=np.float32)}
    send(stream, {"kind": "x", "n": 1}, arrays | {"c": np.arange(8)[::2]})
    send(stream, {"kind": "y"})
    stream.seek(0)
    first, second = receive(stream), receive(stream)
    assert first is not None
    assert first[0] == {"kind": "x", "n": 1}
    assert {name: value.tolist() for name, value in first[1].items()} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [],
        "c": [0, 2, 4, 6],
    }
    assert first[1]["a"].dtype == np.int32
    assert second == ({"kind": "y"}, {})
    assert receive(stream) is None


def test_a_message_that_is_cut_short_is_no_message():
    stream = io.BytesIO()
    send(stream, {"kind": "x"}, {"a": np.arange(100)})
    for length in (5, len(stream.getvalue()) - 1):
        assert receive(io.BytesIO(stream.getvalue()[:length])) is None


def test_settings_have_the_names_defaults_and_meanings_of_our_gru4rec():
    ours = gru4rec.Settings.model_fields
    for name, field in official.Settings.model_fields.items():
        assert field.default == ours[name].default, name
        assert field.description == ours[name].description, name


def test_the_authors_parameters_are_those_of_his_file_for_rsc15():
    assert official.Settings().author_parameters() == {
        "loss": "cross-entropy", "constrained_embedding": True, "embedding": 0, "layers": [100], "n_epochs": 10,
        "batch_size": 32, "learning_rate": 0.2, "momentum": 0.2, "n_sample": 2048, "sample_alpha": 0.5,
        "dropout_p_embed": 0.0, "dropout_p_hidden": 0.4, "logq": 1.0, "bpreg": 1.0, "elu_param": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("shape", [{"layers": (8, 16)}, {"embedding": 5}, {"embedding": "none", "layers": (8, 8)}])
def test_shapes_that_the_first_initialisation_cannot_do_take_the_second(shape: dict[str, object]):
    assert not official.Settings.model_validate(shape).compatible
    assert official.Settings.model_validate({"layers": (8, 8)}).compatible
    assert official.Settings(embedding="none").compatible


def test_without_the_fetched_code_nothing_runs_and_the_command_to_fetch_it_is_named(tmp_path: Path):
    config = write_config(tmp_path, {**SMALL, "train": {"models": {"official": {"epochs": 1}}}})
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", GRU4REC_STUDY_VENDOR=str(tmp_path / "none"))
    assert done.returncode == 4
    assert "run first: gru4rec-study fetch" in done.stderr
    assert not (tmp_path / "run" / "synth").exists()
