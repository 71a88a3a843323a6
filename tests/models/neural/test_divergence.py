"""The advice on a training that diverged names the setting that is the likely cause."""

import pytest
import torch

from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.neural.divergence import advice_on
from gru4rec_cli.models.neural.settings import NeuralSettings
from gru4rec_cli.models.neural.trainer import Trainer


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"momentum": 0.99}, "momentum (0.99, usually at most 0.7)"),
        ({"logq": 50.0}, "logq (50, usually at most 1)"),
        ({"loss": "bpr-max", "bpreg": 1e4}, "bpreg (10000, usually at most 2)"),
        ({"learning_rate": 9.0}, "learning_rate (9, usually at most 0.3)"),
    ],
)
def test_an_unusual_setting_is_named_first(given, cause):  # fault 45
    assert advice_on(Settings(**given)).startswith(f"lower {cause}")


def test_of_several_the_farthest_from_usual_comes_first():
    advice = advice_on(Settings(learning_rate=9.0, logq=2.0))
    assert advice.startswith("lower learning_rate (9, usually at most 0.3) and logq (2, usually at most 1)")
    assert advice.count("learning_rate") == 1


def test_usual_settings_get_general_advice_and_only_on_settings_that_exist():
    assert (
        advice_on(Settings())
        == "lower learning_rate (now 0.2), or lower momentum (now 0.2), or raise batch_size (now 32)"
    )
    assert "momentum" not in advice_on(Settings(momentum=0.0))
    assert advice_on(NeuralSettings()) == ""


class _Exploding:
    """A learner whose loss is not a number."""

    n_events = 1
    device = torch.device("cpu")

    def epoch(self, seed):
        from gru4rec_cli.models.neural.trainer import Learned

        yield Learned([float("nan")], 1)


def test_a_training_that_diverges_says_so():  # fault 45
    with pytest.raises(CheckError, match="diverged: the loss is nan in epoch 1, step 1") as error:
        Trainer(_Exploding(), Settings(logq=50.0), seed=1).run()  # type: ignore[arg-type]
    assert error.value.hint.startswith("lower logq")
