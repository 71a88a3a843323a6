"""What Adam minimises: the loss of the settings, of states against the items that come next."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.models.neural.losses import binary_cross_entropy, gbce_beta, sampled_softmax, softmax_over_all
from gru4rec_cli.models.neural.sampling import NegativeSampler
from gru4rec_cli.models.neural.settings import GradientSettings

Vectors = Callable[[Tensor], Tensor]  # rows of the item matrix (…, D) → the vectors that states are multiplied with


class Objective:
    """The loss of every event, with negatives drawn as the settings say. N events, V items, n negatives."""

    def __init__(self, supports: Int64Array, settings: GradientSettings, device: torch.device) -> None:
        """`supports` (V,) are training events of the items."""
        self.settings = settings
        self.sampler = NegativeSampler(supports, settings.sample_alpha)
        self.log_q = log_q(supports, settings.sample_alpha).to(device)
        self.beta = gbce_beta(settings.n_sample, len(supports), settings.gbce_t) if settings.loss == "gbce" else 1.0

    def __call__(
        self,
        states: Tensor,
        targets: Tensor,
        items: Tensor,
        generator: np.random.Generator,
        *,
        vectors: Vectors = lambda rows: rows,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of every event, (N,), from states (N, D), targets (N,), item matrix (V, D), bias (V,)."""
        if self.settings.loss == "cross-entropy":
            return softmax_over_all(states, vectors(items), targets, bias)
        shape = (
            (self.settings.n_sample,) if self.settings.negatives == "shared" else (len(targets), self.settings.n_sample)
        )
        sampled = torch.from_numpy(self.sampler.draw(generator, *shape)).to(targets.device)  # (n,) or (N, n)
        target_vectors, sampled_vectors = (vectors(embedding(rows, items, sparse=True)) for rows in (targets, sampled))
        target_scores = (states * target_vectors).sum(1)
        correction = self.log_q[sampled] if bias is None else self.log_q[sampled] - bias[sampled]
        if sampled.dim() == 1:
            sampled_scores = torch.addmm(correction, states, sampled_vectors.T, beta=-1)
        else:
            sampled_scores = torch.einsum("nd,nkd->nk", states, sampled_vectors) - correction
        if bias is not None:
            target_scores = target_scores + bias[targets]
        is_target = sampled == targets[:, None]
        if self.settings.loss == "sampled-softmax":
            return sampled_softmax(target_scores, sampled_scores, is_target)
        return binary_cross_entropy(target_scores, sampled_scores, is_target, self.beta)


def log_q(supports: Int64Array, alpha: float) -> Tensor:
    """Return log(V · q_j), (V,), with q_j the probability that a negative is item j; 0 where all are drawn alike."""
    weights = torch.from_numpy(supports).double() ** alpha
    return torch.log(weights / weights.mean()).float()
