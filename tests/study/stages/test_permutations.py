"""The warning where the permutations are too few for the number of pairs of models."""

import pytest

from gru4rec_cli.base.warnings import StudyWarning, collected
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.study.stages.evaluate import _warn_of_few_permutations


def test_the_smallest_possible_p_value_must_be_significant():
    # 5 models are 10 pairs: 10 / (1 + 199) = .05 can be reached with 199 permutations, and 10 / (1 + 198) is above it.
    with collected() as found:
        _warn_of_few_permutations(5, EvaluateSettings(permutations=199, confidence=0.95))
    assert found == []
    with pytest.warns(StudyWarning, match=r"10 pairs.*below 0\.050.*permutations to 200"):
        _warn_of_few_permutations(5, EvaluateSettings(permutations=198, confidence=0.95))


def test_one_model_has_no_pairs():
    with collected() as found:
        _warn_of_few_permutations(1, EvaluateSettings(permutations=100))
    assert found == []
