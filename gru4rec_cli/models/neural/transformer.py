"""Transformers: blocks of attention and a feed-forward layer, for the models that read sequences with them.

The tokens of several sequences lie one after the other, without padding: N tokens. D is the hidden size, H the number
of heads, F the inner size.
"""

from collections.abc import Callable
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, scaled_dot_product_attention, silu

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import Parameters, Tokens
from gru4rec_cli.models.neural.sampling import Drop
from gru4rec_cli.models.neural.scoring import MIN_ROWS
from gru4rec_cli.models.neural.settings import GradientSettings

POSITIONS = "positions"  # (places, D)

_INITIAL_STD = 0.02  # as in BERT, and in Klenitskiy & Vasilev's code
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values → what each query attends to; (N, H, D/H)


class TransformerSettings(GradientSettings):
    """Settings of a transformer; the defaults are those of SASRec."""

    blocks: int = Field(2, ge=1, description="transformer blocks")
    heads: int = Field(1, ge=1, description="attention heads; hidden_size must be a multiple of this")
    block: Literal["pre-norm", "post-norm", "original", "ligr"] = Field(
        "pre-norm",
        description="what a block is: pre-norm: each sub-layer reads the normalised stream; post-norm: the sum of a "
        "sub-layer and the stream is normalised (BERT4Rec, 2019); original: queries are normalised and go on as the "
        "stream, keys and values are not (Kang & McAuley, 2018); ligr: pre-norm, with a gate on what each sub-layer "
        "adds, and SwiGLU as feed-forward layer (eSASRec, 2025)",
    )
    inner_size: int | None = Field(
        None,
        ge=1,
        description="units F inside a feed-forward layer; null: hidden_size, as published for SASRec (BERT4Rec and "
        "ligr: 4 * hidden_size)",
    )
    activation: Literal["relu", "gelu"] = Field(
        "relu", description="non-linearity inside a feed-forward layer; not used by ligr, which has SwiGLU"
    )
    positions: Literal["learned", "none"] = Field(
        "learned", description="learned: a vector for each place in a sequence is added to the input; none: no vector"
    )
    scale_embedding: bool = Field(True, description="true: item vectors are multiplied by √hidden_size before all else")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="probability of dropping a unit of an input vector or of what a sub-layer adds"
    )

    @property
    def inner_units(self) -> int:
        """The units inside a feed-forward layer."""
        return self.inner_size or self.hidden_size

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many.

        Ranking is a part of it: see `attend_reproducibly`.
        """
        attention, feed_forward = 4 * self.hidden_size**2, 2 * self.hidden_size * self.inner_units
        positions = 16 * self.hidden_size if self.positions == "learned" else 0
        return super().memory_needed(n_items) | {
            "hidden_size": 16 * (n_items * self.hidden_size + attention),
            "inner_size": 16 * feed_forward,
            "blocks": 16 * self.blocks * (attention + feed_forward),
            "length": self.length * (positions + 8 * MIN_ROWS * self.heads),
        }

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"heads: hidden_size {self.hidden_size} is not a multiple of {self.heads}")
        return self


def normal(generator: torch.Generator, rows: int, columns: int) -> Tensor:
    """Draw a matrix with the standard deviation 0.02, at which all matrices of a transformer begin."""
    return torch.randn(rows, columns, generator=generator) * _INITIAL_STD


def linear_layer(name: str, generator: torch.Generator, inputs: int, outputs: int) -> Parameters:
    """Return the initial weight, (inputs, outputs), and bias of a linear layer: x W + b."""
    return {f"{name}.weight": normal(generator, inputs, outputs), f"{name}.bias": torch.zeros(outputs)}


def norm_layer(name: str, size: int) -> Parameters:
    """Return the initial weight and bias of a layer normalisation."""
    return {f"{name}.weight": torch.ones(size), f"{name}.bias": torch.zeros(size)}


def initial_transformer(settings: TransformerSettings, places: int, generator: torch.Generator) -> Parameters:
    """Return the parameters of a transformer over sequences of at most so many places.

    Matrices are normal with standard deviation 0.02; biases are zero, scales of the layer normalisation one.
    """
    size, inner = settings.hidden_size, settings.inner_units
    layers = {"query": (size, size), "key_value": (size, 2 * size), "projection": (size, size)}
    if settings.block == "ligr":
        layers |= {"inner": (size, 2 * inner), "attention_gate": (size, size), "feed_forward_gate": (size, size)}
    else:
        layers |= {"inner": (size, inner)}
    layers |= {"outer": (inner, size)}
    parameters = {POSITIONS: normal(generator, places, size)} if settings.positions == "learned" else {}
    for block in range(settings.blocks):
        for layer, shape in layers.items():
            parameters |= linear_layer(f"blocks.{block}.{layer}", generator, *shape)
        parameters |= norm_layer(f"blocks.{block}.norm1", size) | norm_layer(f"blocks.{block}.norm2", size)
    return parameters | norm_layer("norm", size)


class Transformer:
    """A transformer over given parameters: from the vectors of tokens to their states, (N, D) both."""

    def __init__(self, parameters: Parameters, settings: TransformerSettings, attend: Attend, drop: Drop) -> None:
        """`attend` says which tokens a token looks at: see `causal_attention` and `full_attention`."""
        self.parameters = parameters
        self.settings = settings
        self.attend = attend
        self.drop = drop
        self._blocks = {
            "pre-norm": self._pre_norm,
            "post-norm": self._post_norm,
            "original": self._original,
            "ligr": self._ligr,
        }

    def __call__(self, vectors: Tensor, places: Tensor) -> Tensor:
        """Return the state of every token, (N, D), from its vector and its place (N,) in its sequence.

        A stream that blocks do not normalise is normalised after them; else its input is.
        """
        x = vectors * self.settings.hidden_size**0.5 if self.settings.scale_embedding else vectors
        if self.settings.positions == "learned":
            x = x + embedding(places, self.parameters[POSITIONS])
        post_norm = self.settings.block == "post-norm"
        x = self._drop(self.norm("norm", x) if post_norm else x)
        for block in range(self.settings.blocks):
            x = self._blocks[self.settings.block](f"blocks.{block}", x)
        return x if post_norm else self.norm("norm", x)

    def _pre_norm(self, name: str, x: Tensor) -> Tensor:
        """y = x + attention(norm₁ x), z = y + feed-forward(norm₂ y)."""
        normed = self.norm(f"{name}.norm1", x)
        y = x + self._attention(name, normed, normed)
        return y + self._feed_forward(name, self.norm(f"{name}.norm2", y))

    def _post_norm(self, name: str, x: Tensor) -> Tensor:
        """y = norm₁(x + attention(x)), z = norm₂(y + feed-forward(y))."""
        y = self.norm(f"{name}.norm1", x + self._attention(name, x, x))
        return self.norm(f"{name}.norm2", y + self._feed_forward(name, y))

    def _original(self, name: str, x: Tensor) -> Tensor:
        """q = norm₁ x, y = norm₂(q + attention(q, with keys and values of x)), z = y + feed-forward(y)."""
        queries = self.norm(f"{name}.norm1", x)
        y = self.norm(f"{name}.norm2", queries + self._attention(name, queries, x))
        return y + self._feed_forward(name, y)

    def _ligr(self, name: str, x: Tensor) -> Tensor:
        """y = x + σ(gate₁ x) ∘ attention(norm₁ x), z = y + σ(gate₂ y) ∘ SwiGLU(norm₂ y)."""
        normed = self.norm(f"{name}.norm1", x)
        y = x + torch.sigmoid(self.linear(f"{name}.attention_gate", x)) * self._attention(name, normed, normed)
        added = self._feed_forward(name, self.norm(f"{name}.norm2", y))
        return y + torch.sigmoid(self.linear(f"{name}.feed_forward_gate", y)) * added

    def _attention(self, name: str, x: Tensor, others: Tensor) -> Tensor:
        """Return what attention adds to the stream, with queries from `x`, keys and values from `others`."""
        query = self.linear(f"{name}.query", x).view(len(x), self.settings.heads, -1)
        key, value = self.linear(f"{name}.key_value", others).view(len(x), 2, self.settings.heads, -1).unbind(1)
        return self._drop(self.linear(f"{name}.projection", self.attend(query, key, value).flatten(1)))

    def _feed_forward(self, name: str, x: Tensor) -> Tensor:
        """Return what the feed-forward layer adds to the stream: outer(activation(inner x)), or SwiGLU."""
        inner = self.linear(f"{name}.inner", x)
        if self.settings.block == "ligr":
            gate, value = inner.chunk(2, dim=1)
            inner = silu(gate) * value
        else:
            inner = torch.relu(inner) if self.settings.activation == "relu" else gelu(inner)
        return self._drop(self.linear(f"{name}.outer", inner))

    def linear(self, name: str, x: Tensor) -> Tensor:
        """Return x W + b."""
        return torch.addmm(self.parameters[f"{name}.bias"], x, self.parameters[f"{name}.weight"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Return x, each row with mean 0 and variance 1, times a weight, plus a bias."""
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return layer_norm(x, weight.shape, weight, bias)

    def _drop(self, x: Tensor) -> Tensor:
        return self.drop(x, self.settings.dropout)


