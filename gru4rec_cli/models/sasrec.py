"""SASRec (Kang & McAuley, ICDM 2018) with sampled softmax (Klenitskiy & Vasilev, RecSys 2023): a causal transformer.

The tokens of several sequences lie one after the other, without padding: N clicks, each with its position in its
sequence. D is the hidden size, H the number of heads.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import embedding, layer_norm, scaled_dot_product_attention

from gru4rec_cli.base.arrays import Int32Array, Int64Array
from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.neural.batches import Batch, batch_of, cut_sessions, draw_batches, histories, ranges
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.losses import sampled_softmax
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.sampling import NegativeSampler, dropout_mask
from gru4rec_cli.models.neural.scoring import MIN_ROWS
from gru4rec_cli.models.neural.settings import NeuralSettings

ITEMS, POSITIONS = "items", "positions"  # (V, D) input and output vectors, (length, D)

_INITIAL_STD = 0.02  # as in Klenitskiy & Vasilev's code
_TOKENS_AT_ONCE = 2**14  # whose states are computed together, but at least one sequence

Parameters = dict[str, Tensor]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values → what each query attends to; (N, H, D/H)
Drop = Callable[[Tensor], Tensor]


class Settings(NeuralSettings):
    """Settings of SASRec; the defaults are those of Klenitskiy & Vasilev (2023) where nothing else is said."""

    hidden_size: int = Field(64, ge=1, description="units D of item vectors and states")
    blocks: int = Field(2, ge=1, description="transformer blocks")
    heads: int = Field(1, ge=1, description="attention heads; hidden_size must be a multiple of this")
    length: int = Field(50, ge=1, description="number of last clicks of a history that are used (Kang & McAuley, 2018)")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="probability of dropping a unit of an input vector or of what a sub-layer adds"
    )
    batch_size: int = Field(128, ge=1, description="sessions of a training step")
    order: Literal["shuffled", "time"] = Field(
        "shuffled",
        description="order of the training sessions: shuffled: new in every epoch; time: as in the data. 16 batches at "
        "a time are then sorted by length, which saves padding, and used in random order",
    )
    learning_rate: float = Field(0.001, gt=0, description="Adam learning rate")
    beta2: float = Field(
        0.98, ge=0, lt=1, description="Adam's decay of the mean squared gradient (Kang & McAuley, 2018); beta1 is 0.9"
    )
    sparse_adam: bool = Field(
        False,
        description="true: Adam does not change vectors and moments of items that a step does not use "
        "(torch's SparseAdam): faster with hundreds of thousands of items; false: as published",
    )
    n_sample: int = Field(
        2048,
        ge=1,
        description="negatives for each step, drawn with replacement, shared by all its events (published: 3,000 for "
        "each session); a negative that is the target of an event does not count for this event",
    )
    sample_alpha: float = Field(
        0.0,
        ge=0,
        le=1,
        description="negatives are drawn with probability q ∝ support^alpha, and log q is subtracted from their "
        "scores, up to a constant that makes it 0 for alpha 0 (logQ correction)",
    )

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many.

        Each parameter has a gradient and Adam's two means beside it, in float32.
        """
        block = 6 * self.hidden_size**2
        return {
            "hidden_size": 16 * (n_items * self.hidden_size + block),
            "blocks": 16 * self.blocks * block,
            "length": 16 * self.length * self.hidden_size,
            "n_sample": 4 * self.n_sample * self.hidden_size,
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

    def __init__(self, parameters: Parameters, settings: Settings) -> None:
        self.parameters = parameters
        self.settings = settings

    def states(self, vectors: Tensor, positions: Tensor, attend: Attend, drop: Drop = lambda x: x) -> Tensor:
        """Return the state after every click, (N, D), from the vectors of the clicked items (N, D)."""
        x = vectors * self.settings.hidden_size**0.5 + embedding(positions, self.parameters[POSITIONS])
        x = drop(x)
        for block in range(self.settings.blocks):
            x = self._pre_norm_block(f"blocks.{block}", x, attend, drop)
        return self._norm("norm", x)

    def _pre_norm_block(self, name: str, x: Tensor, attend: Attend, drop: Drop) -> Tensor:
        """y = x + drop(attention(norm₁ x)), z = y + drop(feed-forward(norm₂ y))."""
        in_heads = (len(x), 3, self.settings.heads, -1)
        q, k, v = self._linear(f"{name}.attention", self._norm(f"{name}.norm1", x)).view(in_heads).unbind(1)
        y = x + drop(self._linear(f"{name}.projection", attend(q, k, v).flatten(1)))
        inner = torch.relu(self._linear(f"{name}.inner", self._norm(f"{name}.norm2", y)))
        return y + drop(self._linear(f"{name}.outer", inner))

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


def attend_reproducibly(positions: Int64Array, length: int, device: torch.device) -> Attend:
    """Return the same attention, rounded the same whatever other clicks are there, before and after.

    A batched product rounds by the shapes of its matrices. Here every pair of a query and a key is multiplied on its
    own, the weights of a query are always normalised over `length` keys, of which those that are not there weigh 0,
    and the values are added up from the nearest to the farthest.
    """
    farthest = int(positions.max())
    queries = [torch.from_numpy(np.flatnonzero(positions >= back)).to(device) for back in range(farthest + 1)]

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


def log_q(supports: Int64Array, alpha: float) -> Tensor:
    """Return log(V · q_j), (V,), with q_j the probability that a negative is item j; 0 where all are drawn alike."""
    weights = torch.from_numpy(supports).double() ** alpha
    return torch.log(weights / weights.mean()).float()


def event_losses(
    parameters: Parameters,
    settings: Settings,
    batch: Batch,
    negatives: Int64Array,
    log_q: Tensor,
    drop: Drop = lambda x: x,
) -> Tensor:
    """Return the loss of every event of a batch, (N,); `negatives` (n,) are items, `log_q` is (V,)."""
    device = parameters[ITEMS].device
    inputs, targets, positions, sampled = (
        torch.from_numpy(values).to(device) for values in (batch.inputs, batch.targets, batch.positions, negatives)
    )
    looked_up = embedding(torch.cat([inputs, targets, sampled]), parameters[ITEMS], sparse=settings.sparse_adam)
    input_vectors, target_vectors, sampled_vectors = torch.split(looked_up, [len(inputs), len(targets), len(sampled)])
    attend = attend_in_batch(batch.lengths, device)
    states = Network(parameters, settings).states(input_vectors, positions, attend, drop)
    target_scores = (states * target_vectors).sum(1)
    sampled_scores = torch.addmm(log_q[sampled], states, sampled_vectors.T, beta=-1)
    return sampled_softmax(target_scores, sampled_scores, sampled == targets[:, None])


def training(train: Sessions, settings: Settings, seed: int) -> GradientLearner[Batch]:
    """Return a training of SASRec by Adam on the mean loss of a batch's events.

    Raises:
        UsageError: the device that the settings name is not there.
    """
    device = find_device(settings.device)
    windows = cut_sessions(train, settings.length)
    sampler = NegativeSampler(train.supports(), settings.sample_alpha)
    log_q_of = log_q(train.supports(), settings.sample_alpha).to(device)
    initial = initial_parameters(train.n_items, settings, seed)
    trained = {name: value.to(device).requires_grad_() for name, value in initial.items()}
    rate, betas = settings.learning_rate, (0.9, settings.beta2)
    dense = [value for name, value in trained.items() if name != ITEMS or not settings.sparse_adam]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(dense, rate, betas, fused=True)]
    if settings.sparse_adam:
        optimizers.append(torch.optim.SparseAdam([trained[ITEMS]], rate, betas))

    def batches(generator: np.random.Generator) -> Iterator[Batch]:
        for chosen in draw_batches(windows.lengths, settings.batch_size, settings.order, generator):
            yield batch_of(train.items, windows, chosen)

    def losses(batch: Batch, generator: np.random.Generator) -> Tensor:
        def drop(x: Tensor) -> Tensor:
            return x * dropout_mask(generator, settings.dropout, *x.shape).to(device) if settings.dropout else x

        negatives = sampler.draw(generator, settings.n_sample)
        return event_losses(trained, settings, batch, negatives, log_q_of, drop)

    return GradientLearner(trained, optimizers, train.n_targets, batches, losses)


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
        return training(train, self.settings, seed)

    @torch.no_grad()
    def states(self, sessions: Sessions) -> Tensor:
        """Return the state after every event's history, (n_targets, D), in event order.

        UNSEEN clicks are passed over; a history of nothing else has the state zero, so that all items tie. Events
        whose histories begin with the same click share a pass; with a history longer than `length`, each has its own.
        """
        clicks, firsts, stops = histories(sessions, self.settings.length)
        device = self.parameters[ITEMS].device
        states = torch.zeros(len(stops), self.settings.hidden_size, device=device)
        events = np.flatnonzero(stops > firsts)  # (known,) those with a state
        depths = (stops - firsts)[events]  # (known,) clicks of their histories

        starts, sequence = np.unique(firsts[events], return_inverse=True)  # (sequences,), (known,)
        lengths = np.zeros_like(starts)
        np.maximum.at(lengths, sequence, depths)
        begins = np.cumsum(lengths) - lengths  # (sequences,) first token of each
        places = begins[sequence] + depths - 1  # (known,) token whose state it is
        items, positions = clicks[ranges(starts, lengths)], ranges(np.zeros_like(lengths), lengths)
        cuts = begins[np.flatnonzero(np.diff(begins // _TOKENS_AT_ONCE, prepend=-1))]
        for first, stop in pairwise([*cuts, len(items)]):
            these = (first <= places) & (places < stop)
            with torch_threads(1):  # small products, whose threads would wait for each other
                found = self._states_of_tokens(items[first:stop], positions[first:stop])
            own = torch.from_numpy(places[these] - first).to(device)
            states[torch.from_numpy(events[these]).to(device)] = found[own]
        return states

    def _states_of_tokens(self, items: Int32Array, positions: Int64Array) -> Tensor:
        """Return the state after every token of complete sequences, and of some more, (≥ N, D)."""
        missing = max(0, MIN_ROWS - len(items))  # below that many rows, products round differently
        items, positions = np.pad(items, (0, missing)), np.pad(positions, (0, missing))
        device = self.parameters[ITEMS].device
        attend = attend_reproducibly(positions, self.settings.length, device)
        vectors = embedding(torch.from_numpy(items.astype(np.int64)).to(device), self.parameters[ITEMS])
        return Network(self.parameters, self.settings).states(vectors, torch.from_numpy(positions).to(device), attend)
