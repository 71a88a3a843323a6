"""The compiled step as an object: parameters, the optimiser's state and intermediate results, laid out for `learn`."""

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import FloatingArray, Int64Array
from gru4rec_cli.base.threads import one_blas_thread, training_threads
from gru4rec_cli.models.gru4rec.batches import MiniBatches
from gru4rec_cli.models.gru4rec.compiled.batches import Assembler, Batches
from gru4rec_cli.models.gru4rec.compiled.layout import LayerShapes, Network, Rules, Table, Workspace
from gru4rec_cli.models.gru4rec.compiled.learn import learn
from gru4rec_cli.models.gru4rec.compiled.losses import N_SUMS
from gru4rec_cli.models.gru4rec.compiled.rows import Rate
from gru4rec_cli.models.gru4rec.compiled.threads import ThreadGroup
from gru4rec_cli.models.gru4rec.network import BIAS, GRU_CELL, ITEMS, ONE_HOT_CELL, Parameters, input_table
from gru4rec_cli.models.gru4rec.optimizer import EPSILON
from gru4rec_cli.models.gru4rec.settings import Settings

PARTS = 2  # of the items of a step; more threads would have nothing to do


class CompiledStep:
    """Learns from mini-batches as `step.TorchStep` does, on one thread or two; weights do not depend on how many.

    Item matrices are changed in place. Parameters of the layers are copied to lie side by side in one vector.
    """

    def __init__(
        self, parameters: Parameters, supports: Int64Array, settings: Settings, n_threads: int | None = None
    ) -> None:
        """`supports` (V,) are training events of every item."""
        self.settings = settings
        self.dtype = parameters[ITEMS].numpy().dtype
        self._assembler = Assembler(supports, settings, self.dtype)
        self._layer_names = _layer_names(settings)
        zeros = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self._values, values = self._side_by_side(parameters)
        self._accumulators, accumulators = self._side_by_side(zeros)
        self._momenta, momenta = dict[str, Tensor](), values
        if settings.momentum > 0:
            self._momenta, momenta = self._side_by_side({name: zero.clone() for name, zero in zeros.items()})
        self._network = Network(
            self._table(ITEMS),
            self._table(BIAS),
            self._table(input_table(settings)),
            Table(values, accumulators, momenta),
        )
        self.shapes = self._make_shapes()
        self._rules = Rules(
            settings.loss == "cross-entropy",
            settings.elu,
            settings.regularisation,
            Rate(settings.learning_rate, settings.momentum, EPSILON),
            update=True,
        )
        self.work = self._make_workspace(values.shape[1])
        self._threads = ThreadGroup(min(n_threads or training_threads(), PARTS))

    def begin(self, slots: int) -> None:
        """Begin an epoch: all hidden states are zero."""
        self.work.after[:] = 0.0

    def learn(self, batches: MiniBatches) -> list[float]:
        """Take steps one after the other and return their losses, divided by the configured batch size."""
        losses: list[float] = self._take(self._assembler.assemble(batches), self._rules).tolist()
        return losses

    def gradients(self, batches: MiniBatches) -> tuple[Batches, list[float]]:
        """Compute gradients, which are then in `work`, and losses; states are carried on, but no parameter moves."""
        assembled = self._assembler.assemble(batches)
        return assembled, self._take(assembled, self._rules._replace(update=False)).tolist()

    def parameters(self) -> Parameters:
        """Return the parameters; they are changed in place."""
        return self._values

    def state(self) -> Parameters:
        """Return all that a continued training needs."""
        accumulators = {f"accumulator.{name}": value for name, value in self._accumulators.items()}
        return self._values | accumulators | {f"momentum.{name}": value for name, value in self._momenta.items()}

    def restore(self, state: Parameters) -> None:
        """Go on from what `state` returned."""
        for name, value in self.state().items():
            value.copy_(state[name])

    def _take(self, batches: Batches, rules: Rules) -> FloatingArray:
        losses = np.empty(len(batches.widths), dtype=np.float64)
        with one_blas_thread():
            self._threads.run(learn, self._network, self.shapes, rules, batches, self.work, losses)
        return losses

    def _table(self, name: str) -> Table:
        parts = (self._values[name], self._accumulators[name], self._momenta.get(name, self._values[name]))
        return Table(*(part.numpy().reshape(len(part), -1) for part in parts))

    def _side_by_side(self, tensors: Parameters) -> tuple[Parameters, FloatingArray]:
        """Return the tensors, those of the layers as views of one vector (1, …), and that vector."""
        names = [name for half in self._layer_names for name in half]
        flat = np.concatenate([tensors[name].numpy().reshape(-1) for name in names])[None, :]
        views, _ = self.views(flat, {name: value.shape for name, value in tensors.items()})
        return tensors | views, flat

    def views(self, flat: FloatingArray, shapes: dict[str, torch.Size] | None = None) -> tuple[Parameters, Int64Array]:
        """Return every tensor in a vector of all layers, and where each half of a layer begins, (layers + 1, 2)."""
        shapes = shapes or {name: value.shape for name, value in self._values.items()}
        views: Parameters = {}
        starts, start = [], 0
        for half in self._layer_names:
            starts.append(start)
            for name in half:
                stop = start + shapes[name].numel()
                views[name] = torch.from_numpy(flat[0, start:stop]).view(shapes[name])
                start = stop
        return views, np.array([*starts, start, start], dtype=np.int64).reshape(-1, 2)

    def _make_shapes(self) -> LayerShapes:
        settings = self.settings
        units = np.array(settings.layers, dtype=np.int64)
        one_hot = settings.embedding == "none"
        width = 3 * settings.layers[0] if one_hot else settings.input_width
        _, starts = self.views(np.zeros((1, self._network.cells.values.shape[1]), dtype=self.dtype))
        widths = np.array([width, *settings.layers[:-1]], dtype=np.int64)
        return LayerShapes(widths, units, starts, settings.batch_size, input_table(settings) == ITEMS, one_hot)

    def _make_workspace(self, n_layer_weights: int) -> Workspace:
        settings = self.settings
        slots, last, all_units = settings.batch_size, settings.layers[-1], sum(settings.layers)
        most, all_widths = 2 * slots + settings.n_negatives, int(self.shapes.widths.sum())

        def zeros(*shape: int) -> FloatingArray:
            return np.zeros(shape, dtype=self.dtype)

        compared = most * slots if settings.loss == "bpr-max" else 0
        return Workspace(
            items=zeros(most, last),
            gradients=zeros(most, last),
            bias_gradients=zeros(most),
            scores=zeros(most * slots),
            weights=zeros(compared),
            wins=zeros(compared),
            sums=zeros(PARTS, N_SUMS * slots),
            own=zeros(slots),
            query_gradients=zeros(PARTS, slots * last),
            before=zeros(slots * all_units),
            after=zeros(slots * all_units),
            state_gradients=zeros(slots * all_units),
            inputs=zeros(slots * all_widths),
            input_gradients=zeros(slots * all_widths),
            from_x=zeros(3 * slots * all_units),
            from_h=zeros(3 * slots * all_units),
            gates=zeros(3 * slots * all_units),
            d_x=zeros(3 * slots * all_units),
            d_h=zeros(3 * slots * all_units),
            own_inputs=zeros(slots, 1 if self.shapes.shared else int(self.shapes.widths[0])),
            cells=zeros(1, n_layer_weights),
            losses=np.zeros(PARTS),
        )


def _layer_names(settings: Settings) -> list[list[str]]:
    """Return the parameters of the layers in their order: of each layer those of its input, then those of its state."""
    halves: list[list[str]] = []
    for layer in range(len(settings.layers)):
        if layer == 0 and settings.embedding == "none":
            halves += [[], [*ONE_HOT_CELL]]
        else:
            w, u, b, c = (f"gru.{layer}.{part}" for part in GRU_CELL)
            halves += [[w, b], [u, c]]
    return halves
