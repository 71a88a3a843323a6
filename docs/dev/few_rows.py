"""Print the time of the product of a few states with all items: by the loop behind a server's answers, and by the BLAS.

python docs/dev/few_rows.py

Between two products other memory is read, as by the rest of a server, so that caches hold little of the items.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from gru4rec_cli.evaluation.few_rows import FewRows
from gru4rec_cli.evaluation.scores import ProductBlock

N_ITEMS, UNITS, REPEATS = 43_000, 100, 100


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    items, bias = torch.rand(N_ITEMS, UNITS, generator=generator) - 0.5, torch.rand(N_ITEMS, generator=generator)
    few = FewRows(items, bias)
    print(f"{N_ITEMS:,} items, {UNITS} units; the loop gives the bits of the BLAS: {few.exact}")
    for n_states in (1, 2, 4, 8, 16, 32):
        states = torch.rand(n_states, UNITS, generator=generator)
        block = ProductBlock(0, states, items, bias)
        loop = milliseconds(partial(few.product, states.numpy()))
        blas = milliseconds(lambda block=block: list(block.tiles()))
        print(f"{n_states:2} states: loop {loop:.1f} ms, BLAS {blas:.1f} ms")


def milliseconds(product: Callable[[], object]) -> float:
    other, times = np.zeros(2_000_000), []
    for _ in range(REPEATS):
        other.sum()
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main()
