"""On planted data no model is above the oracle beyond its interval: one that is has seen what it must not."""

import json
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.models import registry
from tests.models.small import GRADIENT
from tests.small import SMALL, study, write_config


@pytest.mark.slow
def test_no_model_beats_the_oracle(tmp_path: Path):
    others = [kind for kind in registry.kinds() if kind not in ("gru4rec", "official")]
    baselines: dict[str, Any] = {kind: {"epochs": 2} if kind in GRADIENT else {} for kind in others}
    config = {**SMALL, "baseline": {"models": baselines | {"markov-2": {"kind": "markov", "order": 2}}}}
    config["evaluate"] = {"resamples": 200, "permutations": 100}
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "run" / "evaluate" / "metrics.json").read_text())
    assert set(document["models"]) == {*baselines, "markov-2", "gru4rec", ORACLE}
    against = [row for row in document["differences"] if ORACLE in (row["first"], row["second"])]
    assert len(against) == 3 * (len(document["models"]) - 1)
    for row in against:
        above = -row["high"] if row["first"] == ORACLE else row["low"]  # of the model over the oracle, at least
        assert above <= 0, f"{row['first']} against {row['second']} in {row['metric']}"
