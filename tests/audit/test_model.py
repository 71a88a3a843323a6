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


def plain(histories: Histories, weights: Scores = WEIGHTS) -> Scores:
    """The sum of the clicked items' rows, the last ones weighing more."""
    return np.stack([sum(0.7**age * weights[item] for age, item in enumerate(history[::-1])) for history in histories])


def backwards(histories: Histories) -> Scores:
    """The same model, its items numbered backwards."""
    return plain(histories, WEIGHTS[::-1, ::-1])


def results(score: Callable[[Histories], Scores], **more: object) -> dict[str, Result]:
    return by_id(audit_model(Scorer("made up", score, HISTORIES, **more)).results)  # type: ignore[arg-type]


def test_a_model_without_fault_passes():
    found = results(
        plain,
        again=lambda: plain,
        renumbered=lambda: (Scorer("made up", plain, HISTORIES), backwards),
        gradients=lambda: {"weights": np.array([0.0, 1e-30])},
        followed=lambda histories, futures: plain(histories),
    )
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


def first_item_as_padding(score: Callable[[Histories], Scores]) -> Callable[[Histories], Scores]:
    return lambda histories: score([[item for item in history if item] or [1] for history in histories])


def number_added(score: Callable[[Histories], Scores]) -> Callable[[Histories], Scores]:
    return lambda histories: score(histories) + 0.001 * np.arange(ITEMS)


@pytest.mark.parametrize("fault", [first_item_as_padding, number_added])
def test_item_numbers_that_count_are_found(fault: Callable[..., Callable[[Histories], Scores]]):
    histories = [[item for item in history if item not in (0, ITEMS - 1)] or [1] for history in HISTORIES]
    pair = Scorer("made up", fault(plain), histories), fault(backwards)
    assert "M14-item-numbers" in wrong(results(fault(plain), renumbered=lambda: pair))


def test_parameters_without_a_gradient_are_found():
    gradients = {"used": np.ones((2, 3)), "left out": None, "times zero": np.zeros(4)}
    found = results(plain, gradients=lambda: gradients)["M15-gradients"]
    assert (found.verdict, found.figure) == ("FAIL", 2)
    assert found.evidence == "2 of 3 parameters and rows of item matrices have no gradient: left out, times zero"


def test_a_model_that_sees_the_future_is_found():
    def whole_session(histories: Histories, futures: Histories) -> Scores:
        return plain([[*history, *future] for history, future in zip(histories, futures, strict=True)])

    assert "M16-future" in wrong(results(plain, followed=whole_session))


def test_every_check_has_a_fault_that_it_finds():
    others = {"M11-reload", "M12-unknown-items", "M13-conformance"}
    others |= {"M14-item-numbers", "M15-gradients", "M16-future"}
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
        verdicts = {check["id"][:3]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
        learning = "PASS" if model == "gru4rec" else "NOT CHECKED"
        assert [verdicts[name] for name in ("M14", "M15", "M16")] == ["PASS", learning, "PASS"]
    done = study("audit", "model", run, "--model", "gru4re")
    assert done.returncode == 2
    assert "its models are" in done.stderr
    assert study("audit", "model", run).returncode == 2


SIMPLE = "histories = [[1], [2]]\ndef score(h):\n    return [[0.0, 1.0, 2.0]] * len(h)\n"


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
        (f"{SIMPLE}def gradients():\n    return [1.0]", 3, "gradients() gave something else"),
        (f"{SIMPLE}def gradients():\n    return {{'a': object()}}", 3, "gradients() gave something else"),
        (f"{SIMPLE}def gradients():\n    raise ValueError('boom')", 5, "failed: ValueError: boom"),
        (f"{SIMPLE}def score_followed(h, f):\n    return [[0.0]]", 3, "of shape (1, 1)"),
        (f"{SIMPLE}def score_renumbered(h):\n    return [[0.0]]", 3, "of shape (1, 1)"),
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


WITH_MORE = """
def score_renumbered(histories):
    return score([[ITEMS - 1 - item for item in history] for history in histories])[:, ::-1]


def score_followed(histories, futures):
    return score(histories)


def gradients():
    return {"weights": WEIGHTS}
"""


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ("", set()),
        ("def gradients():\n    return {'weights': None}\n", {"M15"}),
        ("def score_followed(histories, futures):\n    return score(futures)\n", {"M16"}),
        ("def score_renumbered(histories):\n    return score(histories)\n", {"M14"}),
    ],
)
def test_a_module_can_say_more_of_its_model(more: str, wrong: set[str], tmp_path: Path):
    (tmp_path / "theirs.py").write_text(AROUND.replace("from my_gru4rec", "# from my_gru4rec") + WITH_MORE + more)
    done = study("audit", "model", "--module", tmp_path / "theirs.py", "--json", "--quiet")
    assert done.returncode == (6 if wrong else 0), done.stderr
    verdicts = {check["id"][:3]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    expected = {name: "FAIL" if name in wrong else "PASS" for name in ("M14", "M15", "M16")}
    assert {name: verdicts[name] for name in expected} == expected
