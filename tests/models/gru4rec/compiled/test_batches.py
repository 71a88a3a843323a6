"""Equal items of a step put together."""

import numpy as np
import pytest

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.compiled.batches import Assembler
from tests.models.gru4rec.compiled.putting import put_together
from tests.models.gru4rec.steps import one_step


def test_equal_columns_weigh_together_and_logq_takes_supports_for_the_first_ones():
    # Columns: targets 2 and 1, negatives 2, 1, 1; with three lanes configured the first negative counts as a target.
    settings = Settings(batch_size=3, logq=2.0, sample_alpha=0.5)
    batch = put_together(settings, [2, 1], [2, 1, 1], [1, 4, 9])
    assert batch.rows[0, :2].tolist() == [2, 1]
    assert batch.sizes.tolist() == [[2, 0, 1]]
    of_2 = 9**-2 + 9**-2  # as a target, twice
    of_1 = 4**-2 + 4**-1 + 4**-1  # as a target, then twice as a sample: (4^0.5)^-2
    assert batch.weights[0, :2].tolist() == pytest.approx([of_2, of_1])
    assert batch.own[0].tolist() == pytest.approx([9**-2 / of_2, 4**-2 / of_1])


def test_inputs_stand_first_and_those_that_are_no_columns_weigh_nothing():
    assembler = Assembler(np.array([1, 4, 9, 2, 2]), Settings(batch_size=3, logq=1.0, dropout_p_hidden=0.0), np.float64)
    batch = assembler.assemble(one_step(np.array([1, 4, 1]), np.array([2, 3, 2]), np.array([1])))
    assert batch.sizes.tolist() == [[4, 1, 2]]
    assert batch.rows[0, :4].tolist() == [4, 1, 2, 3]
    assert batch.weights[0, :4].tolist() == pytest.approx([0, 4**-0.5, 2 / 9, 1 / 2])
    assert batch.inputs[0].tolist() == [1, 0, 1]
    assert batch.targets[0].tolist() == [2, 3, 2]
