"""One step of GRU4Rec as an ONNX graph: (item, state) → (scores, new state), checked in onnxruntime."""

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.errors import CheckError, UsageError
from gru4rec_cli.evaluation.ranking import tiles
from gru4rec_cli.models.gru4rec.model import Model
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, Network, input_table

if TYPE_CHECKING:
    from gru4rec_cli.models.fitted import FittedModel

STEP_FILE = "step.onnx"
LARGEST_DIFFERENCE = 1e-5  # of a score, next to the largest of the scores
_STEPS, _SESSIONS = 6, 5  # of the check
_LARGEST = 2**31 - 2**20  # bytes of weights; a graph in one file is smaller than 2 GiB


class _Step(torch.nn.Module):
    """A step of a fitted network."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.settings = model.settings
        self.names = list(model.parameters)
        for number, value in enumerate(model.parameters.values()):
            self.register_buffer(f"p{number}", value.cpu())

    def forward(self, item: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores (sessions, V) and the new state (sessions, ΣD) after clicks on `item` (sessions,)."""
        parameters: dict[str, Tensor] = {name: getattr(self, f"p{n}") for n, name in enumerate(self.names)}
        inputs = parameters[input_table(self.settings)].index_select(0, item)
        before = list(torch.split(state, list(self.settings.layers), dim=1))
        after = Network(parameters, self.settings).advance(inputs, before)
        return torch.addmm(parameters[BIAS], after[-1], parameters[ITEMS].T), torch.cat(after, dim=1)


def write_step(fitted: "FittedModel", folder: Path) -> dict[str, Any]:
    """Write the graph of a step into `folder`, and return what it takes and gives.

    Inputs: `item` (sessions,) int64, item indices in the order of the bundle's item table; `state` (sessions, ΣD)
    float32, zeros at the start of a session. Outputs: `scores` (sessions, V), `new_state` (sessions, ΣD).

    Raises:
        UsageError: the model is no GRU4Rec, is too large, or a package is missing.
        CheckError: onnxruntime computes other scores.
    """
    model = fitted.model
    if not isinstance(model, Model):
        raise UsageError(
            f"--onnx: {fitted.kind} has no step that takes a state and an item", "leave --onnx out; gru4rec has one"
        )
    if sum(value.numel() * 4 for value in model.parameters.values()) > _LARGEST:
        raise UsageError("--onnx: the weights are larger than the 2 GiB of an ONNX file", "leave --onnx out")
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise UsageError(f"--onnx needs {error.name}", "pip install 'gru4rec-study[onnx]'") from error
    path = folder / STEP_FILE
    _export(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    difference = _largest_difference(model, session)
    if not difference <= LARGEST_DIFFERENCE:
        raise CheckError(
            f"the ONNX graph gives other scores: they differ by {difference:.1e}, more than {LARGEST_DIFFERENCE:.0e}",
            "leave --onnx out, and report this",
        )
    return {
        "file": STEP_FILE,
        "inputs": {"item": "int64 (sessions,)", "state": f"float32 (sessions, {model.state_size})"},
        "outputs": {"scores": "float32 (sessions, items)", "new_state": f"float32 (sessions, {model.state_size})"},
        "largest_difference": difference,
    }


def _export(model: Model, path: Path) -> None:
    """Write the graph; torch's exporter is quiet meanwhile.

    It traces the `Network` that ranks, so that no second description of the network can differ from it, and it stores a
    matrix that is read and multiplied with once.
    """
    example = (torch.zeros(2, dtype=torch.int64), torch.zeros(2, model.state_size))
    sessions = torch.export.Dim("sessions")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Step(model).eval(),
                example,
                str(path),
                dynamo=True,
                external_data=False,
                input_names=["item", "state"],
                output_names=["scores", "new_state"],
                dynamic_shapes={"item": {0: sessions}, "state": {0: sessions}},
            )
    finally:
        logging.disable(level)


def _largest_difference(model: Model, session: Any) -> float:
    """Return the largest difference of a score between the graph and our own step, next to the largest score."""
    generator = np.random.default_rng(1)
    ours = theirs = np.zeros((_SESSIONS, model.state_size), dtype=np.float32)
    largest = 0.0
    for _ in range(_STEPS):
        items = generator.integers(len(model.parameters[ITEMS]), size=_SESSIONS)
        ours = model.advance(ours, items.astype(np.int32))
        expected = np.concatenate([tile.dense() for tile in tiles(iter([model.score_states(ours)]))])
        scores, theirs = session.run(None, {"item": items, "state": theirs})
        scale = max(1.0, float(np.abs(expected).max()))
        largest = max(largest, float(np.abs(scores - expected).max()) / scale, float(np.abs(theirs - ours).max()))
    return largest
