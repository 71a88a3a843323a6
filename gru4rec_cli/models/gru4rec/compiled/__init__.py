"""The training step of GRU4Rec compiled for the CPU: an optimisation of `step.TorchStep`, held to it by a test.

Scores of equal items are equal, so loss and gradients are computed once for each distinct item of a step (`batches`).
Two threads share a step (`learn`); `layers` and `items` are their parts, `cells` and `losses` the formulas.
"""

from gru4rec_cli.models.gru4rec.compiled.batches import NegativeSampler, walk_sessions
from gru4rec_cli.models.gru4rec.compiled.step import CompiledStep

__all__ = ["CompiledStep", "NegativeSampler", "walk_sessions"]
