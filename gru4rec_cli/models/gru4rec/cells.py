"""The recurrent layers, forward and backward, by hand. No gradient goes back to the state: there is no BPTT."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.loops import gru_gate_gradients
from gru4rec_cli.models.gru4rec.network import GRU_CELL, ONE_HOT_CELL
from gru4rec_cli.models.gru4rec.settings import Settings

Parameters = dict[str, Tensor]
Masks = Mapping[str, Tensor]  # by place, see `dropout.dropout_places`: factors (lanes, units), 0 where dropped
NO_MASKS: Masks = {}


@dataclass(frozen=True)
class CellGradients:
    """Of the cell's parameters by name, and of its inputs."""

    parameters: Parameters
    inputs: Tensor  # (lanes, width)


class GruCell:
    """r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)),
    h' = (1 − z) ∘ n + z ∘ h, in PyTorch's layout."""

    def __init__(self, parameters: Parameters, layer: int) -> None:
        self.names = [f"gru.{layer}.{part}" for part in GRU_CELL]
        self.w, self.u, self.b, self.c = (parameters[name] for name in self.names)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """`x` (lanes, width), `h` (lanes, D) → the new state (lanes, D)."""
        units = h.shape[1]
        from_x = torch.addmm(self.b, x, self.w.T)  # (lanes, 3D)
        self.from_h = torch.addmm(self.c, h, self.u.T)
        self.x, self.h = x, h
        self.gates = torch.sigmoid(from_x[:, : 2 * units] + self.from_h[:, : 2 * units])  # (lanes, 2D): r, z
        r, z = self.gates[:, :units], self.gates[:, units:]
        self.n = torch.addcmul(from_x[:, 2 * units :], r, self.from_h[:, 2 * units :]).tanh_()
        return torch.lerp(self.n, h, z)

    def backward(self, gradient: Tensor) -> CellGradients:
        """From the gradient of the new state (lanes, D).

        With a the sums inside σ and tanh: dn = d (1 − z), da_n = dn (1 − n²), da_z = d (h − n) z (1 − z),
        da_r = da_n (U_n h + c_n) r (1 − r); what comes from the state passes r in the candidate.
        """
        d_x, d_h = torch.empty_like(self.from_h), torch.empty_like(self.from_h)
        gru_gate_gradients(
            gradient.numpy(),
            self.gates.numpy(),
            self.n.numpy(),
            self.from_h.numpy(),
            self.h.numpy(),
            d_x.numpy(),
            d_h.numpy(),
        )
        found = (d_x.T @ self.x, d_h.T @ self.h, d_x.sum(dim=0), d_h.sum(dim=0))
        return CellGradients(dict(zip(self.names, found, strict=True)), d_x @ self.w)


class OneHotCell:
    """r = σ(x_r + h U_r), z = σ(x_z + h U_z), n = tanh((r ∘ h) U_n + x_n), h' = (1 − z) ∘ h + z ∘ n, of inputs that are
    rows of the input weights (lanes, 3D): candidate, r, z."""

    def __init__(self, parameters: Parameters) -> None:
        self.u_rz, self.u_n, self.b = (parameters[name] for name in ONE_HOT_CELL)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """`x` (lanes, 3D), `h` (lanes, D) → the new state (lanes, D)."""
        units = h.shape[1]
        from_x = x + self.b
        self.h = h
        self.gates = torch.sigmoid(torch.addmm(from_x[:, units:], h, self.u_rz))  # (lanes, 2D): r, z
        self.reset = self.gates[:, :units] * h
        self.n = torch.addmm(from_x[:, :units], self.reset, self.u_n).tanh_()
        return torch.lerp(h, self.n, self.gates[:, units:])

    def backward(self, gradient: Tensor) -> CellGradients:
        """From the gradient of the new state (lanes, D).

        With a the sums inside σ and tanh: da_n = d z (1 − n²), da_z = d (n − h) z (1 − z),
        da_r = (da_n U_nᵀ) h r (1 − r).
        """
        units = self.h.shape[1]
        r, z = self.gates[:, :units], self.gates[:, units:]
        d_n = gradient * z * (1 - self.n * self.n)
        d_r = (d_n @ self.u_n.T) * self.h * r * (1 - r)
        d_z = gradient * (self.n - self.h) * z * (1 - z)
        inputs = torch.cat([d_n, d_r, d_z], dim=1)  # (lanes, 3D)
        found = (self.h.T @ inputs[:, units:], self.reset.T @ d_n, inputs.sum(dim=0))
        return CellGradients(dict(zip(ONE_HOT_CELL, found, strict=True)), inputs)


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
        values = inputs if self.one_hot else dropped(inputs, masks.get("embed"))
        new_states = []
        for layer, (cell, state) in enumerate(zip(self.cells, states, strict=True)):
            values = dropped(cell.forward(values, state), masks.get(self._place(layer)))
            new_states.append(values)
        return new_states

    def backward(self, gradient: Tensor, masks: Masks = NO_MASKS) -> CellGradients:
        """From the gradient of the last new state (lanes, D): that of all parameters, and of the inputs."""
        parameters: Parameters = {}
        for layer in range(len(self.cells) - 1, -1, -1):
            found = self.cells[layer].backward(dropped(gradient, masks.get(self._place(layer))))
            parameters |= found.parameters
            gradient = found.inputs
        return CellGradients(parameters, gradient if self.one_hot else dropped(gradient, masks.get("embed")))

    def _place(self, layer: int) -> str:
        """The dropout on a layer's output; in one-hot mode the first layer has that of the embedding."""
        return "embed" if layer == 0 and self.one_hot else f"hidden.{layer}"


def dropped(values: Tensor, mask: Tensor | None) -> Tensor:
    """Values, or a gradient, through dropout."""
    return values if mask is None else values * mask
