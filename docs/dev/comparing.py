"""What the scripts have in common that compare a model's scores with those of another library, from the same weights.

Each says which library to install beside this package. They take no data: sessions and weights are random.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import Parameters, Tokens

V, LONGEST = 50, 12

_RECBOLE_LAYERS = {  # our name of a layer in a block, and RecBole's
    "query": "multi_head_attention.query",
    "projection": "multi_head_attention.dense",
    "norm1": "multi_head_attention.LayerNorm",
    "inner": "feed_forward.dense_1",
    "outer": "feed_forward.dense_2",
    "norm2": "feed_forward.LayerNorm",
}


class Clicks(NamedTuple):
    """The clicks of some sessions, one after the other."""

    items: Tensor  # (N,)
    places: Int64Array  # (N,) in the session
    lengths: Int64Array  # (B,)

    def tokens(self) -> Tokens:
        """Return what a causal model scores."""
        return Tokens(self.items, self.places, self.lengths, exact=True)


def random_clicks(n_items: int = V) -> Clicks:
    """Return 40 sessions of 1 to 12 clicks."""
    lengths = np.random.default_rng(0).integers(1, LONGEST + 1, 40)
    places = ranges(np.zeros_like(lengths), lengths)
    return Clicks(torch.randint(n_items, places.shape), places, lengths)


class _Items:
    """What a model of RecBole asks of a dataset: the number of items, of which item 0 is padding, and of places."""

    field2seqlen = {"item_id_list": LONGEST}  # noqa: RUF012

    def num(self, field: str) -> int:
        return V + 1


def recbole_model(model: Any, std: float = 0.5, **settings: Any) -> Any:
    """Return a model of RecBole with large random weights, ready to score."""
    from recbole.config import Config

    given = {"loss_type": "CE", "MAX_ITEM_LIST_LENGTH": LONGEST, "train_neg_sample_args": None, "use_gpu": False}
    torch.manual_seed(0)
    made = model(Config(model=model.__name__, dataset="none", config_dict=given | settings), _Items()).eval()
    for value in made.parameters():
        torch.nn.init.normal_(value, std=std)
    with torch.no_grad():
        made.item_embedding.weight[0] = 0.0
    return made


@torch.no_grad()
def recbole_scores(model: Any, clicks: Clicks) -> Tensor:
    """Return its scores of all items after every click, (N, V): of prefixes that are padded at their end."""
    padded = torch.zeros(len(clicks.items), LONGEST, dtype=torch.int64)
    for token, place in enumerate(clicks.places):
        padded[token, : place + 1] = clicks.items[token - place : token + 1] + 1
    history = {"item_id_list": padded, "item_length": torch.from_numpy(clicks.places + 1)}
    scores: Tensor = model.full_sort_predict(history)[:, 1:]
    return scores


def transposed(module: torch.nn.Module) -> dict[str, Tensor]:
    """Return its weights, with matrices transposed: a layer is x W here, and x Wᵀ in torch."""
    return {name: value.mT if value.dim() == 2 else value for name, value in module.state_dict().items()}


def recbole_blocks(weights: dict[str, Tensor], name: str) -> Parameters:
    """Return the two blocks of RecBole's transformer of this name as ours, from `transposed` weights."""
    blocks = {}
    for number in range(2):
        layer = f"{name}.layer.{number}"
        for part in ("weight", "bias"):
            of = {ours: weights[f"{layer}.{theirs}.{part}"] for ours, theirs in _RECBOLE_LAYERS.items()}
            both = [weights[f"{layer}.multi_head_attention.{theirs}.{part}"] for theirs in ("key", "value")]
            of["key_value"] = torch.cat(both, dim=-1)
            blocks |= {f"blocks.{number}.{ours}.{part}": value for ours, value in of.items()}
    return blocks


def report(name: str, ours: Tensor, theirs: Tensor) -> None:
    """Print the largest difference between the scores, and the largest score."""
    print(f"{name}: largest difference {(theirs - ours).abs().max():.1e}, largest score {theirs.abs().max():.1f}")
