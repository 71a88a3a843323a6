"""Every check of a model finds its fault, and our models pass all of them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gru4rec_cli.audit.check import Result
from gru4rec_cli.audit.model import MODEL, Histories, Scorer, Scores, audit_model
from gru4rec_cli.base.errors import DataError
from tests.audit.faulty import by_id, wrong
from tests.conformance.test_conformance_command import ADAPTER, CASES, GOLDEN, PLANTED
from tests.small import run_small, study

ITEMS = 60
HISTORIES = [np.random.default_rng(seed).integers(0, ITEMS, 1 + seed % 7).tolist() for seed in range(60)]
WEIGHTS = np.random.default_rng(0).normal(size=(ITEMS, ITEMS))


def plain(histories: Histories) -> Scores:
    """The sum of the clicked items' rows, the last ones weighing more."""
    return np.stack([sum(0.7**age * WEIGHTS[item] for age, item in enumerate(history[::-1])) for history in histories])


def results(score: Callable[[Histories], Scores], **more: object) -> dict[str, Result]:
    return by_id(audit_model(Scorer("made up", score, HISTORIES, **more)).results)  # type: ignore[arg-type]


def test_a_model_without_fault_passes():
    found = results(plain, again=lambda: plain)
    assert wrong(found) == set()
    assert [name for name, result in found.items() if result.verdict == "NOT CHECKED"] == [
        "M12-unknown-items",
        "M13-conformance",
    ]


def not_a_number(histories: Histories) -> Scores:
    scores = plain(histories)
    scores[[len(history) > 6 for history in histories], 3] = np.nan
    return scores


def dropout_on(histories: Histories) -> Scores:
    scores = plain(histories)
    scores[:, np.random.default_rng().random(ITEMS) < 0.1] = 0
    return scores


def normalised_over_the_batch(histories: Histories) -> Scores:
    scores = plain(histories)
    scores -= scores.mean(axis=0)
    return scores


class StateKept:
    """Carries a part of the last state into the next session."""

    def __init__(self) -> None:
        self.state = np.zeros(ITEMS)

    def __call__(self, histories: Histories) -> Scores:
        found = []
        for history in histories:
            self.state = plain([history])[0] + 0.1 * self.state
            found.append(self.state)
        return np.stack(found)


def padded_mean(histories: Histories) -> Scores:
    scores, longest = plain(histories), max(map(len, histories))
    scores += WEIGHTS[0] * np.array([[longest - len(history)] for history in histories])
    return scores


def last_click_alone(histories: Histories) -> Scores:
    return WEIGHTS[[history[-1] for history in histories]]


def popularity_alone(histories: Histories) -> Scores:
    return np.tile(WEIGHTS[0], (len(histories), 1))


def bag_of_clicks(histories: Histories) -> Scores:
    return np.stack([WEIGHTS[list(history)].sum(axis=0) + WEIGHTS[history[-1]] for history in histories])


def saturated(histories: Histories) -> Scores:
    return np.clip(plain(histories), -1, 1)


def the_input(histories: Histories) -> Scores:
    return plain(histories) + 100 * np.eye(ITEMS)[[history[-1] for history in histories]]


FAULTY: list[tuple[Callable[[Histories], Scores], str]] = [
    (not_a_number, "M01-numbers"),
    (dropout_on, "M02-determinism"),
    (normalised_over_the_batch, "M03-batches"),
    (StateKept(), "M04-state"),
    (padded_mean, "M05-padding"),
    (last_click_alone, "M06-history"),
    (popularity_alone, "M07-popularity"),
    (bag_of_clicks, "M08-order"),
    (saturated, "M09-ties"),
    (the_input, "M10-repeats"),
]


@pytest.mark.parametrize(("score", "check"), FAULTY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_is_found(score: Callable[[Histories], Scores], check: str):
    assert check in wrong(results(score))


def test_a_model_that_loads_as_another_one_is_found():
    assert "M11-reload" in wrong(results(plain, again=lambda: the_input))


def test_unknown_clicks_that_count_are_found():
    assert "M12-unknown-items" in wrong(results(plain, skips_unknown=True))  # −1 is the last item here


def test_every_check_has_a_fault_that_it_finds():
    others = {"M11-reload", "M12-unknown-items", "M13-conformance"}
    assert {check for _, check in FAULTY} | others == set(MODEL.all)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"score\(60 histories\) gave an array of shape \(60,\)"):
        results(lambda histories: np.zeros(len(histories)))


