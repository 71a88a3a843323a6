"""The product floor: how long the matrix products of training steps take when nothing else is done."""

import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.base.threads import one_blas_thread
from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.compiled.threads import Counters, ThreadGroup, wait
from gru4rec_cli.models.gru4rec.settings import Settings

Floats = npt.NDArray[np.float32]

_SEED = 1


class Products(NamedTuple):
    """The matrices of a step's products, random numbers that stay in place; layers as arrays of (layers, …) flat.

    With B slots, D units, W the width of the input and U distinct columns: per layer (B, W)(W, 3D) and (B, D)(D, 3D)
    forward, (3D, B)(B, W), (3D, B)(B, D) and (B, 3D)(3D, W) backward; once (U, D)(D, B) for the scores, and
    (U, B)(B, D) and (B, U)(U, D) for their gradients.
    """

    query: Floats  # (B, D)
    columns: Floats  # (U, D)
    scores: Floats  # flat (U, B)
    items_gradient: Floats  # (U, D)
    query_gradients: Floats  # (2, B, D)
    sizes: Int64Array  # (layers, 2): W, D
    inputs: Floats  # flat (B, W), the largest layer's; also all below
    gates: Floats  # (B, 3D)
    w: Floats  # (3D, W)
    u: Floats  # (3D, D)
    from_x: Floats
    from_h: Floats
    d_w: Floats
    d_u: Floats
    d_x: Floats


def products_for(settings: Settings, columns: Int64Array) -> Products:
    """Room for steps with these numbers of distinct columns."""
    random = np.random.default_rng(_SEED)

    def matrix(*shape: int) -> Floats:
        return random.random(shape, dtype=np.float32) - np.float32(0.5)

    most, slots, last = int(np.max(columns)), settings.batch_size, settings.layers[-1]
    widths = [settings.input_width, *settings.layers[:-1]]
    wide, units = max(*widths, *settings.layers), max(settings.layers)
    return Products(
        query=matrix(slots, last),
        columns=matrix(most, last),
        scores=matrix(slots * most),
        items_gradient=matrix(most, last),
        query_gradients=matrix(2, slots, last),
        sizes=np.array(list(zip(widths, settings.layers, strict=True)), dtype=np.int64),
        inputs=matrix(slots * wide),
        gates=matrix(slots * 3 * units),
        w=matrix(3 * units * wide),
        u=matrix(3 * units * units),
        from_x=matrix(slots * 3 * units),
        from_h=matrix(slots * 3 * units),
        d_w=matrix(3 * units * wide),
        d_u=matrix(3 * units * units),
        d_x=matrix(slots * wide),
    )


@compiled()
def multiply(progress: Counters, me: int, products: Products, numbers: Int64Array) -> None:
    """The products of steps with these numbers of distinct columns, shared by two threads as the step shares them."""
    p, slots = products, len(products.query)
    first, second = me == 0, me == len(progress) - 1
    for n_columns in numbers:
        middle = n_columns // 2
        scores = p.scores[: n_columns * slots].reshape(n_columns, slots)
        for layer in range(len(p.sizes)):
            width, units = p.sizes[layer, 0], p.sizes[layer, 1]
            w, u, x = _matrix(p.w, 3 * units, width), _matrix(p.u, 3 * units, units), _matrix(p.inputs, slots, width)
            if first:
                np.dot(x, w.T, _matrix(p.from_x, slots, 3 * units))
            if second:
                np.dot(_matrix(p.gates, slots, units), u.T, _matrix(p.from_h, slots, 3 * units))
        wait(progress, me)
        if first:
            np.dot(p.columns[:middle], p.query.T, scores[:middle])
            np.dot(scores[:middle].T, p.columns[:middle], p.query_gradients[0])
        if second:
            np.dot(p.columns[middle:n_columns], p.query.T, scores[middle:])
            np.dot(scores[middle:].T, p.columns[middle:n_columns], p.query_gradients[1])
        wait(progress, me)
        for layer in range(len(p.sizes)):
            width, units = p.sizes[layer, 0], p.sizes[layer, 1]
            gates, x = _matrix(p.gates, slots, 3 * units), _matrix(p.inputs, slots, width)
            if first:
                np.dot(gates, _matrix(p.w, 3 * units, width), _matrix(p.d_x, slots, width))
                np.dot(gates.T, x, _matrix(p.d_w, 3 * units, width))
            if second:
                np.dot(gates.T, _matrix(p.gates, slots, units), _matrix(p.d_u, 3 * units, units))
        if first:
            np.dot(scores[:middle], p.query, p.items_gradient[:middle])
        if second:
            np.dot(scores[middle:], p.query, p.items_gradient[middle:n_columns])
        wait(progress, me)


@compiled()
def _matrix(flat: Floats, rows: int, columns: int) -> Floats:
    return flat[: rows * columns].reshape(rows, columns)


def products_per_second(products: Products, columns: Int64Array, skipped: int, threads: int) -> float:
    """Steps a second, products alone, through steps with these numbers of distinct columns; the first are not timed."""
    team = ThreadGroup(min(threads, 2))
    with one_blas_thread():
        team.run(multiply, products, columns[:skipped])
        start = time.perf_counter()
        team.run(multiply, products, columns[skipped:])
        return (len(columns) - skipped) / (time.perf_counter() - start)
