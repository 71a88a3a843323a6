"""The time that the matrix products of training steps take alone: a lower bound for a step."""

import time
from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.base.threads import one_blas_thread
from gru4rec_cli.models.gru4rec.compiled.threads import Counters, ThreadGroup, wait
from gru4rec_cli.models.gru4rec.settings import Settings

_SEED = 1


class Products(NamedTuple):
    """The matrices of a step's products, filled with random numbers.

    With B slots, D units, W the width of the input and U distinct columns: per layer (B, W)(W, 3D) and (B, D)(D, 3D)
    forward, (3D, B)(B, W), (3D, B)(B, D) and (B, 3D)(3D, W) backward; once (U, D)(D, B) for the scores, and
    (U, B)(B, D) and (B, U)(U, D) for their gradients.
    """

    query: Float32Array  # (B, D)
    columns: Float32Array  # (U, D)
    scores: Float32Array  # flat (U, B)
    items_gradient: Float32Array  # (U, D)
    query_gradients: Float32Array  # (2, B, D)
    sizes: Int64Array  # (layers, 2): W, D
    inputs: Float32Array  # flat (B, W), the largest layer's; also all below
    gates: Float32Array  # (B, 3D)
    w: Float32Array  # (3D, W)
    u: Float32Array  # (3D, D)
    from_x: Float32Array
    from_h: Float32Array
    d_w: Float32Array
    d_u: Float32Array
    d_x: Float32Array


def products_for(settings: Settings, columns: Int64Array) -> Products:
    """Allocate the matrices for steps with these numbers of distinct columns, (steps,)."""
    random = np.random.default_rng(_SEED)

    def matrix(*shape: int) -> Float32Array:
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


@compiled
def multiply(counters: Counters, me: int, products: Products, numbers: Int64Array) -> None:
    """Compute the products of steps with these numbers of distinct columns, shared by two threads as in a step."""
    p, slots = products, len(products.query)
    first, second = me == 0, me == len(counters) - 1
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
        wait(counters, me)
        if first:
            np.dot(p.columns[:middle], p.query.T, scores[:middle])
            np.dot(scores[:middle].T, p.columns[:middle], p.query_gradients[0])
        if second:
            np.dot(p.columns[middle:n_columns], p.query.T, scores[middle:])
            np.dot(scores[middle:].T, p.columns[middle:n_columns], p.query_gradients[1])
        wait(counters, me)
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
        wait(counters, me)


@compiled
def _matrix(flat: Float32Array, rows: int, columns: int) -> Float32Array:
    return flat[: rows * columns].reshape(rows, columns)


def products_per_second(products: Products, columns: Int64Array, skipped: int, threads: int) -> float:
    """Measure steps per second, products alone, for these numbers of distinct columns, (steps,).

    The first `skipped` steps are not timed.
    """
    threads_used = ThreadGroup(min(threads, 2))
    with one_blas_thread():
        threads_used.run(multiply, products, columns[:skipped])
        start = time.perf_counter()
        threads_used.run(multiply, products, columns[skipped:])
        return (len(columns) - skipped) / (time.perf_counter() - start)
