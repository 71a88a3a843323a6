"""BERT4Rec (Sun et al., CIKM 2019): a bidirectional transformer that learns to fill in masked clicks of a session.

The next item is what stands behind a history: at a mask that is appended to it. The clicks and masks of B sequences lie
one after the other, without padding: N tokens, M of them masks. D is the hidden size, V the items.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import embedding, gelu

from gru4rec_cli.base.arrays import BoolArray, Int64Array
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import cut_sessions, draw_batches, ranges
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens, states_of_histories
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.gradient import GradientLearner, adam
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.objective import Objective
from gru4rec_cli.models.neural.sampling import Drop, dropout, no_dropout
from gru4rec_cli.models.neural.scoring import MIN_ROWS
from gru4rec_cli.models.neural.settings import Loss, with_default
from gru4rec_cli.models.neural.transformer import (
    Transformer,
    TransformerSettings,
    full_attention,
    initial_transformer,
    linear_layer,
    norm_layer,
    normal,
)

MASK = "mask"  # (D,): the vector of a masked click
BIAS = "bias"  # (V,): b of the scores
HEAD, HEAD_NORM = "head", "head.norm"

MASKED = -1  # in place of an item


class Settings(TransformerSettings):
    """Settings of BERT4Rec; the defaults are those of Sun et al. (2019) where nothing else is said."""

    mask_ratio: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="part of a session's clicks that is masked, rounded; at least one click, and never all"
    )
    dupe_factor: int = Field(
        1,
        ge=0,
        le=1000,
        description="examples of every session in an epoch with clicks masked at random, others each time (published: "
        "10)",
    )
    last_item: Literal["prefix", "session", "none"] = Field(
        "prefix",
        description="one more example of every session in an epoch, with only the last click masked: prefix: of its "
        "first clicks, at least two, as many as are drawn; session: of the whole session, as published, where only the "
        "last click of a session is predicted; none: no such example",
    )
    epochs: int = with_default(TransformerSettings, "epochs", 200)
    batch_size: int = Field(256, ge=1, description="examples of a training step")
    heads: int = with_default(TransformerSettings, "heads", 2)
    block: Literal["pre-norm", "post-norm", "original", "ligr"] = with_default(
        TransformerSettings, "block", "post-norm"
    )
    inner_size: int | None = with_default(TransformerSettings, "inner_size", 256)
    activation: Literal["relu", "gelu"] = with_default(TransformerSettings, "activation", "gelu")
    scale_embedding: bool = with_default(TransformerSettings, "scale_embedding", False)
    dropout: Annotated[float, Field(ge=0, lt=1)] = with_default(TransformerSettings, "dropout", 0.2)
    loss: Loss = with_default(TransformerSettings, "loss", "cross-entropy")
    largest_norm: float = Field(
        5.0, gt=0, description="a step's gradient with a larger norm, over all parameters, is shortened to this"
    )

    @model_validator(mode="after")
    def _something_is_masked(self) -> Self:
        if self.dupe_factor == 0 and self.last_item == "none":
            raise ValueError("dupe_factor: 0 leaves no example; set last_item: prefix, or dupe_factor: 1 or more")
        return self


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw item vectors, mask and matrices normal with standard deviation 0.02; biases are zero."""
    generator = torch.Generator().manual_seed(seed)
    size = settings.hidden_size
    return {
        ITEMS: normal(generator, n_items, size),
        BIAS: torch.zeros(n_items),
        MASK: normal(generator, 1, size)[0],
        **linear_layer(HEAD, generator, size, size),
        **norm_layer(HEAD_NORM, size),
        **initial_transformer(settings, settings.length + 1, generator),
    }


def states(parameters: Parameters, settings: Settings, tokens: Tokens, drop: Drop) -> Tensor:
    """Return the state of every masked token, (M, D): LayerNorm(GELU(h W + b)), with h what the transformer gives it.

    It is equation 7 of the paper, without the product with the items, and with the layer normalisation of the published
    program.
    """
    is_mask = tokens.items == MASKED
    known, masked = torch.nonzero(~is_mask)[:, 0], torch.nonzero(is_mask)[:, 0]
    clicks = embedding(tokens.items[known], parameters[ITEMS], sparse=True)
    vectors = parameters[MASK].expand(len(is_mask), -1).index_copy(0, known, clicks)
    transformer = Transformer(parameters, settings, full_attention(tokens, settings.length + 1), drop)
    h = transformer(vectors, tokens.on_device(tokens.places)).index_select(0, masked)
    return transformer.norm(HEAD_NORM, gelu(transformer.linear(HEAD, h)))


class Examples(NamedTuple):
    """Consecutive clicks of training sessions, of which some are to be masked."""

    firsts: Int64Array  # (examples,) row of the first click
    lengths: Int64Array  # (examples,) clicks
    masks: Int64Array  # (examples,) clicks that are masked
    is_last: BoolArray  # (examples,) the last click is masked, in place of random ones

    def take(self, chosen: Int64Array) -> "Examples":
        """Return some of the examples."""
        return Examples(self.firsts[chosen], self.lengths[chosen], self.masks[chosen], self.is_last[chosen])


