"""GRU4Rec as a recommender."""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Float32Array, Int32Array
from gru4rec_cli.base.threads import one_torch_thread, torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import ProductBlock
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, Network, check_parameters, input_table
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.training import Training, kind_of_step
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.scoring import MIN_ROWS


class Model(NeuralModel[Settings]):
    """GRU4Rec: score_j = h · Wy_j + By_j, with h the last GRU layer's state after the history."""

    description: ClassVar[str] = (
        "GRU4Rec: a recurrent network reads the session click by click; its state is scored against every item."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True
    item_matrix = ITEMS
    bias = BIAS

    def learner(self, train: Sessions, seed: int) -> Training:
        """Return a training that has not begun."""
        return Training(train, self.settings, seed)

    def small(self, train: Sessions) -> Self:
        """Return a model that learns by the kind of step that `train` gets; see `warming.Warming`."""
        step = kind_of_step(self.settings, train, find_device(self.settings.device))
        return type(self)(self.settings.model_copy(update={"epochs": 1, "step": step}))

    @classmethod
    def load(cls, folder: Path, settings: Settings) -> Self:
        """Return the model that `save` wrote. Raises `ValueError` where its parameters are not those of `settings`."""
        model = super().load(folder, settings)
        check_parameters(model.parameters, settings)
        return model

    def states(self, sessions: Sessions) -> Tensor:
        """Return the last layer's state after every event's history, (n_targets, D_last), in event order.

        The bits of a state follow from its history alone: see `scoring.MIN_ROWS`.
        """
        with torch_threads(1):
            return self._scored(self._walk(sessions))

    @property
    def state_size(self) -> int:
        """The units of all layers."""
        return sum(self.settings.layers)

    def advance(self, states: Float32Array, items: Int32Array) -> Float32Array:
        """Return the states of all layers after one more click; see `Incremental`."""
        with one_torch_thread():
            return np.asarray(self._advance(torch.from_numpy(states).to(self._device), items).cpu())

    def score_states(self, states: Float32Array) -> ProductBlock:
        """Return the scores of all items; see `Incremental`."""
        queries = self._scored(torch.from_numpy(states).to(self._device))
        return ProductBlock(0, queries, self.parameters[ITEMS], self.parameters[BIAS], self.few)

    @torch.no_grad()
    def _walk(self, sessions: Sessions) -> Tensor:
        """Return the states of all layers after every event's history, (n_targets, ΣD).

        Sessions are walked in parallel, longest first, so that those still going on are the first ones.
        """
        steps = sessions.lengths - 1  # (sessions,) clicks of each that are read
        order = np.argsort(-steps, kind="stable")
        event_of = np.full(sessions.n_events, -1)  # the event whose history ends with a click
        event_of[sessions.input_rows()] = np.arange(sessions.n_targets)
        states = torch.zeros(len(order), self.state_size, device=self._device)
        found = torch.empty(sessions.n_targets, self.state_size, device=self._device)
        for position in range(int(steps.max(initial=0))):
            active = order[: np.count_nonzero(steps > position)]
            rows = sessions.offsets[active] + position
            states = self._advance(states[: len(active)], sessions.items[rows])
            events = event_of[rows]
            asked = np.flatnonzero(events >= 0)
            found[torch.from_numpy(events[asked]).to(self._device)] = states[torch.from_numpy(asked).to(self._device)]
        return found

    @torch.no_grad()
    def _advance(self, states: Tensor, items: Int32Array) -> Tensor:
        """Return the states of all layers, (sessions, ΣD), after one more click; an UNSEEN one changes nothing."""
        rows = len(items) + MIN_ROWS
        padded_items, padded_states = np.zeros(rows, dtype=np.int64), states.new_zeros(rows, self.state_size)
        padded_items[: len(items)], padded_states[: len(items)] = np.maximum(items, 0), states
        before = torch.split(padded_states, list(self.settings.layers), dim=1)
        clicks = torch.from_numpy(padded_items).to(self._device)
        inputs = self.parameters[input_table(self.settings)].index_select(0, clicks)
        after = Network(self.parameters, self.settings).advance(inputs, [layer.contiguous() for layer in before])
        new = torch.cat(after, dim=1)[: len(states)]
        if (items >= 0).all():
            return new
        return torch.where(torch.from_numpy(items >= 0).to(self._device)[:, None], new, states)

    def _scored(self, states: Tensor) -> Tensor:
        """Return the part of the states that is multiplied with the items: the last layer's."""
        return states[:, -self.settings.layers[-1] :].contiguous()

    @property
    def _device(self) -> torch.device:
        return self.parameters[ITEMS].device
