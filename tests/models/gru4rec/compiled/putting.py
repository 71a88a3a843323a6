"""Steps with equal items put together, for tests that give scores themselves."""

import numpy as np

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.compiled.batches import Assembler, Batches
from tests.models.gru4rec.steps import one_step


def put_together(settings: Settings, targets: list[int], negatives: list[int], supports: list[int]) -> Batches:
    """A step with items numbered in the order of `rows`; inputs have a table of their own."""
    settings = settings.model_copy(update={"embedding": "layersize", "dropout_p_hidden": 0.0})
    assembler = Assembler(np.array(supports), settings, np.float64)
    return assembler.assemble(one_step(np.zeros(len(targets), dtype=np.int64), np.array(targets), np.array(negatives)))
