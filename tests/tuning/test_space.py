"""Search spaces: which values are drawn, which points are allowed, and what is wrong with a space."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gru4rec_cli.models import registry
from gru4rec_cli.models.registry import settings_of
from gru4rec_cli.tuning.space import _published as published
from gru4rec_cli.tuning.space import (
    has_multiples,
    points,
    published_space,
    space_problems,
    validated_entry,
    with_mean_session_length,
)

SR = {"steps": [2, 3, 10], "weighting": ["same", "div"]}


def first(
    count: int, kind: str, entry: dict[str, Any], space: dict[str, Any], seed: int = 1, name: str = "m"
) -> list[Any]:
    return list(itertools.islice(points(kind, entry, space, seed, name), count))


def values_of(interval: dict[str, Any], count: int = 300) -> list[float]:
    return [point["learning_rate"] for point in first(count, "stamp", {}, {"learning_rate": interval})[1:]]


def test_the_first_point_is_the_models_own_and_none_comes_twice():
    found = first(100, "sr", {"steps": 3, "weighting": "div"}, SR)
    assert found[0] == {"steps": 3, "weighting": "div", "pruning": None}  # with defaults
    assert len(found) == 3 * 2  # the space has no more
    assert len({(point["steps"], point["weighting"]) for point in found}) == 6


def test_a_point_that_equals_the_defaults_is_the_models_own():
    """The default of `k` is 100: with another value there are two points, and alone it is no space."""
    assert [point["k"] for point in first(10, "vsknn", {}, {"k": [100, 500]})] == [100, 500]
    assert "none of 1,000 combinations" in space_problems("vsknn", {}, {"k": [100]})[0][1]


def test_a_point_follows_from_seed_name_and_number():
    space = {"learning_rate": {"from": 0.001, "to": 0.1, "scale": "log"}, "hidden_size": [50, 100]}
    base = first(20, "stamp", {}, space)
    assert base == first(20, "stamp", {}, space)
    assert base[7:] == list(
        itertools.islice(points("stamp", {}, space, 1, "m", first=8), 13)
    )  # no point before it matters
    for other in (first(20, "stamp", {}, space, seed=2), first(20, "stamp", {}, space, name="n")):
        assert other[0] == base[0]
        assert not any(point in base for point in other[1:])


def test_steps_are_counted_from_the_start_and_include_the_end():
    assert sorted(set(values_of({"from": 0.05, "to": 0.25, "step": 0.05}))) == [0.05, 0.1, 0.15, 0.2, 0.25]
    assert sorted(set(values_of({"from": 0.05, "to": 0.24, "step": 0.05}))) == [0.05, 0.1, 0.15, 0.2]


def test_a_logarithmic_interval_has_as_many_values_in_each_decade():
    found = np.array(values_of({"from": 0.0001, "to": 0.01, "scale": "log"}, 401))
    assert found.min() >= 0.0001
    assert found.max() <= 0.01
    assert 160 <= (found < 0.001).sum() <= 240  # 200 of 400 are expected, with a standard deviation of 10


@hypothesis_settings(deadline=None, max_examples=30)
@given(low=st.integers(1, 40), span=st.integers(1, 40), seed=st.integers(0, 1000))
def test_whole_numbers_stay_whole_and_inside(low: int, span: int, seed: int):
    for scale in ("linear", "log"):
        space = {"steps": {"from": low, "to": low + span, "scale": scale}}
        for point in first(20, "sr", {}, space, seed=seed)[1:]:
            assert isinstance(point["steps"], int)
            assert low <= point["steps"] <= low + span


def test_only_settings_that_go_together_are_drawn():
    """Heads must divide the units."""
    space = {"hidden_size": [8, 9, 10], "heads": [2, 3, 4]}
    found = first(100, "sasrec", {}, space)[1:]
    assert {(point["hidden_size"], point["heads"]) for point in found} == {(8, 2), (8, 4), (9, 3), (10, 2)}


def test_every_published_space_is_one_of_its_kind():
    for kind in published():
        for entry in ({}, {"loss": "bpr-max"}) if kind in ("gru4rec", "official") else ({},):
            space = published_space(kind, entry)
            assert space_problems(kind, entry, space) == []
            assert len(first(10, kind, entry, with_mean_session_length(space, 4.0))) >= 5
            settings_of(kind, entry)


def test_the_space_of_stan_follows_from_the_sessions():
    """session-rec has 2.1, 4.2, 8.4, 16.8 and 33.6 for 30music, where the mean session has 16.8 clicks."""
    space = published_space("stan", {})
    assert has_multiples(space)
    resolved = with_mean_session_length(space, 16.8)
    assert resolved["lambda_spw"] == resolved["lambda_inh"] == [0.000168, 2.1, 4.2, 8.4, 16.8, 33.6]
    assert resolved["lambda_snh"] == space["lambda_snh"]
    assert not has_multiples(resolved)


@pytest.mark.parametrize(
    ("kind", "key", "multiples", "message"),
    [
        ("stan", "lambda_spw", 2, "of_mean_session_length needs a list of numbers above 0"),
        ("stan", "lambda_spw", [0, 1], "of_mean_session_length needs a list of numbers above 0"),
        ("stan", "lambda_spw", ["1"], "of_mean_session_length needs a list of numbers above 0"),
        ("stan", "lambda_spw", [True], "of_mean_session_length needs a list of numbers above 0"),
        ("stan", "lambda_spw", [float("inf")], "of_mean_session_length needs a list of numbers above 0"),
        ("stan", "lambda_spw", [], "an empty list"),
        ("stan", "lambda_spw", [1, 1], "a value is there twice"),
        ("sr", "steps", [1, 2], "no value of this setting: input should be a valid integer"),
    ],
)
def test_wrong_multiples_are_told(kind: str, key: str, multiples: Any, message: str):
    ((found, text),) = space_problems(kind, {}, {key: {"of_mean_session_length": multiples}})
    assert found == key
    assert message in text


def test_multiples_go_with_no_other_key():
    ((_, text),) = space_problems("stan", {}, {"lambda_spw": {"of_mean_session_length": [1.0], "from": 1}})
    assert "goes with no other key; given too: from" in text


def test_the_space_of_gru4rec_depends_on_its_loss():
    assert "bpreg" not in published_space("gru4rec", {})
    assert "bpreg" in published_space("gru4rec", {"loss": "bpr-max"})


def test_a_model_with_epochs_is_validated_and_another_one_is_not():
    assert validated_entry("sr", {"steps": 3}, "mrr@20") == {"steps": 3}
    assert validated_entry("stamp", {}, "mrr@20") == {"validate_on": "mrr@20", "patience": 3}
    assert validated_entry("stamp", {"patience": 7}, "mrr@20") == {"validate_on": "mrr@20", "patience": 7}


@pytest.mark.parametrize(
    ("space", "key", "message"),
    [
        ([], "", "expected values by setting"),
        ({}, "", "expected values by setting"),
        ({"stepz": [1]}, "stepz", "sr has no such setting, did you mean 'steps'?"),
        ({"steps": []}, "steps", "an empty list"),
        ({"steps": 3}, "steps", "expected a list of values, {from, to, step}, {from, to, scale: log}, or {of_mean"),
        ({"steps": ["3"]}, "steps", '"3" is no value of this setting: input should be a valid integer'),
        ({"steps": [3, 0]}, "steps", "0 is no value of this setting: input should be greater than or equal to 1"),
        ({"steps": {"from": 3}}, "steps", "an interval has from and to"),
        ({"steps": {"from": 3, "to": 5, "by": 1}}, "steps", "unknown: by"),
        ({"steps": {"from": 5, "to": 5}}, "steps", "from (5) must be below to (5)"),
        ({"steps": {"from": 1, "to": "x"}}, "steps", "from, to and step are numbers"),
        ({"steps": {"from": 1, "to": 5, "step": 0}}, "steps", "step must be above 0"),
        ({"steps": {"from": 1, "to": 5, "step": 9}}, "steps", "at most the length of the interval, 4"),
        ({"steps": {"from": 1, "to": 2, "step": 1e-22}}, "steps", "more than 1,000,000 steps; leave step out"),
        ({"steps": [2, 3, 2]}, "steps", "a value is there twice: [2, 3, 2]"),
        ({"steps": {"from": 1, "to": 5, "scale": "ln"}}, "steps", "scale: given 'ln'; allowed: linear, log"),
        ({"steps": {"from": 1, "to": 5, "step": 1, "scale": "log"}}, "steps", "takes no step"),
        ({"steps": [10]}, "", "none of 1,000 combinations of these values is allowed or differs"),
    ],
)
def test_what_is_wrong_is_said(space: Any, key: str, message: str):
    (found,) = space_problems("sr", {"steps": 10}, space)
    assert found[0] == key
    assert message in found[1]


def test_a_space_that_no_trial_can_satisfy_says_why():
    ((key, message),) = space_problems("sasrec", {}, {"hidden_size": [9], "heads": [2, 4]})
    assert key == ""
    assert "none of 1,000 combinations" in message
    assert "heads" in message.partition("for example")[2]


def test_all_problems_are_found_together():
    assert len(space_problems("sr", {}, {"steps": [], "weighting": ["none"], "x": [1]})) == 3


def test_every_kind_with_settings_that_matter_has_a_published_space():
    without = {kind for kind in registry.kinds() if kind not in published()}
    assert without == {"popularity", "random", "session_popularity"}
