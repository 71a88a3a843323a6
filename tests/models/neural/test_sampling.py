"""Random numbers of training: negatives, dropout, epoch seeds."""

import numpy as np
import pytest

from gru4rec_cli.models.gru4rec import compiled
from gru4rec_cli.models.neural.sampling import NegativeSampler, dropout_mask, epoch_seed

samplers = pytest.mark.parametrize("kind", [NegativeSampler, compiled.NegativeSampler], ids=["searched", "compiled"])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@samplers
def test_negatives_come_with_probability_support_to_the_alpha(alpha: float, kind: type[NegativeSampler]):
    supports = np.array([1, 4, 100, 25, 9])
    drawn = kind(supports, alpha).draw(np.random.default_rng(1), 100, 1000)
    assert drawn.shape == (100, 1000)
    counts = np.bincount(drawn.ravel(), minlength=5)
    weights = supports.astype(float) ** alpha
    expected = 100_000 * weights / weights.sum()
    spread = np.sqrt(expected) + 1e-9
    assert (np.abs(counts - expected) < 5 * spread).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_compiled_sampler_draws_the_same_items(seed: int):
    supports = np.random.default_rng(seed).zipf(1.3, 500).clip(max=10**6)
    sampler = compiled.NegativeSampler(supports, 0.7)
    drawn = sampler.draw(np.random.default_rng(9), 10_000)
    expected = NegativeSampler(supports, 0.7).draw(np.random.default_rng(9), 10_000)
    assert drawn.tolist() == expected.tolist()


def test_a_number_finds_the_first_item_whose_share_ends_above_it():
    sampler = NegativeSampler(np.array([1, 4, 5]), 1.0)
    assert sampler.find(np.array([0.0, 0.09, 0.1, 0.49, 0.5, 0.999])).tolist() == [0, 0, 1, 1, 2, 2]


def test_dropout_drops_the_given_share_and_keeps_the_expectation():
    mask = dropout_mask(np.random.default_rng(0), 0.3, 200, 500)
    assert mask.shape == (200, 500)
    assert (mask == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.01)


def test_every_epoch_of_every_seed_has_a_seed_of_its_own():
    assert len({epoch_seed(seed, epoch) for seed in range(20) for epoch in range(20)}) == 400
    assert epoch_seed(3, 4) == epoch_seed(3, 4) >= 0
