"""Models whose state after a click follows from this click and those before it: training and scoring in one pass.

Such a pass reads whole sequences, all at once, and gives the state after every click. So a session is learned from
without a copy of every prefix, and scored with the same states that its prefixes have alone, bit for bit. The tokens of
several sequences lie one after the other, without padding: N tokens of B sequences.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Int32Array, Int64Array
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import Batch, batch_of, cut_sessions, draw_batches, histories, ranges
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.gradient import GradientLearner, adam
from gru4rec_cli.models.neural.objective import Objective, Vectors
from gru4rec_cli.models.neural.sampling import Drop, dropout, no_dropout
from gru4rec_cli.models.neural.scoring import MIN_ROWS
from gru4rec_cli.models.neural.settings import GradientSettings

_TOKENS_AT_ONCE = 2**14  # whose states are computed together, but at least one sequence

ITEMS = "items"  # name of the item matrix (V, D)

Parameters = dict[str, Tensor]
AnySettings = TypeVar("AnySettings", bound=GradientSettings)


class Tokens(NamedTuple):
    """The clicks of B sequences, one after the other."""

    items: Tensor  # (N,) int64
    places: Int64Array  # (N,) place of each in its sequence, from 0
    lengths: Int64Array  # (B,) tokens of each sequence
    exact: bool  # scoring: a token's state must have the same bits whatever other sequences are there

    @property
    def device(self) -> torch.device:
        """The device of the tokens."""
        return self.items.device

    def on_device(self, numbers: Int64Array) -> Tensor:
        """Return whole numbers as a tensor on the device of the tokens."""
        return torch.from_numpy(numbers).to(self.device)


# Parameters, settings, tokens, dropout → the state after every token, (N, D)
States = Callable[[Parameters, AnySettings, Tokens, Drop], Tensor]


def prefix_pairs(lengths: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return all pairs of a token and one of its sequence up to itself, by rows of the tokens: (P,) and (P,).

    The first of a pair is the token whose prefix it is, in order; the second runs from the first click to it.
    """
    places = ranges(np.zeros_like(lengths), lengths)  # (N,)
    tokens = np.arange(len(places))
    return np.repeat(tokens, places + 1), ranges(tokens - places, places + 1)


def sum_over(rows: Tensor, values: Tensor, n: int) -> Tensor:
    """Return the sums of the values (P, …) that belong to each of n rows, (n, …), added in the order of `rows` (P,)."""
    return values.new_zeros(n, *values.shape[1:]).index_add(0, rows, values)


def attend_to_prefix(queries: Tensor, keys: Tensor, values: Tensor, weight: Tensor, tokens: Tokens) -> Tensor:
    """Return Σ_j weight·σ(query_t + key_j) value_j for every token t, (N, D).

    The sum is over the clicks j of the sequence up to t. Queries and keys are (N, H), the weight (H,), values (N, D).
    """
    whole, part = (tokens.on_device(rows) for rows in prefix_pairs(tokens.lengths))
    weights = (sigmoid(queries[whole] + keys[part]) * weight).sum(1, keepdim=True)  # (P, 1)
    return sum_over(whole, weights * values[part], len(values))


def sigmoid(x: Tensor) -> Tensor:
    """Return the logistic function of every value, with bits that do not depend on where in the tensor it stands.

    torch.sigmoid rounds the last few values of a tensor in another way than those before; torch.tanh does not.
    """
    return torch.tanh(x / 2) / 2 + 0.5


def causal_training(
    train: Sessions,
    settings: AnySettings,
    parameters: Parameters,
    states: States[AnySettings],
    vectors: Callable[[Tensor, Drop], Tensor] = lambda rows, drop: rows,
    *,
    largest_norm: float | None = None,
) -> GradientLearner[Batch]:
    """Return a training by Adam on the mean loss of a batch's events, from initial parameters.

    `vectors` turns rows of the item matrix into the vectors that states are multiplied with. A gradient whose norm is
    above `largest_norm` is shortened to it.

    Raises:
        UsageError: the device that the settings name is not there.
    """
    device = find_device(settings.device)
    windows = cut_sessions(train, settings.length)
    objective = Objective(train.supports(), settings, device)
    trained = {name: value.to(device).requires_grad_() for name, value in parameters.items()}

    def batches(generator: np.random.Generator) -> Iterator[Batch]:
        for chosen in draw_batches(windows.lengths, settings.batch_size, settings.order, generator):
            yield batch_of(train.items, windows, chosen)

    def losses(batch: Batch, generator: np.random.Generator) -> Tensor:
        drop = dropout(generator, device)
        inputs, targets = (torch.from_numpy(values).to(device) for values in (batch.inputs, batch.targets))
        found = states(trained, settings, Tokens(inputs, batch.positions, batch.lengths, exact=False), drop)
        of_items: Vectors = lambda rows: vectors(rows, drop)  # noqa: E731
        return objective(found, targets, trained[ITEMS], generator, vectors=of_items)

    optimizers = adam(trained, settings)
    return GradientLearner(
        trained,
        optimizers,
        train.n_targets,
        batches,
        losses,
        largest_norm=largest_norm,
        factor=settings.rate_factor,
    )


