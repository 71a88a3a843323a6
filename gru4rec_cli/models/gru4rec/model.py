"""GRU4Rec as a recommender: fit, score, save, load."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec_cli.base.arrays import Float32Array
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import metric_values
from gru4rec_cli.evaluation.ranking import event_ranks, rank_targets
from gru4rec_cli.evaluation.scores import ScoreBlock, block_ranges
from gru4rec_cli.models.base import FitContext, FitReport, best_after_last, history_session
from gru4rec_cli.models.gru4rec.cells import Layers
from gru4rec_cli.models.gru4rec.devices import describe_device
from gru4rec_cli.models.gru4rec.network import BIAS, ITEMS, input_table, zero_states
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.training import Trainer

_WEIGHTS = "weights.safetensors"
_EVENTS_AT_ONCE = 2**15  # whose states are held together, but at least one session
# A product with fewer rows takes another path through the BLAS and rounds differently; with at least this many every
# row comes out the same whatever rows stand beside it, so that ranks do not depend on how events are batched.
_MIN_ROWS = 32


class Model:
    """score_j = h · Wy_j + By_j, with h the last GRU layer's state after the history."""

    description: ClassVar[str] = (
        "GRU4Rec: a recurrent network reads the session click by click; its state is scored against every item."
    )
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.parameters: dict[str, Tensor] = {}

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        trainer = Trainer(train, self.settings, context.seed, self._validator(context.valid))
        self.parameters = trainer.run(progress=context.progress, checkpoints=context.checkpoints)
        n_parameters = sum(value.numel() for value in self.parameters.values())
        facts = {"parameters": n_parameters, "kept_epoch": trainer.kept_epoch}
        return FitReport(trainer.curve, facts | {"device": describe_device(trainer.device)})

    def _validator(self, valid: Sessions | None) -> Callable[[dict[str, Tensor]], float] | None:
        """What measures the epochs, if the settings ask for it."""
        if self.settings.validate_on is None:
            return None
        if valid is None:
            raise UsageError(
                f"validate_on: {self.settings.validate_on} needs validation sessions, and there are none",
                "set split.valid, or leave validate_on out",
            )
        metric, k = self.settings.validate_on.split("@")

        def validate(parameters: dict[str, Tensor]) -> float:
            model = Model(self.settings)
            model.parameters = parameters
            found = rank_targets(model.score(valid), valid)
            rank = event_ranks(found, valid, "conservative")
            return float(metric_values(rank, metric, int(k)).mean())

        return validate

    @torch.no_grad()
    def score(self, sessions: Sessions) -> Iterator[ScoreBlock]:
        done = 0
        for group in _groups(sessions):
            chunk = sessions.select(group)
            queries = self.hidden_states(chunk)  # (events, D)
            for first, stop in block_ranges(len(queries), sessions.n_items):
                yield ScoreBlock(done + first, self._scores(queries[first:stop]))
            done += len(queries)

    @torch.no_grad()
    def hidden_states(self, sessions: Sessions) -> Tensor:
        """The last layer's state after every event's history, (n_targets, D_last), in event order.

        Sessions are walked in parallel, longest first, so that those still going on are the first lanes. An UNSEEN
        click leaves the state as it is.
        """
        steps = sessions.lengths - 1  # (sessions,) events of each
        order = np.argsort(-steps, kind="stable")
        events = np.concatenate([[0], np.cumsum(steps)])  # number of each session's first event
        lanes = max(len(order), _MIN_ROWS)
        states = zero_states(lanes, self.settings)
        table = self.parameters[input_table(self.settings)]
        layers = Layers(self.parameters, self.settings)
        queries = torch.empty(int(events[-1]), self.settings.layers[-1])
        for position in range(int(steps.max(initial=0))):
            active = order[: np.count_nonzero(steps > position)]
            width = max(len(active), _MIN_ROWS)
            clicks = np.zeros(width, dtype=np.int64)
            clicks[: len(active)] = sessions.items[sessions.offsets[active] + position]
            seen = torch.from_numpy(clicks >= 0)[:, None]
            inputs = table.index_select(0, torch.from_numpy(np.maximum(clicks, 0)))
            before = [state[:width] for state in states]
            after = layers.forward(inputs, before)
            states = [torch.where(seen, new, old) for new, old in zip(after, before, strict=True)]
            queries[torch.from_numpy(events[active] + position)] = states[-1][: len(active)]
        return queries

    def recommend(self, history: Sequence[int], k: int) -> tuple[npt.NDArray[np.int64], Float32Array]:
        states = self.hidden_states(history_session(history, len(self.parameters[BIAS])))
        return best_after_last(ScoreBlock(0, self._scores(states[-1:])), k)

    @torch.no_grad()
    def _scores(self, states: Tensor) -> Float32Array:
        """Scores of all items after the given states (events, D), (events, V)."""
        rows = _at_least(states, _MIN_ROWS)
        scores = torch.addmm(self.parameters[BIAS], rows, self.parameters[ITEMS].T)
        return scores[: len(states)].numpy()

    def save(self, folder: Path) -> None:
        save_file(self.parameters, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path, settings: Settings) -> Self:
        model = cls(settings)
        model.parameters = load_file(folder / _WEIGHTS)
        return model


def _groups(sessions: Sessions) -> Iterator[npt.NDArray[np.int64]]:
    """Consecutive sessions that are walked side by side."""
    number = np.cumsum(sessions.lengths - 1) // _EVENTS_AT_ONCE
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], sessions.n_sessions], strict=True):
        yield np.arange(start, stop)


def _at_least(rows: Tensor, count: int) -> Tensor:
    if len(rows) >= count:
        return rows
    return torch.cat([rows, rows.new_zeros(count - len(rows), rows.shape[1])])
