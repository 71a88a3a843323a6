"""Estimated times, from a clock that is set by hand."""

import json
from typing import Any

import pytest

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.reproducing import estimate as module
from gru4rec_cli.reproducing.estimate import RowTime, estimate
from gru4rec_cli.reproducing.table import PublishedTable
from tests.reproducing.test_reproduce import OWN

NEURAL = {"kind": "gru4rec", "layers": (4,), "epochs": 6, "batch_size": 8, "n_sample": 8}


def table(**rows: dict[str, Any]) -> PublishedTable:
    data = OWN["data"] | {"counts": {"train_targets": 50_000, "test_targets": 4_000, "items": 100}}
    models = {name: {"model": model} for name, model in rows.items()}
    return PublishedTable.model_validate_json(json.dumps(OWN | {"data": data, "rows": models, "seeds": [1, 2, 3]}))


def test_a_second_for_some_events_is_an_hour_for_more(monkeypatch: pytest.MonkeyPatch):
    """Fitting 10,000 events takes a second, ranking one a thousandth of one."""

    def fit(_: object, sessions: Sessions) -> float:
        return sessions.n_targets / 10_000

    monkeypatch.setattr(module, "_fit_seconds", fit)
    monkeypatch.setattr(module, "_ranking_seconds", lambda *_: 0.001)
    found = estimate("own", table(counting={"kind": "popularity"}, neural=NEURAL)).rows
    assert found["counting"].fits == 1
    assert found["counting"].fitting == pytest.approx(5)  # 50,000 events
    assert found["counting"].ranking == pytest.approx(4)  # 4,000 events
    assert found["neural"].fits == 3
    assert found["neural"].fitting == pytest.approx(3 * 6 * 5)  # of three seeds, six epochs each
    assert found["neural"].ranking == pytest.approx(3 * 4)


def test_every_kind_of_row_is_timed():
    found = estimate("own", table(counting={"kind": "popularity"}, neural=NEURAL))
    assert all(row.fitting > 0 and row.ranking > 0 for row in found.rows.values())
    assert found.seconds == sum(row.seconds for row in found.rows.values())
    assert found.shown().notes[0].startswith("estimated: about ")


def test_what_cannot_be_timed_is_named(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> float:
        raise StudyError("there is no GPU")

    monkeypatch.setattr(module, "_fit_seconds", fail)
    found = estimate("own", table(neural=NEURAL))
    assert found.rows == {"neural": RowTime(3, unknown="there is no GPU")}
    assert "neural: there is no GPU" in found.shown().notes