@torch.no_grad()
def causal_states(
    sessions: Sessions, settings: AnySettings, parameters: Parameters, states: States[AnySettings]
) -> Tensor:
    """Return the state after every event's history, (n_targets, D), in event order.

    UNSEEN clicks are passed over; a history of nothing else has the state zero, so that all items tie. Events whose
    histories begin with the same click share a pass; with a history longer than `length`, each has its own.
    """
    clicks, firsts, stops = histories(sessions, settings.length)
    device = parameters[ITEMS].device
    events = np.flatnonzero(stops > firsts)  # (known,) those with a state
    depths = (stops - firsts)[events]  # (known,) clicks of their histories

    starts, sequence = np.unique(firsts[events], return_inverse=True)  # (sequences,), (known,)
    lengths = np.zeros_like(starts)
    np.maximum.at(lengths, sequence, depths)
    begins = np.cumsum(lengths) - lengths  # (sequences,) first token of each
    tokens = begins[sequence] + depths - 1  # (known,) token whose state it is
    found = torch.zeros(len(stops), parameters[ITEMS].shape[1], device=device)
    cuts = np.flatnonzero(np.diff(begins // _TOKENS_AT_ONCE, prepend=-1))
    for first, stop in pairwise([*cuts, len(starts)]):
        items = clicks[ranges(starts[first:stop], lengths[first:stop])]
        part = _states_of(items, lengths[first:stop], settings, parameters, states)
        these = np.flatnonzero((first <= sequence) & (sequence < stop))
        own = torch.from_numpy(tokens[these] - begins[first]).to(device)
        found[torch.from_numpy(events[these]).to(device)] = part[own]
    return found


def _states_of(
    items: Int32Array, lengths: Int64Array, settings: AnySettings, parameters: Parameters, states: States[AnySettings]
) -> Tensor:
    """Return the state after every token of complete sequences, and of some more, (≥ N, D)."""
    # With fewer rows, products round differently; and so do the last numbers of some functions, such as σ.
    lengths = np.append(lengths, np.ones(MIN_ROWS, dtype=np.int64))
    rows = torch.from_numpy(np.pad(items, (0, MIN_ROWS)).astype(np.int64)).to(parameters[ITEMS].device)
    tokens = Tokens(rows, ranges(np.zeros_like(lengths), lengths), lengths, exact=True)
    with torch_threads(1):  # small products, whose threads would wait for each other
        return states(parameters, settings, tokens, no_dropout)


@torch.no_grad()
def states_of_histories(
    sessions: Sessions, settings: GradientSettings, items: Tensor, states_of: Callable[[Int64Array, Int64Array], Tensor]
) -> Tensor:
    """Return the state after every event's history, (n_targets, D), each history read on its own: of other models.

    `states_of` takes the clicks of histories, one after the other, and their lengths (P,), none of which is empty; the
    first P rows of what it returns are their states. An empty history has the state zero. `items` is (V, D).
    """
    clicks, firsts, stops = histories(sessions, settings.length)
    found = torch.zeros(len(stops), items.shape[1], device=items.device)
    events = np.flatnonzero(stops > firsts)  # (known,) those with a state
    lengths = (stops - firsts)[events]
    cuts = np.flatnonzero(np.diff((np.cumsum(lengths) - lengths) // _TOKENS_AT_ONCE, prepend=-1))
    for start, stop in pairwise([*cuts, len(events)]):
        part = events[start:stop]
        rows = ranges(firsts[part], lengths[start:stop])
        states = states_of(clicks[rows].astype(np.int64), lengths[start:stop])
        found[torch.from_numpy(part).to(items.device)] = states[: len(part)]
    return found
