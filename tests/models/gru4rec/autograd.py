"""One step by autograd, slow and obvious: every column and every occurrence on its own, torch's own cells.

What `stepping` computes by hand, on distinct items, must be this.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import elu

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.network import BIAS, GRU_CELL, ITEMS, ONE_HOT_CELL, input_table

_TINY = 1e-24
Noise = Callable[[str, int], Tensor]  # place of a dropout and its units: uniform numbers (lanes, units)


@dataclass(frozen=True)
class Result:
    """The loss, the new states, and the gradient of every parameter, as large as it is."""

    loss: float
    states: list[Tensor]
    gradients: dict[str, Tensor]


def logq_correction(columns: Tensor, supports: Tensor, *, alpha: float, strength: float, batch_size: int) -> Tensor:
    """strength · log q_j, q_j = support_j for the first `batch_size` columns and support_j^alpha for the rest."""
    exponent = torch.full((len(columns),), alpha, dtype=supports.dtype)
    exponent[:batch_size] = 1.0
    return strength * exponent * torch.log(supports[columns])


def cross_entropy(scores: Tensor, *, batch_size: int) -> Tensor:
    """−log(softmax over the columns at the lane's own target + 1e-24)."""
    own = torch.softmax(scores, dim=1).diagonal()
    return -torch.log(own + _TINY).sum() / batch_size


def bpr_max(scores: Tensor, *, regularisation: float, elu_param: float, batch_size: int) -> Tensor:
    """CIKM 2018, equation 13."""
    if elu_param > 0:
        scores = elu(scores, alpha=elu_param)
    own = scores.diagonal()[:, None]
    is_own = torch.zeros_like(scores, dtype=torch.bool).fill_diagonal_(True)
    weights = torch.softmax(scores.masked_fill(is_own, -torch.inf), dim=1)
    likelihood = (weights * torch.sigmoid(own - scores)).sum(dim=1)
    penalty = (weights * scores**2).sum(dim=1)
    return (-torch.log(likelihood + _TINY) + regularisation * penalty).sum() / batch_size


def drop(values: Tensor, place: str, probability: float, noise: Noise) -> Tensor:
    """Inverted dropout."""
    if probability == 0:
        return values
    return values * ((noise(place, values.shape[1]) >= probability) / (1 - probability))


def one_hot_cell(inputs: Tensor, state: Tensor, recurrent_rz: Tensor, recurrent_h: Tensor, bias: Tensor) -> Tensor:
    """r = σ(x_r + h U_r), z = σ(x_z + h U_z), n = tanh((r ∘ h) U_n + x_n), h' = (1 − z) ∘ h + z ∘ n."""
    x_n, x_r, x_z = (inputs + bias).chunk(3, dim=1)
    h_r, h_z = (state @ recurrent_rz).chunk(2, dim=1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh((r * state) @ recurrent_h + x_n)
    return (1 - z) * state + z * n


def advance(
    parameters: dict[str, Tensor], inputs: Tensor, states: list[Tensor], settings: Settings, noise: Noise
) -> list[Tensor]:
    """The new state of every layer."""
    one_hot = settings.embedding == "none"
    values = inputs if one_hot else drop(inputs, "embed", settings.dropout_p_embed, noise)
    new_states = []
    for layer, state in enumerate(states):
        if layer == 0 and one_hot:
            cell = one_hot_cell(values, state, *(parameters[name] for name in ONE_HOT_CELL))
            values = drop(cell, "embed", settings.dropout_p_embed, noise)
        else:
            cell = torch.gru_cell(values, state, *(parameters[f"gru.{layer}.{part}"] for part in GRU_CELL))
            values = drop(cell, f"hidden.{layer}", settings.dropout_p_hidden, noise)
        new_states.append(values)
    return new_states


def step(
    parameters: dict[str, Tensor],
    supports: Tensor,
    settings: Settings,
    inputs: Tensor,
    targets: Tensor,
    negatives: Tensor,
    states: list[Tensor],
    noise: Noise,
) -> Result:
    """Forward and backward through one mini-batch of item indices."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}
    columns = torch.cat([targets, negatives])
    new_states = advance(leaves, leaves[input_table(settings)][inputs], states, settings, noise)
    scores = new_states[-1] @ leaves[ITEMS][columns].T + leaves[BIAS][columns]
    if settings.loss == "bpr-max":
        loss = bpr_max(
            scores, regularisation=settings.regularisation, elu_param=settings.elu, batch_size=settings.batch_size
        )
    else:
        correction = logq_correction(
            columns,
            supports,
            alpha=settings.sample_alpha,
            strength=settings.logq_strength,
            batch_size=settings.batch_size,
        )
        loss = cross_entropy(scores - correction, batch_size=settings.batch_size)
    loss.backward()
    gradients = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    return Result(loss.item(), [state.detach() for state in new_states], gradients)
