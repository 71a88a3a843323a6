"""Models at the extremes of their settings: refused, diverged with a message, or finite (fault 26)."""

import math
import typing
from collections import Counter
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.checks import random_sessions
from tests.fuzz.seeds import TIMES, generator
from tests.models.small import GRADIENT, SMALL_GRADIENT

COUNT = 30 * TIMES
SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {"layers": (4,), "epochs": 1, "batch_size": 16, "n_sample": 8},
} | dict.fromkeys(GRADIENT, SMALL_GRADIENT | {"hidden_size": 4, "epochs": 1, "batch_size": 16})
COUNTING = ["ar", "iknn", "markov", "recent_popularity", "sknn", "sr", "stan", "vsknn", "vstan"]
NUMBERS = [0.0, -1.0, 5e-324, 1e-30, 1e-12, 0.999999, 1.0, 1e30, 1e38, 1e300, math.inf, math.nan]
COUNTS = [0, -1, 1, 2, 101, 2**31, 2**63 - 1, 2**63, 10**30]
OTHERS: dict[str, list[Any]] = {
    "layers": [(1,), (1,) * 8, (1, 30), (), (0,), (10**9,), (10**30,)],
    "embedding": ["shared", "none", "layersize", 1, 0, 10**12],
    "epochs": [],
    "device": [],
    "step": [],
    "validate_on": [],
    "patience": [],
}


def extremes(name: str, annotation: Any) -> list[Any]:
    """Values at the ends of a setting's type and beyond."""
    if name in OTHERS:
        return OTHERS[name]
    if "Literal" in str(annotation) or annotation is bool:
        return [*typing.get_args(annotation)] or [True, False]
    return NUMBERS if "float" in str(annotation) else COUNTS


def end_of(kind: str, given: dict[str, Any]) -> str | int:
    """How a fit ends: refused, finite, or the exit code of its error; any other error is raised."""
    try:
        settings = registry.settings_class(kind).model_validate(SMALL.get(kind, {}) | given)
    except ValidationError:
        return "refused"
    model = registry.model_class(kind)(settings)
    try:
        report = model.fit(random_sessions(60, 100, seed=1), FitContext(seed=1))
    except StudyError as error:
        return error.exit_code
    assert all(math.isfinite(value) for row in report.curve for value in row.values()), (kind, given)
    for block in model.score(random_sessions(60, 10, seed=2)):
        assert np.isfinite(block.dense()).all(), (kind, given)
    return "finite"


@pytest.mark.parametrize("kind", [*SMALL, *COUNTING])
def test_a_model_at_the_extremes_of_its_settings_is_finite_or_an_error_says_why(kind: str):
    rng, ends = generator(f"extremes of {kind}"), Counter[str | int]()
    fields = registry.settings_class(kind).model_fields
    table = {name: values for name, field in fields.items() if (values := extremes(name, field.annotation))}
    for _ in range(COUNT):
        given = {name: rng.choice(table[name]) for name in rng.sample(list(table), min(len(table), rng.choice([1, 2])))}
        if {"bpreg", "elu_param"} & set(given):
            given["loss"] = "bpr-max"
        ends[end_of(kind, given)] += 1
    assert set(ends) <= {"refused", "finite", 2, 6}, ends
    assert ends["finite"] > 0, ends


@pytest.mark.parametrize(
    ("kind", "given", "end"),
    [
        ("gru4rec", {"loss": "bpr-max", "elu_param": 1e300}, "refused"),  # was a RuntimeError of torch
        ("gru4rec", {"loss": "bpr-max", "elu_param": 0.0}, "finite"),
        ("gru4rec", {"momentum": 1.0}, "refused"),
        ("gru4rec", {"sample_alpha": -1.0}, "refused"),
        ("gru4rec", {"logq": -1.0}, "refused"),
        ("gru4rec", {"n_sample": 0}, "finite"),
        ("gru4rec", {"batch_size": 1}, "refused"),
        ("gru4rec", {"batch_size": 1000}, "finite"),
        ("gru4rec", {"learning_rate": 1e-30}, "finite"),
        ("gru4rec", {"dropout_p_hidden": 1.0}, "refused"),
        ("sasrec", {"batch_size": 2**63}, 2),  # was a TypeError of a slice
        ("sasrec", {"batch_size": 10**6}, "finite"),  # more than there are sessions
        ("sasrec", {"batch_size": 1}, "finite"),
        ("sasrec", {"n_sample": 0}, "refused"),
        ("sasrec", {"length": 2**63 - 1, "positions": "none"}, 2),  # was a RuntimeError of torch
        ("core", {"length": 2**63, "encoder": "ave"}, "finite"),
        ("narm", {"length": 10**30}, "finite"),  # was an OverflowError of an array
        ("stamp", {"length": 2**63}, "finite"),
        ("bert4rec", {"dupe_factor": 10**30}, "refused"),
    ],
)
def test_single_extremes_end_as_the_settings_say(kind: str, given: dict[str, Any], end: str | int):
    assert end_of(kind, given) == end