class Masked(NamedTuple):
    """The examples of a step, with what stands at their masks."""

    tokens: Tokens
    targets: Tensor  # (M,) items


def mask_counts(lengths: Int64Array, mask_ratio: float) -> Int64Array:
    """Return how many clicks of a session are masked: a ratio, rounded, but at least one, and never all."""
    counts: Int64Array = np.clip(np.rint(mask_ratio * lengths).astype(np.int64), 1, lengths - 1)
    return counts


def draw_passes(
    firsts: Int64Array, lengths: Int64Array, settings: Settings, rng: np.random.Generator
) -> Iterator[Examples]:
    """Yield the examples of every pass of an epoch, from the first rows and the lengths of parts of training sessions.

    In one pass of the epoch, another one for each part, only the last click is masked, if the settings say so.
    """
    n_passes = settings.dupe_factor + (settings.last_item != "none")
    masks = mask_counts(lengths, settings.mask_ratio)
    pass_of_last = rng.integers(n_passes, size=len(firsts))
    for number in range(n_passes):
        is_last = (pass_of_last == number) & (settings.last_item != "none")
        ends = rng.integers(2, lengths + 1) if settings.last_item == "prefix" else lengths
        yield Examples(firsts, np.where(is_last, ends, lengths), np.where(is_last, 1, masks), is_last)


def masked_places(examples: Examples, rng: np.random.Generator) -> BoolArray:
    """Return which clicks of the examples are masked, (N,)."""
    places = ranges(np.zeros_like(examples.lengths), examples.lengths)
    owners = np.repeat(np.arange(len(examples.lengths)), examples.lengths)
    order = np.lexsort((np.where(examples.is_last[owners], -places, rng.random(len(places))), owners))
    masked = np.empty(len(places), dtype=bool)
    masked[order] = places < examples.masks[owners]  # the first ones of every example in this order
    return masked


class Model(NeuralModel[Settings]):
    """BERT4Rec: score_j = state · item_j + b_j, with the state of a mask behind the last clicks of the history."""

    description: ClassVar[str] = (
        "BERT4Rec: a transformer that has learned to fill in masked clicks from both sides; the state of a mask after "
        "the last click is scored against every item."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True
    item_matrix = ITEMS
    bias = BIAS

    def learner(self, train: Sessions, seed: int) -> GradientLearner[Masked]:
        """Return a training that has not begun."""
        settings, device = self.settings, find_device(self.settings.device)
        drawn = initial_parameters(train.n_items, settings, seed)
        parameters = {name: value.to(device).requires_grad_() for name, value in drawn.items()}
        objective = Objective(train.supports(), settings, device)
        windows = cut_sessions(train, settings.length)
        firsts, lengths = windows.firsts, windows.lengths + 1  # with the click that the last event is about

        def batches(generator: np.random.Generator) -> Iterator[Masked]:
            for examples in draw_passes(firsts, lengths, settings, generator):
                for chosen in draw_batches(examples.lengths, settings.batch_size, settings.order, generator):
                    part = examples.take(chosen)
                    items = train.items[ranges(part.firsts, part.lengths)].astype(np.int64)
                    masked = masked_places(part, generator)
                    targets = torch.from_numpy(items[masked]).to(device)
                    items[masked] = MASKED
                    yield Masked(_tokens(items, part.lengths, device, exact=False), targets)

        def losses(batch: Masked, generator: np.random.Generator) -> Tensor:
            found = states(parameters, settings, batch.tokens, dropout(generator, device))
            return objective(found, batch.targets, parameters[ITEMS], generator, bias=parameters[BIAS])

        n_random = settings.dupe_factor * int(mask_counts(lengths, settings.mask_ratio).sum())
        n_events = n_random + (len(lengths) if settings.last_item != "none" else 0)
        return GradientLearner(
            parameters,
            adam(parameters, settings),
            n_events,
            batches,
            losses,
            largest_norm=settings.largest_norm,
            factor=settings.rate_factor,
        )

    def states(self, sessions: Sessions) -> Tensor:
        """Return the state after every event's history, (n_targets, D), in event order; zero for an empty history."""
        return states_of_histories(sessions, self.settings, self.parameters[ITEMS], self._states_of)

    def _states_of(self, clicks: Int64Array, lengths: Int64Array) -> Tensor:
        """Return the states of complete histories, and of some empty ones, (P + 32, D)."""
        lengths = np.append(lengths, np.zeros(MIN_ROWS, dtype=np.int64))
        items = np.full(len(clicks) + len(lengths), MASKED)
        items[ranges(np.cumsum(lengths + 1) - lengths - 1, lengths)] = clicks
        tokens = _tokens(items, lengths + 1, self.parameters[ITEMS].device, exact=True)
        with torch_threads(1):  # small products, whose threads would wait for each other
            return states(self.parameters, self.settings, tokens, no_dropout)


def _tokens(items: Int64Array, lengths: Int64Array, device: torch.device, *, exact: bool) -> Tokens:
    """Return the tokens of sequences of the given lengths."""
    return Tokens(torch.from_numpy(items).to(device), ranges(np.zeros_like(lengths), lengths), lengths, exact)
