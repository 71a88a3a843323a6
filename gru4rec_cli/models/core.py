"""CORE (Hou et al., SIGIR 2022): the weighted mean of the vectors of clicked items, and its cosine with every item.

The tokens of several sequences lie one after the other, without padding: N clicks. D is the hidden size, V the items.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import embedding, normalize

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import ProductBlock
from gru4rec_cli.models.base import check_vocabulary
from gru4rec_cli.models.neural.batches import Batch
from gru4rec_cli.models.neural.causal import (
    ITEMS,
    Parameters,
    Tokens,
    causal_states,
    causal_training,
    prefix_pairs,
    sum_over,
)
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.sampling import Drop, no_dropout
from gru4rec_cli.models.neural.scoring import score_states
from gru4rec_cli.models.neural.settings import GradientSettings, Loss, with_default
from gru4rec_cli.models.neural.transformer import (
    Transformer,
    TransformerSettings,
    causal_attention,
    initial_transformer,
    normal,
)

LOGIT = "logit"  # w (D,)

Probability = Annotated[float, Field(ge=0, lt=1)]


class Settings(TransformerSettings):
    """Settings of CORE; the defaults are those of Hou et al. (2022) where nothing else is said."""

    encoder: Literal["trm", "ave"] = Field(
        "trm",
        description="weights of a session's clicks: trm: softmax of what a transformer gives for each of them; ave: "
        "all the same, without a transformer, whose settings are then not used",
    )
    temperature: float = Field(0.07, gt=0, description="τ: a score is the cosine of session and item, divided by this")
    dropout_p_session: Probability = Field(
        0.2, description="probability of dropping a unit of the vector of a session's item"
    )
    dropout_p_item: Probability = Field(
        0.2, description="probability of dropping a unit of an item vector that the session is compared with"
    )
    hidden_size: int = with_default(TransformerSettings, "hidden_size", 100)
    batch_size: int = with_default(TransformerSettings, "batch_size", 512)
    heads: int = with_default(TransformerSettings, "heads", 2)
    block: Literal["pre-norm", "post-norm", "original", "ligr"] = with_default(
        TransformerSettings, "block", "post-norm"
    )
    inner_size: int | None = with_default(TransformerSettings, "inner_size", 256)
    activation: Literal["relu", "gelu"] = with_default(TransformerSettings, "activation", "gelu")
    scale_embedding: bool = with_default(TransformerSettings, "scale_embedding", False)
    dropout: Probability = with_default(TransformerSettings, "dropout", 0.5)
    loss: Loss = with_default(TransformerSettings, "loss", "cross-entropy")

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many."""
        without_transformer = GradientSettings.memory_needed(self, n_items)
        return without_transformer if self.encoder == "ave" else super().memory_needed(n_items)


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw item vectors uniform in ±1/√D, and the transformer."""
    generator = torch.Generator().manual_seed(seed)
    size = settings.hidden_size
    items = (2 * torch.rand(n_items, size, generator=generator) - 1) * size**-0.5
    if settings.encoder == "ave":
        return {ITEMS: items}
    logit = normal(generator, size, 1)[:, 0]
    return {ITEMS: items, LOGIT: logit} | initial_transformer(settings, settings.length, generator)


def states(parameters: Parameters, settings: Settings, tokens: Tokens, drop: Drop) -> Tensor:
    """Return c_t / (τ ‖c_t‖) after every token t, (N, D), with c_t = Σ_j α_j x_j over the clicks j up to t.

    The weights α are equal, or the softmax of w · h_j over j up to t, with h the states of the transformer.
    """
    rows = embedding(tokens.items, parameters[ITEMS], sparse=True)
    x = drop(rows, settings.dropout_p_session)
    whole, part = (tokens.on_device(numbers) for numbers in prefix_pairs(tokens.lengths))
    values = x.index_select(0, part)
    # The length of c_t does not matter. So the weights of a prefix need not be divided by their sum.
    if settings.encoder == "trm":
        transformer = Transformer(parameters, settings, causal_attention(tokens, settings.length), drop)
        logits = (transformer(x, tokens.on_device(tokens.places)) * parameters[LOGIT]).sum(1)  # (N,)
        values = _exp_below_largest(logits, whole, part)[:, None] * values
    return normalize(sum_over(whole, values, len(x)), dim=-1) / settings.temperature


def _exp_below_largest(logits: Tensor, whole: Tensor, part: Tensor) -> Tensor:
    """Return exp(logit_j − largest logit up to t) for all pairs of a token t and a j up to it, (P,)."""
    of_pairs = logits.index_select(0, part)
    lowest = torch.full_like(logits, -torch.inf)
    largest = lowest.scatter_reduce(0, whole, of_pairs.detach(), "amax")  # of every prefix, (N,)
    return torch.exp(of_pairs - largest.index_select(0, whole))


def item_vectors(rows: Tensor, drop: Drop, dropout: float = 0.0) -> Tensor:
    """Return the vectors that states are multiplied with, for rows of the item matrix (…, D): of length 1."""
    return normalize(drop(rows, dropout), dim=-1)


class Model(NeuralModel[Settings]):
    """CORE: score_j = cosine of item_j and the weighted mean of the session's items, divided by the temperature."""

    description: ClassVar[str] = (
        "CORE: a session is the weighted mean of its items' vectors, with weights from a transformer; its cosine with "
        "every item is the score."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = False  # the cosine of the clicked item with itself is the largest
    item_matrix = ITEMS

    def learner(self, train: Sessions, seed: int) -> GradientLearner[Batch]:
        """Return a training that has not begun."""
        initial = initial_parameters(train.n_items, self.settings, seed)
        vectors = partial(item_vectors, dropout=self.settings.dropout_p_item)
        return causal_training(train, self.settings, initial, states, vectors)

    def states(self, sessions: Sessions) -> Tensor:
        """Return the state after every event's history, (n_targets, D), in event order."""
        return causal_states(sessions, self.settings, self.parameters, states)

    def score(self, sessions: Sessions) -> Iterator[ProductBlock]:
        """Yield the scores of every event of `sessions` in blocks; see `Recommender`."""
        items = self.parameters[ITEMS]
        check_vocabulary(sessions, len(items))
        yield from score_states(self.states, sessions, item_vectors(items, no_dropout), bias=None)
