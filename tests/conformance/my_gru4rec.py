"""Somebody's GRU4Rec with shared embedding: a third implementation, in which known faults can be planted.

`FAULT` in the environment names what it gets wrong. Written for the tests of `conformance --module`, in another way
than both of ours: whole matrices as autograd leaves, lanes as Python lists.
"""

import os
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional


class MyGRU4Rec:
    def __init__(self, n_items, hyperparameters):
        self.n_items, self.h, self.fault = n_items, hyperparameters, os.environ.get("FAULT", "")

    def load(self, weights):
        self.w = {name: torch.tensor(np.asarray(array)) for name, array in weights.items()}
        self.acc = {name: torch.zeros_like(value) for name, value in self.w.items()}
        self.mom = {name: torch.zeros_like(value) for name, value in self.w.items()}

    def weights(self):
        return {name: value.numpy() for name, value in self.w.items()}

    def batches(self, items, offsets):
        """Lanes as [session, position]; sets self.state and the lanes to be reset."""
        supports = np.bincount(items, minlength=self.n_items)
        self.supports = torch.tensor(supports, dtype=torch.float32)
        sessions = [items[a:b].tolist() for a, b in pairwise(offsets)]
        waiting = list(range(len(sessions)))
        lanes = [[waiting.pop(0), 0] for _ in range(min(self.h["batch_size"], len(sessions)))]
        self.state = [torch.zeros(len(lanes), units) for units in self.h["layers"]]
        late, stale = [], []
        while len(lanes) >= (1 if self.h["n_sample"] else 2):
            yield [sessions[s][p] for s, p in lanes], [sessions[s][p + 1] for s, p in lanes]
            reset, gone = [], []
            for lane, (session, position) in enumerate(lanes):
                if position + 2 < len(sessions[session]):
                    lanes[lane][1] += 1
                elif waiting:
                    lanes[lane] = [waiting.pop(0), 0]
                    reset.append(lane)
                else:
                    gone.append(lane)
            if gone and self.fault == "epoch tail lost":
                return
            stale = reset or stale
            used = {"hidden state not reset": [], "reset mask stale": stale, "reset mask late": late}.get(
                self.fault, reset
            )
            for state in self.state:
                state[used] = 0
            keep = [lane for lane in range(len(lanes)) if lane not in gone]
            lanes, self.state = [lanes[lane] for lane in keep], [state[keep] for state in self.state]
            late, stale = ([keep.index(lane) for lane in mask if lane in keep] for mask in (reset, stale))

    def cell(self, w, x, h, layer):
        g_x = x @ w[f"gru.{layer}.weight_ih"].T + w[f"gru.{layer}.bias_ih"]
        g_h = h @ w[f"gru.{layer}.weight_hh"].T + w[f"gru.{layer}.bias_hh"]
        d = h.shape[1]
        z = torch.sigmoid(g_x[:, d : 2 * d] + g_h[:, d : 2 * d])
        return z * h + (1 - z) * torch.tanh(g_x[:, 2 * d :] + torch.sigmoid(g_x[:, :d] + g_h[:, :d]) * g_h[:, 2 * d :])

    def dropped(self, x, rate, noise):
        if self.fault == "dropout as keep rate":
            rate = 1 - rate
        if rate == 0 or rate == 1:
            return x * (1 - rate)
        return torch.where(torch.tensor(noise[: len(x)]) < rate, torch.zeros(()), x / (1 - rate))

    def learn(self, inputs, targets, recording, step):
        leaves = {name: value.clone().requires_grad_() for name, value in self.w.items()}
        columns = torch.tensor(targets + recording.negatives(step).tolist())
        occurrences = leaves["output_embedding"][torch.cat([torch.tensor(inputs), columns])]
        occurrences.retain_grad()
        x = self.dropped(occurrences[: len(inputs)], self.h["dropout_p_embed"], recording.noise(step, "embed"))
        carried = []
        for layer, state in enumerate(self.state):
            new = self.cell(leaves, x, state, layer)
            x = self.dropped(new, self.h["dropout_p_hidden"], recording.noise(step, f"hidden.{layer}"))
            carried.append((new if self.fault == "dropped hidden state not carried" else x).detach().clone())
        if self.fault == "softmax before sampling":
            scores = functional.softmax(x @ leaves["output_embedding"].T + leaves["output_bias"], 1)[:, columns]
        else:
            scores = x @ occurrences[len(inputs) :].T + leaves["output_bias"][columns]
        loss = self.loss(scores, columns) / self.h["batch_size"]
        loss.backward()
        touched = torch.unique(torch.cat([torch.tensor(inputs), columns]))
        if self.fault == "softmax before sampling":
            touched = torch.arange(self.n_items)
        for name, leaf in leaves.items():
            rows = touched if name == "output_embedding" else torch.arange(len(leaf))
            if name == "output_bias":
                rows = touched if self.fault == "softmax before sampling" else torch.unique(columns)
            squares = leaf.grad**2
            if self.fault == "duplicate rows squared before summing" and name == "output_embedding":
                ids = torch.cat([torch.tensor(inputs), columns])
                squares = torch.zeros_like(leaf).index_add_(0, ids, occurrences.grad**2)
            elif self.fault == "duplicate rows squared before summing" and name == "output_bias":
                self.bias_squares = torch.zeros_like(leaf).index_add_(0, columns, (self.score_grad.sum(0)) ** 2)
                squares = self.bias_squares
            self.acc[name][rows] += squares[rows]
            change = self.h["learning_rate"] * leaf.grad[rows] / (self.acc[name][rows] + 1e-6).sqrt()
            self.mom[name][rows] = self.h["momentum"] * self.mom[name][rows] - change
            self.w[name][rows] += self.mom[name][rows]
        self.state = carried
        return loss.item()

    def loss(self, scores, columns):
        scores.register_hook(lambda gradient: setattr(self, "score_grad", gradient))
        own = torch.eye(*scores.shape, dtype=torch.bool)
        if self.h["loss"] == "bpr-max":
            s = functional.elu(scores, self.h["elu_param"]) if self.h["elu_param"] else scores
            w = torch.softmax(s.masked_fill(own, -1e9), 1)
            target = s[own][:, None]
            penalty = 0 if self.fault == "BPR-max regularisation missing" else self.h["bpreg"] * (w * s * s).sum(1)
            return (penalty - torch.log((w * torch.sigmoid(target - s)).sum(1) + 1e-24)).sum()
        if self.h["logq"] and self.fault != "softmax before sampling":
            power = torch.full((len(columns),), self.h["sample_alpha"])
            power[: len(columns) if self.fault == "logQ on the wrong columns" else self.h["batch_size"]] = 1
            scores = scores - self.h["logq"] * power * torch.log(self.supports[columns])
        if self.fault == "softmax twice":
            scores = torch.softmax(scores, 1)
        return -torch.log(torch.softmax(scores, 1)[own] + 1e-24).sum()

    @torch.no_grad()
    def score(self, items, offsets):
        rows = []
        for a, b in pairwise(offsets):
            state = [torch.zeros(1, units) for units in self.h["layers"]]
            for item in items[a : b - 1]:
                x = self.w["output_embedding"][[int(item)]]
                for layer in range(len(state)):
                    x = state[layer] = self.cell(self.w, x, state[layer], layer)
                rows.append(x @ self.w["output_embedding"].T + self.w["output_bias"])
        return torch.cat(rows).numpy()
