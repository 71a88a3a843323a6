"""Attention of many sequences in one pass: in a batch, and in the sums that scoring needs."""

import numpy as np
import pytest
import torch

from gru4rec_cli.models.neural.batches import ranges
from gru4rec_cli.models.neural.causal import Tokens
from gru4rec_cli.models.neural.transformer import causal_attention, full_attention

LENGTHS = np.array([3, 20, 1, 7])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, np.array([5, 5])])
def test_attention_is_the_softmax_over_what_a_token_looks_at(
    lengths: np.ndarray, causal: bool, heads: int, exact: bool
):
    n, width = int(lengths.sum()), 16 // heads
    places = ranges(np.zeros_like(lengths), lengths)
    tokens = Tokens(torch.zeros(n, dtype=torch.int64), places, lengths, exact)
    drawn = np.random.default_rng(0).normal(size=(3, n, heads, width))
    found = (causal_attention if causal else full_attention)(tokens, 25)(*torch.from_numpy(drawn))
    q, k, v = drawn
    for start, length in zip(np.cumsum(lengths) - lengths, lengths, strict=True):
        for t in range(start, start + length):
            seen = range(start, t + 1 if causal else start + length)
            for head in range(heads):
                weights = np.array([np.exp(q[t, head] @ k[s, head] / np.sqrt(width)) for s in seen])
                expected = sum(w * v[s, head] for w, s in zip(weights / weights.sum(), seen, strict=True))
                np.testing.assert_allclose(found[t, head].numpy(), expected, rtol=1e-10, atol=1e-12)
