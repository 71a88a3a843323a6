"""What must hold for every model; a new file in `models/` is tested on arrival."""

import importlib
from typing import Any

import pytest

from gru4rec_cli.models import registry
from gru4rec_cli.models.checks import (
    CHECKS,
    LEARNING,
    Check,
    all_scores,
    chain,
    check_it_describes_itself,
    check_model,
    fitted,
    random_sessions,
    recall_at_1,
)
from tests.fetched import skip_unless_fetched
from tests.models.small import GRADIENT, SMALL_GRADIENT

# Settings that make a kind small and quick; a kind without an entry is tested with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {"layers": [16], "epochs": 2, "batch_size": 8, "n_sample": 8, "dropout_p_hidden": 0.0},
    "official": {"layers": [16], "epochs": 2, "batch_size": 8, "n_sample": 8, "dropout_p_hidden": 0.0},
} | dict.fromkeys(GRADIENT, SMALL_GRADIENT)
# A kind can be several models in one: each of these is tested like a kind, as `kind:variant`.
VARIANTS: dict[str, dict[str, Any]] = {
    "gru4rec:one-hot": {"embedding": "none", "layers": [12, 16]},
    "gru4rec:separate": {"embedding": 6, "loss": "bpr-max", "learning_rate": 0.05},
    "markov:second-order": {"order": 2},
}
MODELS = [*registry.kinds(), *VARIANTS]
LONG_ENOUGH: dict[str, dict[str, Any]] = {
    "gru4rec": {"epochs": 8},
    "official": {"epochs": 8},
} | {kind: {"epochs": 8} for kind in GRADIENT}  # to learn the chain completely
# With 16 units and a rate of 0.005, post-norm blocks hardly learn.
LONG_ENOUGH["bert4rec"] = {"epochs": 8, "hidden_size": 64, "learning_rate": 0.001}
IN_ONE_FILE = [kind for kind in registry.kinds() if kind not in SMALL]  # the baselines


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MODELS)
def test_every_model_passes_every_check(kind: str, check: Check):
    base = kind.split(":")[0]
    if check is not check_it_describes_itself:
        skip_unless_fetched(kind)
    longer = LONG_ENOUGH.get(base, {}) if check in LEARNING else {}
    check(base, SMALL.get(base, {}) | VARIANTS.get(kind, {}) | longer)


def test_kinds_are_found_by_their_files():
    assert {"gru4rec", "markov", "official", "popularity"} <= set(registry.kinds())
    assert not {"base", "registry", "indexes", "checks"} & set(registry.kinds())


def test_popularity_cannot_learn_the_chain():
    assert recall_at_1(fitted("popularity", {}, chain(seed=0)), chain(n_sessions=40, seed=1)) < 0.5


def test_all_checks_can_be_run_at_once():
    assert len(CHECKS) == 20
    check_model("markov", {"order": 1}, long_enough={"order": 2})


def own_fields(kind: str) -> dict[str, Any]:
    """`FIELDS` of the kind's own test: for each of its settings another value, or what else to set, and that."""
    fields: dict[str, Any] = importlib.import_module(f"tests.models.test_{kind}").FIELDS
    return fields


@pytest.mark.parametrize("kind", IN_ONE_FILE)
def test_every_setting_of_a_baseline_changes_its_scores(kind: str):
    fields = own_fields(kind)
    assert set(fields) == set(registry.settings_class(kind).model_fields)
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 30, seed=2)
    for field, change in fields.items():
        both, value = change if isinstance(change, tuple) else ({}, change)
        scores = [all_scores(fitted(kind, both | more, train), test).tolist() for more in ({}, {field: value})]
        assert scores[0] != scores[1], field