def causal_attention(tokens: Tokens, longest: int) -> Attend:
    """Return the attention of every token to itself and those before it, in sequences of at most `longest` tokens."""
    if tokens.exact:
        return attend_reproducibly(tokens.places, tokens.places + 1, longest, tokens.device)
    return attend_in_batch(tokens.lengths, tokens.device, causal=True)


def full_attention(tokens: Tokens, longest: int) -> Attend:
    """Return the attention of every token to all of its sequence, in sequences of at most `longest` tokens."""
    if tokens.exact:
        return attend_reproducibly(tokens.places, np.repeat(tokens.lengths, tokens.lengths), longest, tokens.device)
    return attend_in_batch(tokens.lengths, tokens.device, causal=False)


def attend_in_batch(lengths: Int64Array, device: torch.device, *, causal: bool) -> Attend:
    """Return the attention within sequences of the given lengths, all in one pass.

    Shorter sequences are padded at their end; nothing there is looked at.
    """
    longest = int(lengths.max())
    places = torch.from_numpy(ranges(np.arange(len(lengths)) * longest, lengths)).to(device)
    if causal or int(lengths.min()) == longest:  # nobody could look at the padding
        mask = None
    else:
        mask = torch.from_numpy(np.arange(longest) < lengths[:, None])[:, None, None].to(device)  # of keys

    def padded(x: Tensor) -> Tensor:
        rows = x.new_zeros(len(lengths) * longest, *x.shape[1:]).index_copy(0, places, x)
        return rows.view(len(lengths), longest, *x.shape[1:]).transpose(1, 2)  # (B, H, longest, D/H)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attended = scaled_dot_product_attention(padded(q), padded(k), padded(v), attn_mask=mask, is_causal=causal)
        return attended.transpose(1, 2).flatten(0, 1).index_select(0, places)

    return attend


