"""SASRec (Kang & McAuley, ICDM 2018) with sampled softmax (Klenitskiy & Vasilev, RecSys 2023): a causal transformer.

The tokens of several sequences lie one after the other, without padding: N clicks, each with its position in its
sequence. D is the hidden size, H the number of heads.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import embedding, layer_norm, scaled_dot_product_attention

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import Batch, ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens, causal_states, causal_training
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.sampling import Drop
from gru4rec_cli.models.neural.settings import GradientSettings, with_default

POSITIONS = "positions"  # (length, D)

_INITIAL_STD = 0.02  # as in Klenitskiy & Vasilev's code
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values → what each query attends to; (N, H, D/H)


class Settings(GradientSettings):
    """Settings of SASRec; the defaults are those of Klenitskiy & Vasilev (2023) where nothing else is said."""

    blocks: int = Field(2, ge=1, description="transformer blocks")
    heads: int = Field(1, ge=1, description="attention heads; hidden_size must be a multiple of this")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="probability of dropping a unit of an input vector or of what a sub-layer adds"
    )
    beta2: float = with_default(GradientSettings, "beta2", 0.98)  # Kang & McAuley, 2018

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many."""
        block = 6 * self.hidden_size**2
        return super().memory_needed(n_items) | {
            "hidden_size": 16 * (n_items * self.hidden_size + block),
            "blocks": 16 * self.blocks * block,
            "length": 16 * self.length * self.hidden_size,
        }

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"heads: hidden_size {self.hidden_size} is not a multiple of {self.heads}")
        return self


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw matrices normal with standard deviation 0.02; biases are zero, scales of the layer normalisation one."""
    generator = torch.Generator().manual_seed(seed)
    size = settings.hidden_size

    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * _INITIAL_STD

    parameters = {ITEMS: normal(n_items, size), POSITIONS: normal(settings.length, size)}
    for block in range(settings.blocks):
        for layer, width in {"attention": 3 * size, "projection": size, "inner": size, "outer": size}.items():
            parameters[f"blocks.{block}.{layer}.weight"] = normal(size, width)
            parameters[f"blocks.{block}.{layer}.bias"] = torch.zeros(width)
    norms = [f"blocks.{block}.{norm}" for block in range(settings.blocks) for norm in ("norm1", "norm2")]
    for norm in [*norms, "norm"]:
        parameters[f"{norm}.weight"], parameters[f"{norm}.bias"] = torch.ones(size), torch.zeros(size)
    return parameters


class Network:
    """The transformer over given parameters: from item vectors to states."""

    def __init__(self, parameters: Parameters, settings: Settings, attend: Attend, drop: Drop) -> None:
        self.parameters = parameters
        self.settings = settings
        self.attend = attend
        self.drop = drop

    def states(self, tokens: Tokens) -> Tensor:
        """Return the state after every click, (N, D)."""
        vectors = embedding(tokens.items, self.parameters[ITEMS], sparse=self.settings.sparse_adam)
        positions = embedding(tokens.on_device(tokens.places), self.parameters[POSITIONS])
        x = self._drop(vectors * self.settings.hidden_size**0.5 + positions)
        for block in range(self.settings.blocks):
            x = self._pre_norm_block(f"blocks.{block}", x)
        return self._norm("norm", x)

    def _pre_norm_block(self, name: str, x: Tensor) -> Tensor:
        """y = x + drop(attention(norm₁ x)), z = y + drop(feed-forward(norm₂ y))."""
        in_heads = (len(x), 3, self.settings.heads, -1)
        q, k, v = self._linear(f"{name}.attention", self._norm(f"{name}.norm1", x)).view(in_heads).unbind(1)
        y = x + self._drop(self._linear(f"{name}.projection", self.attend(q, k, v).flatten(1)))
        inner = torch.relu(self._linear(f"{name}.inner", self._norm(f"{name}.norm2", y)))
        return y + self._drop(self._linear(f"{name}.outer", inner))

    def _drop(self, x: Tensor) -> Tensor:
        return self.drop(x, self.settings.dropout)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return torch.addmm(self.parameters[f"{name}.bias"], x, self.parameters[f"{name}.weight"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return layer_norm(x, weight.shape, weight, bias)


def attend_in_batch(lengths: Int64Array, device: torch.device) -> Attend:
    """Return the causal attention within sequences of the given lengths, all in one pass.

    Shorter sequences are padded at their end, where no click of theirs looks.
    """
    longest = int(lengths.max())
    places = torch.from_numpy(ranges(np.arange(len(lengths)) * longest, lengths)).to(device)

    def padded(x: Tensor) -> Tensor:
        rows = x.new_zeros(len(lengths) * longest, *x.shape[1:]).index_copy(0, places, x)
        return rows.view(len(lengths), longest, *x.shape[1:]).transpose(1, 2)  # (B, H, longest, D/H)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attended = scaled_dot_product_attention(padded(q), padded(k), padded(v), is_causal=True)
        return attended.transpose(1, 2).flatten(0, 1).index_select(0, places)

    return attend


def attend_reproducibly(places: Int64Array, length: int, device: torch.device) -> Attend:
    """Return the same attention, rounded the same whatever other clicks are there, before and after.

    A batched product rounds by the shapes of its matrices. Here every pair of a query and a key is multiplied on its
    own, the weights of a query are always normalised over `length` keys, of which those that are not there weigh 0,
    and the values are added up from the nearest to the farthest.
    """
    farthest = int(places.max())
    queries = [torch.from_numpy(np.flatnonzero(places >= back)).to(device) for back in range(farthest + 1)]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q.new_full((*q.shape[:2], length), -torch.inf)  # (N, H, length): of the key so many clicks back
        for back, rows in enumerate(queries):
            scores[rows, :, back] = (q[rows] * k[rows - back]).sum(-1)
        weights = torch.softmax(scores * q.shape[-1] ** -0.5, dim=-1)
        attended = torch.zeros_like(q)
        for back, rows in enumerate(queries):
            attended.index_add_(0, rows, weights[rows, :, back, None] * v[rows - back])
        return attended

    return attend


def states(parameters: Parameters, settings: Settings, tokens: Tokens, drop: Drop) -> Tensor:
    """Return the state after every token, (N, D)."""
    if tokens.exact:
        attend = attend_reproducibly(tokens.places, settings.length, tokens.device)
    else:
        attend = attend_in_batch(tokens.lengths, tokens.device)
    return Network(parameters, settings, attend, drop).states(tokens)


class Model(NeuralModel[Settings]):
    """SASRec: score_j = state · item_j, with the state that the transformer has after the last click of the history."""

    description: ClassVar[str] = (
        "SASRec: a causal transformer reads a session's last clicks at once; its state is scored against every item."
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
