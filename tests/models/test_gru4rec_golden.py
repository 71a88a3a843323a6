"""Replays what the author's implementation computed, step by step, with its weights and its negatives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch

from gru4rec_cli.columns import ITEM, SESSION, TIME
from gru4rec_cli.data.sessions import Sessions, Vocabulary, sessions_from_frame
from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.lanes import lane_steps
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.network import zero_states
from gru4rec_cli.models.gru4rec.training import Trainer, carry

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
# The agreement is on float32 arithmetic in another order: loss relative, weights absolute.
LOSS_TOLERANCE = 3e-5
WEIGHT_TOLERANCE = 4.2e-5

Record = dict[str, npt.NDArray[Any]]


def recorded(case: str) -> tuple[Record, dict[str, Any]]:
    with np.load(GOLDEN / f"{case}.npz") as arrays:
        record = {name: arrays[name] for name in arrays.files}
    return record, json.loads((GOLDEN / f"{case}.json").read_text())


def sessions_in(record: Record, part: str) -> Sessions:
    frame = pl.DataFrame(
        {SESSION: record[f"{part}/SessionId"], ITEM: record[f"{part}/ItemId"], TIME: record[f"{part}/Time"]}
    )
    start = pl.col(TIME).min().over(SESSION)
    ordered = frame.sort(SESSION, TIME, maintain_order=True).sort(start, SESSION, TIME, maintain_order=True)
    return sessions_from_frame(ordered, Vocabulary(record["item_ids"]))


def settings_of(given: dict[str, Any]) -> Settings:
    same = ("layers", "loss", "batch_size", "learning_rate", "momentum", "n_sample", "sample_alpha")
    loss = ("logq",) if given["loss"] == "cross-entropy" else ("bpreg", "elu_param")
    embedding = "shared" if given["constrained_embedding"] else given["embedding"] or "none"
    here = {"epochs": given["n_epochs"], "dropout_p_hidden": 0.0, "embedding": embedding}
    return Settings.model_validate_json(json.dumps({key: given[key] for key in (*same, *loss)} | here))


def trainer_of(case: str) -> tuple[Trainer, Record, dict[str, Any]]:
    record, described = recorded(case)
    trainer = Trainer(sessions_in(record, "train"), settings_of(described["hyperparameters"]), seed=0)
    for name, value in trainer.parameters.items():
        value.copy_(torch.from_numpy(record[f"init/{name}"]).reshape(value.shape))
    return trainer, record, described


def replay(trainer: Trainer, record: Record) -> list[float]:
    """Train as recorded, checking every mini-batch; the loss of every step."""
    losses: list[float] = []
    settings = trainer.settings
    for _ in range(settings.epochs):
        states = zero_states(settings.batch_size, settings)
        for lanes in trainer.lanes():
            step, width = len(losses), len(lanes.rows)
            rows = torch.from_numpy(lanes.rows)
            inputs, targets = trainer.items[rows], trainer.items[rows + 1]
            assert width == record["step/n_valid"][step]
            assert inputs.tolist() == record["step/input"][step][:width].tolist()
            assert targets.tolist() == record["step/target"][step][:width].tolist()
            drawn = record["step/negatives"][step] if settings.n_sample else np.zeros(0)
            negatives = torch.from_numpy(drawn.astype(np.int64))
            loss, states = trainer.step(inputs, targets, negatives, carry(states, lanes))
            losses.append(loss)
    return losses


def measured_events(test: Sessions, min_lanes: int) -> npt.NDArray[np.int64]:
    """The events that the author's evaluation measures: it walks the test sessions with the training's lanes (four of
    them here), which without extra negatives stop when a single one is left, so that a few last events are not seen."""
    numbers = np.cumsum(np.isin(np.arange(test.n_events), test.input_rows())) - 1
    return np.concatenate([numbers[step.rows] for step in lane_steps(test, 4, min_lanes=min_lanes)])


@pytest.mark.parametrize("case", CASES)
def test_training_replays_step_by_step(case: str):
    trainer, record, _ = trainer_of(case)
    losses = replay(trainer, record)
    np.testing.assert_allclose(losses, record["step/loss"], rtol=LOSS_TOLERANCE)
    for name, value in trainer.parameters.items():
        expected = record[f"final/{name}"].reshape(value.shape)
        np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=WEIGHT_TOLERANCE, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_final_weights_give_the_recorded_scores_and_metrics(case: str):
    trainer, record, described = trainer_of(case)
    test = sessions_in(record, "test")
    model = Model(trainer.settings, seed=0)
    model.parameters = {
        name: torch.from_numpy(record[f"final/{name}"]).reshape(value.shape)
        for name, value in trainer.parameters.items()
    }
    scores = np.concatenate([block.scores for block in model.score(test)])
    owners = test.session_ids[test.event_sessions()]
    event = {
        key: row for row, key in enumerate(zip(owners.tolist(), (test.event_positions() - 1).tolist(), strict=True))
    }
    rows = [event[session, position] for session, position, _ in record["test_keys"].tolist()]
    assert sorted(rows) == list(range(test.n_targets))
    np.testing.assert_allclose(scores[rows], record["test_scores"], rtol=1e-4, atol=1e-5)
    greater = (scores > scores[np.arange(len(scores)), test.target_items()][:, None]).sum(axis=1)
    measured = measured_events(test, trainer.min_lanes)
    for k, recall in described["metrics"]["standard"]["recall"].items():
        assert np.mean(greater[measured] < int(k)) == pytest.approx(recall, abs=1e-9)
