"""Steps of learning on the CPU: what the compiled step works on, laid out for it."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.base.team import Team
from gru4rec_cli.base.threads import one_blas_thread
from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.cells import Masks
from gru4rec_cli.models.gru4rec.loops import Rate
from gru4rec_cli.models.gru4rec.loss_loops import N_SUMS
from gru4rec_cli.models.gru4rec.minibatch import MiniBatches
from gru4rec_cli.models.gru4rec.network import BIAS, GRU_CELL, ITEMS, ONE_HOT_CELL, input_table
from gru4rec_cli.models.gru4rec.optimizer import EPSILON, Adagrad
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.gru4rec.step_layout import Batches, Form, Network, Room, Rules, Table
from gru4rec_cli.models.gru4rec.step_loops import learn

Parameters = dict[str, Tensor]
Floats = npt.NDArray[np.floating]

PARTS = 2  # of the items of a step; more threads would have nothing to do


class Stepper:
    """Learns from mini-batches; keeps the parameters, the optimiser's state and the hidden states of the lanes.

    `parameters` are the given ones: item matrices the same tensors, those of the layers copies that lie side by side in
    one vector. On one thread or two; the weights do not depend on how many.
    """

    def __init__(self, parameters: Parameters, settings: Settings, n_threads: int = 1) -> None:
        self.settings = settings
        self.dtype = parameters[ITEMS].numpy().dtype
        self._cell_names = _cell_names(settings)
        self.parameters, values = self._side_by_side(parameters)
        self.optimizer = Adagrad(self.parameters, settings.learning_rate, settings.momentum)
        self.optimizer.accumulators, accumulators = self._side_by_side(self.optimizer.accumulators)
        momenta = values
        if self.optimizer.momenta:
            self.optimizer.momenta, momenta = self._side_by_side(self.optimizer.momenta)
        self._network = Network(
            self._table(ITEMS),
            self._table(BIAS),
            self._table(input_table(settings)),
            Table(values, accumulators, momenta),
        )
        self.form = self._make_form()
        self._rules = Rules(
            settings.loss == "cross-entropy",
            settings.elu,
            settings.regularisation,
            Rate(settings.learning_rate, settings.momentum, EPSILON),
        )
        self.room = self._make_room(values.shape[1])
        self._team = Team(min(n_threads, PARTS))

    def begin(self) -> None:
        """Every lane's hidden states to zero."""
        self.room.after[:] = 0.0

    def learn(self, batches: MiniBatches, *, update: bool = True) -> Floats:
        """Learn from steps one after the other; their losses, divided by the configured batch size, (steps,).

        Without `update` states are carried on and gradients computed, in `room`, but no parameter moves.
        """
        losses = np.empty(len(batches), dtype=np.float64)
        with one_blas_thread():
            self._team.run(
                learn, self._network, self.form, self._rules, self._laid_out(batches), self.room, losses, update
            )
        return losses

    def _laid_out(self, batches: MiniBatches) -> Batches:
        lanes = batches.lanes
        return Batches(
            lanes.widths,
            lanes.kept,
            lanes.starts,
            batches.sizes,
            batches.rows,
            batches.weights,
            batches.targets,
            batches.own,
            batches.inputs,
            batches.input_rows,
            self._mask(batches.masks, "embed"),
            self._hidden_masks(batches.masks, lanes.rows.shape),
        )

    def _mask(self, masks: Masks, name: str) -> Floats:
        if name not in masks:
            return np.empty((0, 0, 0), dtype=self.dtype)
        return masks[name].numpy().astype(self.dtype, copy=False)

    def _hidden_masks(self, masks: Masks, shape: tuple[int, ...]) -> Floats:
        """Those of all layers, one after the other; 1 where a layer has none."""
        names = [f"hidden.{layer}" for layer in range(len(self.settings.layers))]
        if not any(name in masks for name in names):
            return np.empty((0, 0), dtype=self.dtype)
        steps, width = shape
        found = np.ones((steps, self.form.batch_size * sum(self.settings.layers)), dtype=self.dtype)
        start = 0
        for name, units in zip(names, self.settings.layers, strict=True):
            if name in masks:
                found[:, start : start + width * units] = masks[name].numpy().reshape(steps, -1)
            start += self.form.batch_size * units
        return found

    def _table(self, name: str) -> Table:
        optimizer = self.optimizer
        parts = (
            self.parameters[name],
            optimizer.accumulators[name],
            optimizer.momenta.get(name, self.parameters[name]),
        )
        return Table(*(part.numpy().reshape(len(part), -1) for part in parts))

    def _side_by_side(self, tensors: Parameters) -> tuple[Parameters, Floats]:
        """The tensors, those of the layers as parts of one vector (1, …), which comes too."""
        flat = np.concatenate([tensors[name].numpy().reshape(-1) for half in self._cell_names for name in half])[
            None, :
        ]
        shapes = {name: tensors[name].shape for half in self._cell_names for name in half}
        views, _ = self.views(flat, shapes)
        return tensors | views, flat

    def views(self, flat: Floats, shapes: dict[str, torch.Size] | None = None) -> tuple[Parameters, Int64Array]:
        """Every tensor in the vector, and where each half of a layer begins."""
        shapes = shapes or {name: value.shape for name, value in self.parameters.items()}
        views: Parameters = {}
        starts, start = [], 0
        for half in self._cell_names:
            starts.append(start)
            for name in half:
                stop = start + shapes[name].numel()
                views[name] = torch.from_numpy(flat[0, start:stop]).view(shapes[name])
                start = stop
        return views, np.array([*starts, start, start], dtype=np.int64).reshape(-1, 2)

    def _make_form(self) -> Form:
        settings = self.settings
        units = np.array(settings.layers, dtype=np.int64)
        one_hot = settings.embedding == "none"
        width = 3 * settings.layers[0] if one_hot else settings.input_width
        _, starts = self.views(np.zeros((1, self._network.cells.values.shape[1]), dtype=self.dtype))
        widths = np.array([width, *settings.layers[:-1]], dtype=np.int64)
        return Form(widths, units, starts, settings.batch_size, input_table(settings) == ITEMS, one_hot)

    def _make_room(self, n_cells: int) -> Room:
        settings = self.settings
        lanes, last, all_units = settings.batch_size, settings.layers[-1], sum(settings.layers)
        most, all_widths = 2 * lanes + settings.n_sample, int(self.form.widths.sum())

        def room(*shape: int) -> Floats:
            return np.zeros(shape, dtype=self.dtype)

        compared = most * lanes if settings.loss == "bpr-max" else 0
        return Room(
            items=room(most, last),
            gradients=room(most, last),
            bias_gradients=room(most),
            scores=room(most * lanes),
            weights=room(compared),
            wins=room(compared),
            sums=room(PARTS, N_SUMS * lanes),
            own=room(lanes),
            query_gradients=room(PARTS, lanes * last),
            before=room(lanes * all_units),
            after=room(lanes * all_units),
            state_gradients=room(lanes * all_units),
            inputs=room(lanes * all_widths),
            input_gradients=room(lanes * all_widths),
            from_x=room(3 * lanes * all_units),
            from_h=room(3 * lanes * all_units),
            gates=room(3 * lanes * all_units),
            d_x=room(3 * lanes * all_units),
            d_h=room(3 * lanes * all_units),
            own_inputs=room(lanes, 1 if self.form.shared else int(self.form.widths[0])),
            cells=room(1, n_cells),
            losses=np.zeros(PARTS),
        )


def _cell_names(settings: Settings) -> list[list[str]]:
    """The parameters of the layers as they lie: of each layer those of its input, then those of its state."""
    halves: list[list[str]] = []
    for layer in range(len(settings.layers)):
        if layer == 0 and settings.embedding == "none":
            halves += [[], [*ONE_HOT_CELL]]
        else:
            w, u, b, c = (f"gru.{layer}.{part}" for part in GRU_CELL)
            halves += [[w, b], [u, c]]
    return halves
