"""The counting baselines on recorded runs of session-rec, and on cases by definition (golden_knn/README.md)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.data.sessions import UNSEEN, Sessions, Vocabulary
from tests.models.plain import Scores, assert_proportional, fit_and_score

CASES = [
    (document["algorithm"], case)
    for path in sorted((Path(__file__).parent / "golden_knn").glob("*.json"))
    for document in [json.loads(path.read_text())]
    for case in document["cases"]
]


def training_sessions(case: dict[str, Any]) -> Sessions:
    """The training sessions of a case in visiting order; times of a case are seconds."""
    sessions = sorted(case["training"], key=lambda session: (session["times"][0], session["session"]))
    ids, items = np.unique([item for session in sessions for item in session["items"]], return_inverse=True)
    return Sessions(
        items.astype(np.int32),
        np.cumsum([0] + [len(session["items"]) for session in sessions]),
        np.array([time for session in sessions for time in session["times"]]) * 1_000_000,
        np.array([session["session"] for session in sessions]),
        Vocabulary(ids, np.bincount(items)),
    )


def scores_by_id(kind: str, case: dict[str, Any]) -> Scores:
    train = training_sessions(case)
    ids = train.vocabulary.ids.tolist()
    history = [ids.index(item) if item in ids else UNSEEN for item in case["history"]]
    return {ids[item]: score for item, score in fit_and_score(kind, train, history, **case["settings"]).items()}


@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}: {case['name']}" for kind, case in CASES])
def test_scores_are_those_of_session_rec_or_of_the_definition(kind: str, case: dict[str, Any]):
    """Faults 1, 2 and 3: `fault 1` distances, `fault 2` equal similarities, `fault 3` old sessions."""
    recorded = case["reference_scores"] if case["copy_reference"] else case["expected"]
    found = {item: score for item, score in scores_by_id(kind, case).items() if score > 1e-30}
    assert_proportional(found, {int(item): score for item, score in recorded.items()})
