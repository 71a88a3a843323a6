"""Warming up: every kind's fit finds its loops compiled and its libraries loaded (fault 8)."""

import pytest

from gru4rec_cli.base import compile_clock
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.gru4rec import training
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.warming import Warming, few_sessions, warm_up
from tests.models.small import GRADIENT
from tests.worlds import random_sessions

KINDS = [kind for kind in registry.kinds() if kind != "official"]
TRAIN = random_sessions(30, 60, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_compiles_nothing_after_warming_up(kind: str):
    given = {"epochs": 1} if kind == "gru4rec" or kind in GRADIENT else {}
    model = registry.model_class(kind)(registry.settings_class(kind).model_validate(given))
    assert isinstance(model, Warming)
    model.small(TRAIN).fit(few_sessions(), FitContext())
    before = compile_clock.seconds()
    model.fit(TRAIN, FitContext())
    assert compile_clock.seconds() == before


@pytest.mark.parametrize(("long", "kind"), [(0, "compiled"), (10**18, "torch")])
def test_gru4rec_is_warmed_up_by_the_step_that_its_training_takes(
    monkeypatch: pytest.MonkeyPatch, long: int, kind: str
):
    monkeypatch.setattr(training, "LONG", long)
    assert Model(Settings()).small(TRAIN).settings.step == kind


def test_a_failure_while_warming_up_is_left_to_the_fit():
    class Failing:
        def small(self, train: object) -> "Failing":
            return self

        def fit(self, train: object, context: object) -> None:
            raise ValueError

    warm_up(Failing(), TRAIN, FitContext())  # type: ignore[arg-type]
