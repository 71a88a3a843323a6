"""A second implementation of GRU4Rec, slow and simple, with switches for the faults of widely used reimplementations.

With every switch at its default this is an independent second implementation. See Hidasi & Czapp, The Effect of
Third Party Implementations on Reproducibility, RecSys 2023.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gru4rec_cli.conformance.recording import Recording, Trace
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec.batches import WalkStep, min_slots, walk_sessions


@dataclass(frozen=True)
class Behaviour:
    """The switches of an implementation; the defaults are right."""

    reset: Literal["right", "never", "a step late", "until the next one"] = "right"
    loss: Literal["right", "softmax twice", "softmax first", "softmax first, then log"] = "right"
    regularised: bool = True
    keep_rate: bool = False
    carries_dropped: bool = True
    whole_epoch: bool = True
    squares: Literal["of sums", "summed", "by role"] = "of sums"
    logq: Literal["right", "all as targets", "all as samples", "targets only", "samples only", "by width"] = "right"
    hit_at_k: bool = True  # a rank of exactly K is a hit


RIGHT = Behaviour()


class Plain:
    """A training by the plain implementation."""

    def __init__(self, recording: Recording, behaviour: Behaviour) -> None:
        self.recording, self.behaviour, self.settings = recording, behaviour, recording.settings
        self.weights = {name: torch.from_numpy(array.copy()) for name, array in recording.weights("init").items()}
        self.accumulators = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.momenta = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.supports = torch.from_numpy(recording.train.supports()).float()
        self.items = torch.from_numpy(recording.train.items.astype(np.int64))
        matrices = ("output_embedding", "output_bias", "input_embedding", "onehot_gru.input")
        self.cells = [name for name in self.weights if name not in matrices]
        self.table = {"shared": "output_embedding", "none": "onehot_gru.input"}.get(
            str(self.settings.embedding), "input_embedding"
        )

    def run(self) -> Trace:
        losses: list[float] = []
        batches: list[tuple[list[int], list[int]]] = []
        for _ in range(self.settings.epochs):
            states = [torch.zeros(self.settings.batch_size, units) for units in self.settings.layers]
            mask: Tensor | None = None
            walks = walk_sessions(self.recording.train.offsets, self.settings.batch_size, min_slots(self.settings))
            for slots in chain.from_iterable(walks):
                if len(slots.rows) < len(states[0]) and not self.behaviour.whole_epoch:
                    break
                if len(losses) == self.recording.n_steps:
                    break
                states, mask = self.reset(states, slots, mask)
                rows = torch.from_numpy(slots.rows)
                inputs, targets = self.items[rows], self.items[rows + 1]
                loss, states = self.step(len(losses), inputs, targets, states)
                losses.append(loss)
                batches.append((inputs.tolist(), targets.tolist()))
        weights = {name: value.numpy() for name, value in self.weights.items()}
        return Trace(losses, batches, weights, self.scores(self.recording.test))

    def reset(self, states: list[Tensor], slots: WalkStep, before: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """States at zero where a session begins, or where a faulty mask says so; the mask for the next step."""
        starts = torch.from_numpy(slots.starts)
        if before is None:  # an epoch begins with every state at zero
            return [state[: len(starts)] for state in states], torch.zeros_like(starts)
        previous = torch.from_numpy(slots.previous)
        states, old = [state[previous] for state in states], before[previous]
        how = self.behaviour.reset
        if how == "until the next one":
            starts = starts if starts.any() else old
        used = {"never": torch.zeros_like(starts), "a step late": old}.get(how, starts)
        return [torch.where(used[:, None], torch.zeros_like(state), state) for state in states], starts

    def step(self, number: int, inputs: Tensor, targets: Tensor, states: list[Tensor]) -> tuple[float, list[Tensor]]:
        """Forward, loss, gradient of every occurrence of every row, update."""
        columns = torch.cat([targets, torch.from_numpy(self.recording.negatives(number))])
        over_all = self.behaviour.loss.startswith("softmax first")  # then every item has a score and a gradient
        scored = torch.arange(len(self.supports)) if over_all else columns
        whole = {name: self.weights[name].clone().requires_grad_() for name in self.cells}
        rows = self.weights[self.table][inputs].requires_grad_()
        matrix = self.weights["output_embedding"][scored].requires_grad_()
        bias = self.weights["output_bias"][scored].requires_grad_()
        output, carried = self.forward(whole, rows, states, number)
        scores = output @ matrix.T + bias
        if over_all:
            scores = torch.softmax(scores, dim=1)[:, columns]
        loss = self.loss(scores, columns)
        leaves = [matrix, bias, rows, *whole.values()]
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        found = [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, gradients, strict=True)]
        self.update_rows("output_bias", [(scored, found[1])])
        if self.table == "output_embedding":
            self.update_rows(self.table, [(scored, found[0]), (inputs, found[2])])
        else:
            self.update_rows("output_embedding", [(scored, found[0])])
            self.update_rows(self.table, [(inputs, found[2])])
        for name, gradient in zip(whole, found[3:], strict=True):
            self.move(name, slice(None), gradient, gradient**2)
        return loss.item(), [state.detach() for state in carried]

    def forward(
        self, weights: dict[str, Tensor], values: Tensor, states: list[Tensor], step: int | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The last layer's output and the states to carry on; no dropout where `step` is None."""
        settings, one_hot = self.settings, self.settings.embedding == "none"
        if not one_hot:
            values = self.drop(values, "embed", settings.dropout_p_embed, step)
        carried = []
        for layer, h in enumerate(states):
            if layer == 0 and one_hot:
                x_n, x_r, x_z = (values + weights["onehot_gru.bias"]).chunk(3, 1)
                h_r, h_z = (h @ weights["onehot_gru.recurrent_rz"]).chunk(2, 1)
                z = torch.sigmoid(x_z + h_z)
                n = torch.tanh((torch.sigmoid(x_r + h_r) * h) @ weights["onehot_gru.recurrent_h"] + x_n)
                new, place, rate = (1 - z) * h + z * n, "embed", settings.dropout_p_embed
            else:
                parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                w_x, w_h, b_x, b_h = (weights[f"gru.{layer}.{part}"] for part in parts)
                x_r, x_z, x_n = (values @ w_x.T + b_x).chunk(3, 1)
                h_r, h_z, h_n = (h @ w_h.T + b_h).chunk(3, 1)
                z = torch.sigmoid(x_z + h_z)
                n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
                new, place, rate = (1 - z) * n + z * h, f"hidden.{layer}", settings.dropout_p_hidden
            values = self.drop(new, place, rate, step)
            carried.append(values if self.behaviour.carries_dropped else new)
        return values, carried

    def drop(self, values: Tensor, place: str, rate: float, step: int | None) -> Tensor:
        """Dropout by the recorded noise; a keep rate in place of a drop rate drops everything at rate 0."""
        if step is None or (rate == 0 and not self.behaviour.keep_rate):
            return values
        if self.behaviour.keep_rate and rate == 0:
            return torch.zeros_like(values)
        noise = self.recording.noise(step, place)
        assert noise is not None
        dropped = 1 - rate if self.behaviour.keep_rate else rate
        return values * (torch.from_numpy(noise)[: len(values)] >= dropped) / (1 - dropped)

    def loss(self, scores: Tensor, columns: Tensor) -> Tensor:
        settings, how = self.settings, self.behaviour.loss
        if settings.loss == "cross-entropy":
            if settings.logq_strength > 0 and not how.startswith("softmax first"):
                scores = scores - settings.logq_strength * self.log_q(columns, len(scores))
            if how == "softmax first, then log":
                return -torch.log(scores.diagonal() + 1e-24).sum() / settings.batch_size
            if how == "softmax twice":
                scores = torch.softmax(scores, dim=1)
            return -torch.log(torch.softmax(scores, dim=1).diagonal() + 1e-24).sum() / settings.batch_size
        if how == "softmax twice":
            scores = torch.softmax(scores, dim=1)
        if settings.elu > 0:
            scores = functional.elu(scores, alpha=settings.elu)
        target_scores, slots = scores.diagonal()[:, None], len(scores)
        negative = torch.ones_like(scores)
        negative[torch.arange(slots), torch.arange(slots)] = 0
        powers = torch.exp(scores - scores.max(dim=1, keepdim=True).values.detach()) * negative
        w = powers / powers.sum(dim=1, keepdim=True)
        regularisation = settings.regularisation * (w * scores**2).sum(1) if self.behaviour.regularised else 0.0
        losses = -torch.log((w * torch.sigmoid(target_scores - scores)).sum(1) + 1e-24) + regularisation
        return losses.sum() / settings.batch_size

    def log_q(self, columns: Tensor, slots: int) -> Tensor:
        """Return log q of every column: supports for targets, their power for samples; faulty columns on demand."""
        as_target, how = torch.log(self.supports[columns]), self.behaviour.logq
        as_sample = self.settings.sample_alpha * as_target
        place = torch.arange(len(columns))
        is_target = place < (slots if how == "by width" else self.settings.batch_size)
        right = torch.where(is_target, as_target, as_sample)
        nothing = torch.zeros_like(right)
        return {
            "all as targets": as_target,
            "all as samples": as_sample,
            "targets only": torch.where(is_target, right, nothing),
            "samples only": torch.where(is_target, nothing, right),
        }.get(how, right)

    def update_rows(self, name: str, occurrences: list[tuple[Tensor, Tensor]]) -> None:
        """Adagrad on the rows of a matrix, given the gradient of every occurrence by role."""
        if self.behaviour.squares == "by role" and len(occurrences) > 1:
            for role in occurrences:
                self.update_rows(name, [role])
            return
        indices, gradients = (torch.cat(parts) for parts in zip(*occurrences, strict=True))
        rows, place = torch.unique(indices, return_inverse=True)
        summed = torch.zeros(len(rows), *gradients.shape[1:]).index_add_(0, place, gradients)
        squares = summed**2
        if self.behaviour.squares == "summed":
            squares = torch.zeros_like(summed).index_add_(0, place, gradients**2)
        self.move(name, rows, summed, squares)

    def move(self, name: str, rows: Tensor | slice, gradient: Tensor, squares: Tensor) -> None:
        settings = self.settings
        self.accumulators[name][rows] += squares
        step = settings.learning_rate * gradient / torch.sqrt(self.accumulators[name][rows] + 1e-6)
        if settings.momentum > 0:
            self.momenta[name][rows] = settings.momentum * self.momenta[name][rows] - step
            self.weights[name][rows] += self.momenta[name][rows]
        else:
            self.weights[name][rows] -= step

    def scores(self, test: Sessions) -> np.ndarray:
        """Return the scores of every test event, session by session, (events, V)."""
        found = []
        for start, stop in zip(test.offsets[:-1], test.offsets[1:], strict=True):
            states = [torch.zeros(1, units) for units in self.settings.layers]
            for row in range(start, stop - 1):
                item = int(test.items[row])
                output, states = self.forward(self.weights, self.weights[self.table][[item]], states, None)
                found.append(output @ self.weights["output_embedding"].T + self.weights["output_bias"])
        return torch.cat(found).numpy()


def plain_trace(recording: Recording, behaviour: Behaviour = RIGHT) -> Trace:
    """Train and score a recorded run by the plain implementation."""
    return Plain(recording, behaviour).run()
