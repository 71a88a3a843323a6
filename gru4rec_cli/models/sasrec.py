"""SASRec (Kang & McAuley, ICDM 2018) with sampled softmax (Klenitskiy & Vasilev, RecSys 2023): a causal transformer.

With `block: ligr` it is eSASRec (RecSys 2025). N clicks, D the hidden size.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import embedding

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import Batch
from gru4rec_cli.models.neural.causal import ITEMS, Parameters, Tokens, causal_states, causal_training
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.sampling import Drop
from gru4rec_cli.models.neural.transformer import (
    Transformer,
    TransformerSettings,
    causal_attention,
    initial_transformer,
    normal,
)


class Settings(TransformerSettings):
    """Settings of SASRec; the defaults are those of Klenitskiy & Vasilev (2023) where nothing else is said."""


def initial_parameters(n_items: int, settings: Settings, seed: int) -> Parameters:
    """Draw item vectors normal with standard deviation 0.02, and the transformer."""
    generator = torch.Generator().manual_seed(seed)
    items = normal(generator, n_items, settings.hidden_size)
    return {ITEMS: items} | initial_transformer(settings, settings.length, generator)


def states(parameters: Parameters, settings: Settings, tokens: Tokens, drop: Drop) -> Tensor:
    """Return the state after every click, (N, D): what the transformer makes of it and those before it."""
    transformer = Transformer(parameters, settings, causal_attention(tokens, settings.length), drop)
    vectors = embedding(tokens.items, parameters[ITEMS], sparse=True)
    return transformer(vectors, tokens.on_device(tokens.places))


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
