"""The recurrent layers in torch's operations: for scoring, and for the step on an accelerator."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.network import GRU_CELL, ONE_HOT_CELL
from gru4rec_cli.models.gru4rec.settings import Settings

Parameters = dict[str, Tensor]
Masks = Mapping[str, Tensor]  # by place, see `dropout.dropout_places`: factors (lanes, units), 0 where dropped
NO_MASKS: Masks = {}


class GruCell:
    """r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)),
    h' = (1 − z) ∘ n + z ∘ h, in PyTorch's layout."""

    def __init__(self, parameters: Parameters, layer: int) -> None:
        self.w, self.u, self.b, self.c = (parameters[f"gru.{layer}.{part}"] for part in GRU_CELL)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """`x` (lanes, width), `h` (lanes, D) → the new state (lanes, D)."""
        units = h.shape[1]
        from_x = torch.addmm(self.b, x, self.w.T)  # (lanes, 3D)
        from_h = torch.addmm(self.c, h, self.u.T)
        gates = torch.sigmoid(from_x[:, : 2 * units] + from_h[:, : 2 * units])  # (lanes, 2D): r, z
        n = torch.addcmul(from_x[:, 2 * units :], gates[:, :units], from_h[:, 2 * units :]).tanh_()
        return torch.lerp(n, h, gates[:, units:])


class OneHotCell:
    """r = σ(x_r + h U_r), z = σ(x_z + h U_z), n = tanh((r ∘ h) U_n + x_n), h' = (1 − z) ∘ h + z ∘ n, of inputs that are
    rows of the input weights (lanes, 3D): candidate, r, z."""

    def __init__(self, parameters: Parameters) -> None:
        self.u_rz, self.u_n, self.b = (parameters[name] for name in ONE_HOT_CELL)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """`x` (lanes, 3D), `h` (lanes, D) → the new state (lanes, D)."""
        units = h.shape[1]
        from_x = x + self.b
        gates = torch.sigmoid(torch.addmm(from_x[:, units:], h, self.u_rz))  # (lanes, 2D): r, z
        n = torch.addmm(from_x[:, :units], gates[:, :units] * h, self.u_n).tanh_()
        return torch.lerp(h, n, gates[:, units:])


class Layers:
    """The stacked cells with dropout between them; what dropout leaves of a state is what is carried on."""

    def __init__(self, parameters: Parameters, settings: Settings) -> None:
        self.one_hot = settings.embedding == "none"
        self.cells = [
            OneHotCell(parameters) if self.one_hot and layer == 0 else GruCell(parameters, layer)
            for layer in range(len(settings.layers))
        ]

    def forward(self, inputs: Tensor, states: list[Tensor], masks: Masks = NO_MASKS) -> list[Tensor]:
        """One click further: the new state of every layer, the last of which is scored. `inputs` (lanes, width) are
        rows of the input table, `states` one (lanes, D_L) a layer."""
        values = inputs if self.one_hot else _dropped(inputs, masks.get("embed"))
        new_states = []
        for layer, (cell, state) in enumerate(zip(self.cells, states, strict=True)):
            values = _dropped(cell.forward(values, state), masks.get(self._place(layer)))
            new_states.append(values)
        return new_states

    def _place(self, layer: int) -> str:
        """The dropout on a layer's output; in one-hot mode the first layer has that of the embedding."""
        return "embed" if layer == 0 and self.one_hot else f"hidden.{layer}"


def _dropped(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask
