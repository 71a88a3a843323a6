import pytest

from gru4rec_cli.bench.plan import RSC15
from gru4rec_cli.bench.processes import run_point


@pytest.mark.slow
def test_fitting_takes_the_matrices_with_their_state_and_200_mb():
    n_items, units = 500_000, RSC15["layers"][0]
    asked = {"kind": "gru4rec", "settings": RSC15, "most_learnt": 32 * 64}
    run_point("fit", n_events=10_000, n_items=1000, **asked)  # compiles the loops, which takes memory of its own
    cost = run_point("fit", n_events=1_000_000, n_items=n_items, **asked)
    assert cost["events_learnt"] >= 32 * 64
    matrix = 4 * n_items * (units + 1)  # bytes of float32 of the shared item matrix and its biases
    taken = cost["peak_memory_bytes"] - cost["memory_before_bytes"]
    assert 3 * matrix < taken  # parameters, accumulators and momenta: less could not be true
    assert taken <= 3 * matrix + 200e6