AROUND = """
import numpy as np
from my_gru4rec import MyGRU4Rec  # noqa: F401 - the implementation of the conformance tests

ITEMS = 30
WEIGHTS = np.random.default_rng(0).normal(size=(ITEMS, ITEMS))
histories = [np.random.default_rng(seed).integers(0, ITEMS, 1 + seed % 7).tolist() for seed in range(40)]


def score(histories):
    return np.stack([sum(0.7**age * WEIGHTS[i] for age, i in enumerate(h[::-1])) for h in histories])
"""


def audited(folder: Path, case: str, fault: str) -> dict[str, dict[str, str]]:
    """The checks of the adapter of the documents around an implementation with a fault."""
    module = folder / "theirs.py"
    module.write_text(AROUND + ADAPTER.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULT", fault)
        done = study(
            "audit", "model", "--module", module, "--case", GOLDEN / f"{case}.npz", "--json", "--quiet",
            cwd=Path(__file__).parents[1] / "conformance",
        )  # fmt: skip
    assert done.returncode == (6 if fault else 0), done.stderr
    return {check["id"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED)
def test_a_faulty_implementation_of_gru4rec_is_failed_and_its_fault_named(fault: str, tmp_path: Path):
    case, name = PLANTED[fault]
    found = audited(tmp_path, case, fault)["M13-conformance"]
    assert found["verdict"] == "FAIL"
    assert found["evidence"] == f"{case}: {name}"


@pytest.mark.slow
def test_an_implementation_without_fault_passes(tmp_path: Path):
    assert audited(tmp_path, "xe_shared", "")["M13-conformance"]["verdict"] == "PASS"
    assert len(CASES) == 11


def test_our_models_pass(tmp_path: Path):
    run = run_small(tmp_path)
    for model in ("gru4rec", "markov"):
        done = study("audit", "model", run, "--model", model, "--json", "--quiet")
        assert done.returncode == 0, done.stdout
    done = study("audit", "model", run, "--model", "gru4re")
    assert done.returncode == 2
    assert "its models are" in done.stderr
    assert study("audit", "model", run).returncode == 2


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("histories = [[1]]\ndef score(h):\n    raise ValueError('boom')", 5, "failed: ValueError: boom"),
        ("import sys\nsys.exit(0)", 5, "failed: SystemExit: 0"),
        ("histories = [[1]]\ndef score(h):\n    import sys\n    sys.exit(0)", 5, "failed: SystemExit: 0"),
        ("def score(:", 5, "failed: SyntaxError"),
        ("histories = [[1]]\ndef score(h):\n    return [['a']]", 3, "gave no numbers"),
        (
            "histories = [[], [1]]\ndef score(h):\n    return [[0.0]] * len(h)",
            2,
            "histories are not lists of item indices",
        ),
        ("histories = [[1], [2]]\ndef score(h):\n    return [[0.0] * len(h)] * len(h)", 3, "of shape (1, 1)"),
        ("histories = [[1]]", 2, "lacks score(histories) or histories"),
    ],
)
def test_a_module_that_fails_is_named(module: str, code: int, said: str, tmp_path: Path):
    (tmp_path / "theirs.py").write_text(module)
    done = study("audit", "model", "--module", tmp_path / "theirs.py", "--json", "--quiet")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert said in json.loads(done.stdout)["error"]["message"]


def test_what_a_module_prints_is_not_in_the_document(tmp_path: Path):
    printing = AROUND.replace("from my_gru4rec", "print('hello')\n# from my_gru4rec")
    (tmp_path / "theirs.py").write_text(printing)
    done = study("audit", "model", "--module", tmp_path / "theirs.py", "--json", "--quiet")
    assert json.loads(done.stdout)["checks"]
    assert "hello" in done.stderr
