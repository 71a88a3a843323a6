"""A few rows have the bits that they have among many, or another way is taken."""

import numpy as np
import pytest
import torch

from gru4rec_cli.evaluation.few_rows import FewRows
from gru4rec_cli.evaluation.scores import ProductBlock


@pytest.mark.parametrize(
    ("n_items", "width"), [(1, 3), (50, 16), (5_000, 100), (20_003, 64), (3_000, 224), (700, 1000)]
)
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_block_of_a_few_rows_has_the_scores_of_a_block_of_many(n_items: int, width: int, with_bias: bool):
    generator = torch.Generator().manual_seed(n_items)
    items = torch.randn(n_items, width, generator=generator)
    bias = torch.randn(n_items, generator=generator) if with_bias else None
    queries = torch.randn(40, width, generator=generator)
    few = FewRows(items, bias)
    many = ProductBlock(0, queries, items, bias).dense()
    for n in (1, 3, FewRows.most, FewRows.most + 1):
        found = ProductBlock(0, queries[5 : 5 + n], items, bias, few if few.exact else None).dense()
        assert np.array_equal(found, many[5 : 5 + n])


def test_the_loop_gives_the_product():
    items = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-1.0, 0.5]])
    few = FewRows(items, torch.tensor([0.0, 10.0, 0.25]))
    assert few.product(np.array([[2.0, 1.0], [0.0, 4.0]], dtype=np.float32)).tolist() == [
        [4.0, 20.0, -1.25],
        [8.0, 26.0, 2.25],
    ]


def test_weights_that_are_not_numbers_are_left_to_the_product():
    assert not FewRows(torch.full((40, 8), float("nan")), None).exact
