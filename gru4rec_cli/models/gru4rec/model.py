"""GRU4Rec as a recommender."""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.threads import torch_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, Network, check_parameters, input_table, zero_states
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

    @torch.no_grad()
    def states(self, sessions: Sessions) -> Tensor:
        """Return the last layer's state after every event's history, (n_targets, D_last), in event order.

        Sessions are walked in parallel, longest first, so that those still going on are the first slots. An UNSEEN
        click leaves the state as it is. The bits of a state follow from its history alone: see `scoring.MIN_ROWS`.
        """
        with torch_threads(1):
            return self._states(sessions)

    def _states(self, sessions: Sessions) -> Tensor:
        steps = sessions.lengths - 1  # (sessions,) events of each
        order = np.argsort(-steps, kind="stable")
        events = np.concatenate([[0], np.cumsum(steps)])  # number of each session's first event
        table = self.parameters[input_table(self.settings)]
        device = table.device
        states = [state.to(device) for state in zero_states(len(order) + MIN_ROWS, self.settings)]
        network = Network(self.parameters, self.settings)
        found = torch.empty(int(events[-1]), self.settings.layers[-1], device=device)
        for position in range(int(steps.max(initial=0))):
            active = order[: np.count_nonzero(steps > position)]
            width = len(active) + MIN_ROWS
            clicks = np.zeros(width, dtype=np.int64)
            clicks[: len(active)] = sessions.items[sessions.offsets[active] + position]
            seen = torch.from_numpy(clicks >= 0).to(device)[:, None]
            inputs = table.index_select(0, torch.from_numpy(np.maximum(clicks, 0)).to(device))
            before = [state[:width] for state in states]
            after = network.advance(inputs, before)
            states = [torch.where(seen, new, old) for new, old in zip(after, before, strict=True)]
            found[torch.from_numpy(events[active] + position).to(device)] = states[-1][: len(active)]
        return found
