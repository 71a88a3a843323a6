"""NARM (Li et al., CIKM 2017): a GRU whose last state is joined with a weighted sum of all its states.

The tokens of several sequences lie one after the other, without padding: N clicks. D units make an item's vector, H the
state of the GRU.
"""

import math
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import embedding, pad

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import Batch
from gru4rec_cli.models.neural.causal import (
    ITEMS,
    Parameters,
    Tokens,
    attend_to_prefix,
    causal_states,
    causal_training,
    sigmoid,
)
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.sampling import Drop
from gru4rec_cli.models.neural.scoring import MIN_ROWS
from gru4rec_cli.models.neural.settings import GradientSettings, Loss, with_default

INPUT = "gru.input"  # W (D, 3H): of the reset gate, the update gate and the candidate
RECURRENT = "gru.recurrent"  # U (H, 3H)
QUERY = "attention.query"  # A₁ (H, H): of the state after the last click
KEY = "attention.key"  # A₂ (H, H): of the state after each click
WEIGHT = "attention.weight"  # v (H,)
DECODER = "decoder"  # B (2H, D)


class Settings(GradientSettings):
    """Settings of NARM; the defaults are those of Li et al. (2017) where nothing else is said."""

    hidden_size: int = with_default(GradientSettings, "hidden_size", 50)
    gru_size: int = Field(100, ge=1, description="units H of the GRU's state")
    dropout_p_embed: float = Field(0.25, ge=0, lt=1, description="probability of dropping a unit of an item vector")
    dropout_p_hidden: float = Field(
        0.5, ge=0, lt=1, description="probability of dropping a unit of the GRU's state joined with the weighted sum"
    )
    loss: Loss = with_default(GradientSettings, "loss", "cross-entropy")

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many."""
        D, H = self.hidden_size, self.gru_size
        return super().memory_needed(n_items) | {
            "hidden_size": 16 * D * (n_items + 5 * H),
            "gru_size": 16 * H * (5 * H + 5 * D),
        }


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw matrices normal with variance 2 / (rows + columns) (Glorot & Bengio, 2010)."""
    generator = torch.Generator().manual_seed(seed)
    D, H = settings.hidden_size, settings.gru_size

    def glorot(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * math.sqrt(2 / (rows + columns))

    return {
        ITEMS: glorot(n_items, D),
        INPUT: glorot(D, 3 * H),
        RECURRENT: glorot(H, 3 * H),
        QUERY: glorot(H, H),
        KEY: glorot(H, H),
        WEIGHT: glorot(H, 1)[:, 0],
        DECODER: glorot(2 * H, D),
    }


class ByPlace(NamedTuple):
    """The order in which a recurrent network reads tokens: all first clicks, all second clicks, and so on.

    At each place the longer sequences come first, so that those that go on are the first rows of the place before.
    """

    order: Int64Array  # (N,) tokens in this order
    active: list[int]  # tokens at each place

    @classmethod
    def of(cls, tokens: Tokens) -> "ByPlace":
        """Return the order for the given sequences."""
        shorter = np.repeat(-tokens.lengths, tokens.lengths)  # (N,)
        order = np.lexsort((shorter, tokens.places))  # stable: sequences of one length keep their order
        return cls(order, np.bincount(tokens.places).tolist())


def gru(parameters: Parameters, vectors: Tensor, tokens: Tokens) -> Tensor:
    """Return the state of the GRU after every token, (N, H), from the tokens' vectors (N, D).

    r = σ(W_r x + U_r h), z = σ(W_z x + U_z h), c = tanh(W_c x + r ∘ U_c h), and the next h is (1 − z) ∘ h + z ∘ c.
    """
    by_place = ByPlace.of(tokens)
    order = tokens.on_device(by_place.order)
    inputs = (vectors @ parameters[INPUT]).index_select(0, order)
    fewest = MIN_ROWS if tokens.exact else 0
    states = list(_steps(parameters[RECURRENT], inputs, by_place.active, fewest))
    return torch.cat(states).index_select(0, torch.argsort(order))


def _steps(recurrent: Tensor, inputs: Tensor, active: list[int], fewest: int) -> Iterator[Tensor]:
    """Yield the states (active, H) at each place; products have at least `fewest` rows, to round alike."""
    size = len(recurrent)
    h = inputs.new_zeros(active[0], size)
    for x in torch.split(inputs, active):
        h = h[: len(x)]
        u = (pad(h, (0, 0, 0, max(0, fewest - len(h)))) @ recurrent)[: len(h)]
        r, z = sigmoid(x[:, : 2 * size] + u[:, : 2 * size]).chunk(2, dim=1)
        candidate = torch.tanh(x[:, 2 * size :] + r * u[:, 2 * size :])
        h = h + z * (candidate - h)
        yield h


def states(parameters: Parameters, settings: Settings, tokens: Tokens, drop: Drop) -> Tensor:
    """Return B [h_t; Σ_j v·σ(A₁ h_t + A₂ h_j) h_j] after every token t, (N, D), with j up to t."""
    vectors = embedding(tokens.items, parameters[ITEMS], sparse=True)
    h = gru(parameters, drop(vectors, settings.dropout_p_embed), tokens)
    queries, keys = h @ parameters[QUERY], h @ parameters[KEY]
    local = attend_to_prefix(queries, keys, h, parameters[WEIGHT], tokens)
    return drop(torch.cat([h, local], dim=1), settings.dropout_p_hidden) @ parameters[DECODER]


class Model(NeuralModel[Settings]):
    """NARM: score_j = item_j · B c, with c the last state of the GRU joined with a weighted sum of all its states."""

    description: ClassVar[str] = (
        "NARM: a recurrent network reads the session; its last state, joined with a weighted sum of all its states, "
        "is scored against every item."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True
    item_matrix = ITEMS

    def learner(self, train: Sessions, seed: int) -> GradientLearner[Batch]:
        """Return a training that has not begun."""
        return causal_training(train, self.settings, initial_parameters(train.n_items, self.settings, seed), states)

    def states(self, sessions: Sessions) -> Tensor:
        """Return the state after every event's history, (n_targets, D), in event order."""
        return causal_states(sessions, self.settings, self.parameters, states)
