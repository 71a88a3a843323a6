"""STAMP (Liu et al., KDD 2018): attention over a session's clicks, by the last click and their mean.

The tokens of several sequences lie one after the other, without padding: N clicks.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import embedding

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import Batch
from gru4rec_cli.models.neural.causal import (
    ITEMS,
    Parameters,
    Tokens,
    attend_to_prefix,
    causal_states,
    causal_training,
    prefix_pairs,
    sum_over,
)
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.sampling import Drop
from gru4rec_cli.models.neural.settings import GradientSettings, Loss, with_default

EACH, LAST, MEAN = "attention.each", "attention.last", "attention.mean"  # W₁, W₂, W₃ (D, D)
BIAS = "attention.bias"  # b (D,)
WEIGHT = "attention.weight"  # w₀ (D,)
SESSION, CLICK = "session", "click"  # the perceptrons of m_a and of x_t: weight (D, D) and bias (D,)

_ITEM_STD, _STD = 0.002, 0.05


class Settings(GradientSettings):
    """Settings of STAMP; the defaults are those of the program of Liu et al. (2018) where nothing else is said."""

    hidden_size: int = with_default(GradientSettings, "hidden_size", 100)
    learning_rate: float = with_default(GradientSettings, "learning_rate", 0.003)
    loss: Loss = with_default(GradientSettings, "loss", "cross-entropy")
    add_mean: bool = Field(
        True,
        description="true: the mean m_s of the session is added to what the attention gives, m_a, as in the authors' "
        "program; false: not, as in the paper",
    )
    largest_item_norm: float = Field(
        1.5,
        gt=0,
        description="a longer vector of a session's item is shortened to this norm; the vectors that are scored are "
        "not; the authors' program has 1.5 for Diginetica and 1 for Yoochoose",
    )
    largest_norm: float = Field(
        0.29,
        gt=0,
        description="a step's gradient with a larger norm, over all parameters, is shortened to this; the authors' "
        "program has 150 for the sum of 512 losses, which is .29 for their mean",
    )

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many."""
        return super().memory_needed(n_items) | {
            "hidden_size": 16 * self.hidden_size * (n_items + 5 * self.hidden_size)
        }


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw item vectors normal with standard deviation 0.002, matrices with 0.05; biases are zero."""
    generator = torch.Generator().manual_seed(seed)
    size = settings.hidden_size

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * _STD

    matrices = {name: normal(size, size) for name in (EACH, LAST, MEAN, f"{SESSION}.weight", f"{CLICK}.weight")}
    biases = {name: torch.zeros(size) for name in (BIAS, f"{SESSION}.bias", f"{CLICK}.bias")}
    items = torch.randn(n_items, size, generator=generator) * _ITEM_STD
    return {ITEMS: items, WEIGHT: normal(size)} | matrices | biases


def states(parameters: Parameters, settings: Settings, tokens: Tokens, drop: Drop) -> Tensor:
    """Return h_s ∘ h_t after every token t, (N, D).

    x_j is the vector of item j, of a norm of at most `largest_item_norm`;
    m_s = mean of x_j, m_a = Σ_j w₀·σ(W₁ x_j + W₂ x_t + W₃ m_s + b) x_j, with j up to t;
    h_s = tanh(W_s (m_a + m_s) + b_s), or tanh(W_s m_a + b_s) without `add_mean`; h_t = tanh(W_t x_t + b_t).
    """
    rows = embedding(tokens.items, parameters[ITEMS], sparse=True)
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    x = rows * (settings.largest_item_norm / norms.clamp(min=settings.largest_item_norm))
    whole, part = (tokens.on_device(rows) for rows in prefix_pairs(tokens.lengths))
    mean = sum_over(whole, x[part], len(x)) / tokens.on_device(tokens.places + 1)[:, None]
    queries = torch.addmm(parameters[BIAS], x, parameters[LAST]) + mean @ parameters[MEAN]
    attended = attend_to_prefix(queries, x @ parameters[EACH], x, parameters[WEIGHT], tokens)

    def perceptron(name: str, values: Tensor) -> Tensor:
        return torch.tanh(torch.addmm(parameters[f"{name}.bias"], values, parameters[f"{name}.weight"]))

    return perceptron(SESSION, attended + mean if settings.add_mean else attended) * perceptron(CLICK, x)


class Model(NeuralModel[Settings]):
    """STAMP: score_j = Σ_d item_j ∘ h_s ∘ h_t, of the session as attended to and of the last click."""

    description: ClassVar[str] = (
        "STAMP: a session's clicks are weighted by the last one and their mean; their sum and the last click are "
        "scored together against every item."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True
    item_matrix = ITEMS

    def learner(self, train: Sessions, seed: int) -> GradientLearner[Batch]:
        """Return a training that has not begun."""
        initial = initial_parameters(train.n_items, self.settings, seed)
        return causal_training(train, self.settings, initial, states, largest_norm=self.settings.largest_norm)

    def states(self, sessions: Sessions) -> Tensor:
        """Return the state after every event's history, (n_targets, D), in event order."""
        return causal_states(sessions, self.settings, self.parameters, states)