def attend_reproducibly(places: Int64Array, counts: Int64Array, longest: int, device: torch.device) -> Attend:
    """Return the same attention, rounded the same whatever other sequences are there, and whatever other clicks.

    A batched product rounds by the shapes of its matrices. Here every pair of a query and a key is multiplied on its
    own, the weights of a query are always normalised over `longest` keys, of which those that are not there weigh 0,
    and the values are added up from the first to the last. A token at place `places[i]` of its sequence looks at the
    first `counts[i]` of it.
    """
    firsts = np.arange(len(places)) - places  # (N,) first token of each one's sequence
    pairs = []  # for every place: the queries that look at it, and the keys there
    for place in range(int(counts.max())):
        queries = np.flatnonzero(counts > place)
        pairs.append((torch.from_numpy(queries).to(device), torch.from_numpy(firsts[queries] + place).to(device)))

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q.new_full((*q.shape[:2], longest), -torch.inf)  # (N, H, longest): of the key at that place
        for place, (queries, keys) in enumerate(pairs):
            scores[queries, :, place] = (q[queries] * k[keys]).sum(-1)
        weights = torch.softmax(scores * q.shape[-1] ** -0.5, dim=-1)
        attended = torch.zeros_like(q)
        for place, (queries, keys) in enumerate(pairs):
            attended.index_add_(0, queries, weights[queries, :, place, None] * v[keys])
        return attended

    return attend
