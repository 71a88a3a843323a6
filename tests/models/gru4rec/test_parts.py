"""Losses, negatives and updates against plain definitions."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from gru4rec_cli.models.gru4rec import Settings, loss_loops
from gru4rec_cli.models.gru4rec.cells import Layers
from gru4rec_cli.models.gru4rec.dropout import masks_of
from gru4rec_cli.models.gru4rec.loops import Rate, adagrad_rows
from gru4rec_cli.models.gru4rec.minibatch import Assembler, MiniBatches
from gru4rec_cli.models.gru4rec.negatives import NegativeSampler
from gru4rec_cli.models.gru4rec.network import initial_parameters, zero_states
from gru4rec_cli.models.gru4rec.optimizer import EPSILON
from tests.models.gru4rec.gradients import step_of

SMALL = Settings(layers=(3,), dropout_p_hidden=0.0)


class Looked(NamedTuple):
    """What both looks at the scores say."""

    loss: float
    gradient: npt.NDArray[np.float64]  # (lanes, items)
    item_sums: npt.NDArray[np.float64]


def batch_of(settings: Settings, targets: list[int], negatives: list[int], supports: list[int]) -> MiniBatches:
    """A step whose scores a test gives itself, item by item in the order of `rows`; inputs are by themselves."""
    settings = settings.model_copy(update={"embedding": "layersize"})
    assembler = Assembler(np.array(supports), settings, torch.float64)
    return step_of(assembler, np.zeros(len(targets), dtype=np.int64), np.array(targets), np.array(negatives))


def both_parts(batch: MiniBatches, values: npt.ArrayLike, middle: int, settings: Settings) -> Looked:
    """Loss and gradient of scores (lanes, items) that are looked at in two parts, as a step does it."""
    scores = np.array(values).T.copy()
    n_items, lanes = scores.shape
    targets, own, ends = batch.targets[0], np.zeros(lanes), [(0, middle), (middle, n_items)]
    sums = np.zeros((2, loss_loops.N_SUMS, lanes))
    weights, wins, item_sums = np.zeros_like(scores), np.zeros_like(scores), np.zeros(n_items)
    cross_entropy = settings.loss == "cross-entropy"
    for part, (start, stop) in enumerate(ends):
        counts, top = batch.weights[0, start:stop], sums[part, loss_loops.TOP]
        if cross_entropy:
            loss_loops.highest(scores[start:stop], counts, top)
            continue
        if settings.elu > 0:
            loss_loops.bend(scores[start:stop], settings.elu)
        loss_loops.highest_other(scores[start:stop], counts, start, targets, top)
        loss_loops.own_scores(scores[start:stop], start, targets, own)
    for part, (start, stop) in enumerate(ends):
        counts = batch.weights[0, start:stop]
        if cross_entropy:
            loss_loops.add_exponentials(scores[start:stop], counts, sums[part], start, targets, own)
        else:
            loss_loops.add_comparisons(
                scores[start:stop], counts, sums[part], start, targets, own, weights[start:stop], wins[start:stop]
            )
    loss = 0.0
    for part, (start, stop) in enumerate(ends):
        common: list[Any] = [scores[start:stop], sums[part], sums[1 - part], start, targets, own]
        last: list[Any] = [settings.batch_size, item_sums[start:stop]]
        if cross_entropy:
            loss += loss_loops.cross_entropy_gradient(*common, batch.own[0], *last)  # type: ignore[call-arg]
        else:
            weighed: list[Any] = [weights[start:stop], wins[start:stop], settings.elu, settings.regularisation]
            loss += loss_loops.bpr_max_gradient(*common, *weighed, *last)
    return Looked(loss, scores.T, item_sums)


@pytest.mark.parametrize("middle", [0, 1, 2, 3])
def test_cross_entropy_by_hand(middle: int):
    # Two lanes with targets 0 and 1, one negative 2. Divided by the configured batch size, not by the lanes.
    settings = Settings(batch_size=8, logq=0.0)
    batch = batch_of(settings, [0, 1], [2], [1, 1, 1])
    found = both_parts(batch, np.log([[2.0, 1.0, 1.0], [1.0, 3.0, 6.0]]), middle, settings)
    assert found.loss == pytest.approx((-np.log(2 / 4) - np.log(3 / 10)) / 8, rel=1e-12)
    expected = np.array([[2 / 4 - 1, 1 / 4, 1 / 4], [1 / 10, 3 / 10 - 1, 6 / 10]]) / 8
    assert found.gradient == pytest.approx(expected)
    assert found.item_sums == pytest.approx(expected.sum(axis=0))


def bpr_max_loss(values: list[list[float]], regularisation: float, elu_param: float, batch_size: int) -> float:
    """Of scores whose first columns are the lanes' targets, all items distinct."""
    lanes, columns = np.shape(values)
    settings = Settings(loss="bpr-max", batch_size=batch_size, bpreg=regularisation, elu_param=elu_param)
    batch = batch_of(settings, list(range(lanes)), list(range(lanes, columns)), [1] * columns)
    losses = [both_parts(batch, values, middle, settings).loss for middle in range(columns + 1)]
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-12)
    return losses[0]


def test_bpr_max_by_hand():
    # Own score 1, negatives 0 and 2.
    first, second = 1 / (1 + math.exp(2)), math.exp(2) / (1 + math.exp(2))  # softmax over the negatives
    likelihood = first / (1 + math.exp(-1)) + second / (1 + math.exp(1))
    expected = (-math.log(likelihood) + 0.5 * (second * 4)) / 4
    assert bpr_max_loss([[1.0, 0.0, 2.0]], 0.5, 0.0, 4) == pytest.approx(expected, rel=1e-12)


def test_scores_far_above_the_others_do_not_drown_what_is_compared():
    # The own score is far above the negatives: their softmax is still that of 0 and 2.
    first, second = 1 / (1 + math.exp(2)), math.exp(2) / (1 + math.exp(2))
    expected = (-math.log(1.0) + 0.5 * (second * 4)) / 4
    assert bpr_max_loss([[1000.0, 0.0, 2.0]], 0.5, 0.0, 4) == pytest.approx(expected, rel=1e-12)
    assert first + second == pytest.approx(1)
    # An item that is only an input, and so weighs nothing, is far above target and negative.
    settings = Settings(batch_size=2, logq=0.0)
    batch = step_of(
        Assembler(np.array([1, 1, 1]), settings, torch.float64), np.array([0]), np.array([1]), np.array([2])
    )
    assert batch.weights[0, :3].tolist() == [0, 1, 1]
    for middle in range(4):
        found = both_parts(batch, [[1000.0, 1.0, 0.0]], middle, settings)
        assert found.loss == pytest.approx(math.log(1 + math.exp(-1)) / 2, rel=1e-12)
        wrong = 1 / (1 + math.exp(1)) / 2
        assert found.gradient == pytest.approx(np.array([[0.0, -wrong, wrong]]), rel=1e-9)


def test_a_target_far_below_the_others_is_still_learnt():
    # p = e^-50 (1 + e^-50): above 1e-24 the gradient is hardly less than that of -log p.
    settings = Settings(batch_size=2, logq=0.0)
    batch = batch_of(settings, [0], [1], [1, 1])
    p = math.exp(-50)
    for middle in range(3):
        found = both_parts(batch, [[-50.0, 0.0]], middle, settings)
        assert found.loss == pytest.approx(-math.log(p + 1e-24) / 2, rel=1e-12)
        pull = p / (p + 1e-24) / 2
        assert found.gradient == pytest.approx(np.array([[-pull, pull]]), rel=1e-12)


def test_bpr_max_counts_wins_against_all_that_are_far_above():
    # The target at -50, negatives up to 0: every weighted win is about e^-50, however small the weight.
    scores = [[-50.0, 0.0, -20.0, -45.0, -49.0]]
    weights = np.exp([0.0, -20.0, -45.0, -49.0])
    wins = 1 / (1 + np.exp(np.array(scores[0][1:]) + 50))
    likelihood = (weights * wins).sum() / weights.sum()
    assert likelihood == pytest.approx(4 * math.exp(-50), rel=0.1)
    expected = -math.log(likelihood + 1e-24) / 3
    assert bpr_max_loss(scores, 0.0, 0.0, 3) == pytest.approx(expected, rel=1e-12)


def test_bpr_max_passes_scores_through_the_elu():
    scores = [[-1.0, -2.0, 2.0], [0.5, 3.0, -0.1]]
    bent = [[score if score > 0 else 0.7 * (math.exp(score) - 1) for score in row] for row in scores]
    assert bpr_max_loss(scores, 1.5, 0.7, 2) == pytest.approx(bpr_max_loss(bent, 1.5, 0.0, 2))


def test_equal_columns_weigh_together_and_logq_takes_supports_for_the_first_ones():
    # Columns: targets 2 and 1, negatives 2, 1, 1; with three lanes configured the first negative counts as a target.
    settings = Settings(batch_size=3, logq=2.0, sample_alpha=0.5)
    batch = batch_of(settings, [2, 1], [2, 1, 1], [1, 4, 9])
    assert batch.rows[0, :2].tolist() == [2, 1]
    assert batch.sizes.tolist() == [[2, 0, 1]]
    of_2 = 9**-2 + 9**-2  # as a target, twice
    of_1 = 4**-2 + 4**-1 + 4**-1  # as a target, then twice as a sample: (4^0.5)^-2
    assert batch.weights[0, :2].tolist() == pytest.approx([of_2, of_1])
    assert batch.own[0].tolist() == pytest.approx([9**-2 / of_2, 4**-2 / of_1])


def test_bpr_max_counts_columns_and_leaves_the_own_one_out():
    settings = Settings(loss="bpr-max", batch_size=2, bpreg=0.0, elu_param=0.0)
    batch = batch_of(settings, [2, 1], [2, 1, 1], [1, 4, 9])
    assert batch.weights[0, :2].tolist() == [2, 3]

    # Lane 0, target 2 (score 1): one other column of item 2, three of item 1 (score 0). Lane 1: two of each.
    def lane(own: float, same: float, other: float) -> float:
        total = same * math.exp(own) + other
        return -math.log((same * math.exp(own) * 0.5 + other / (1 + math.exp(-own))) / total)

    found = both_parts(batch, [[1.0, 0.0], [0.0, 1.0]], 1, settings)
    assert found.loss == pytest.approx((lane(1.0, 1, 3) + lane(1.0, 2, 2)) / 2, rel=1e-12)


def test_inputs_stand_first_and_those_that_are_no_columns_weigh_nothing():
    assembler = Assembler(np.array([1, 4, 9, 2, 2]), Settings(batch_size=3, logq=1.0), torch.float64)
    batch = step_of(assembler, np.array([1, 4, 1]), np.array([2, 3, 2]), np.array([1]))
    assert batch.sizes.tolist() == [[4, 1, 2]]
    assert batch.rows[0, :4].tolist() == [4, 1, 2, 3]
    assert batch.weights[0, :4].tolist() == pytest.approx([0, 4**-0.5, 2 / 9, 1 / 2])
    assert batch.inputs[0].tolist() == [1, 0, 1]
    assert batch.targets[0].tolist() == [2, 3, 2]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_negatives_come_with_probability_support_to_the_alpha(alpha: float):
    supports = np.array([1, 4, 100, 25, 9])
    drawn = NegativeSampler(supports, alpha).draw(np.random.default_rng(1), 100, 1000)
    assert drawn.shape == (100, 1000)
    counts = np.bincount(drawn.ravel(), minlength=5)
    weights = supports.astype(float) ** alpha
    expected = 100_000 * weights / weights.sum()
    spread = np.sqrt(expected) + 1e-9
    assert (np.abs(counts - expected) < 5 * spread).all()


@pytest.mark.parametrize("seed", range(3))
def test_negatives_are_those_of_a_search_in_the_cumulative_weights(seed: int):
    supports = np.random.default_rng(seed).zipf(1.3, 500).clip(max=10**6)
    sampler = NegativeSampler(supports, 0.7)
    drawn = sampler.draw(np.random.default_rng(9), 10_000)
    uniform = np.random.default_rng(9).random(10_000)
    expected = np.searchsorted(sampler.cumulative, uniform * sampler.cumulative[-1], side="right")
    assert drawn.tolist() == expected.tolist()


def test_adagrad_with_momentum_by_hand():
    parts = np.array([[1.0]]), np.zeros((1, 1)), np.zeros((1, 1))
    rate = Rate(learning_rate=0.1, momentum=0.5, epsilon=EPSILON)
    adagrad_rows(*parts, np.array([0]), np.array([[2.0]]), rate)
    first = 0.1 * 2 / np.sqrt(4 + 1e-6)
    assert parts[0] == pytest.approx(1 - first, rel=1e-12)
    adagrad_rows(*parts, np.array([0]), np.array([[1.0]]), rate)
    second = 0.5 * -first - 0.1 * 1 / np.sqrt(5 + 1e-6)
    assert parts[0] == pytest.approx(1 - first + second, rel=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_only_the_given_rows_move_and_those_as_if_they_were_all(momentum: float):
    random = np.random.default_rng(0)
    start: list[Any] = [random.random((6, 37)) for _ in range(3)]
    rows, gradient = np.array([4, 1, 5, 0, 2]), random.random((5, 37)) - 0.5
    rate = Rate(0.1, momentum, EPSILON)
    found: list[Any] = [part.copy() for part in start]
    whole: list[Any] = [part[rows] for part in start]
    adagrad_rows(*found, rows, gradient, rate)  # type: ignore[call-arg]
    adagrad_rows(*whole, np.arange(5), gradient, rate)  # type: ignore[call-arg]
    for part, given, moved in zip(found, start, whole, strict=True):
        assert np.array_equal(part[rows], moved)
        assert np.array_equal(part[3], given[3])
    accumulators = start[1][rows] + gradient**2
    step = 0.1 * gradient / np.sqrt(accumulators + EPSILON)
    assert whole[1] == pytest.approx(accumulators, rel=1e-12)
    moved = momentum * start[2][rows] - step if momentum else -step
    assert whole[0] == pytest.approx(start[0][rows] + moved, rel=1e-12)


def test_dropout_drops_the_given_share_and_keeps_the_expectation():
    settings = Settings(layers=(500,), dropout_p_hidden=0.3)
    masks = masks_of(settings, lambda name, units: np.random.default_rng(0).random((200, units), dtype=np.float32))
    assert list(masks) == ["hidden.0"]
    mask = masks["hidden.0"]
    assert (mask == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.01)


def test_the_gru_cell_is_that_of_the_paper():
    parameters = initial_parameters(5, SMALL, seed=2, dtype=torch.float64)
    biases = torch.Generator().manual_seed(3)
    for name in ("gru.0.bias_ih", "gru.0.bias_hh"):
        parameters[name] = torch.rand(9, dtype=torch.float64, generator=biases)
    x, h = torch.rand(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    (found,) = Layers(parameters, SMALL).forward(x, [h])
    from_x = x @ parameters["gru.0.weight_ih"].T + parameters["gru.0.bias_ih"]
    from_h = h @ parameters["gru.0.weight_hh"].T + parameters["gru.0.bias_hh"]
    r, z = torch.sigmoid(from_x[:, :3] + from_h[:, :3]), torch.sigmoid(from_x[:, 3:6] + from_h[:, 3:6])
    n = torch.tanh(from_x[:, 6:] + r * from_h[:, 6:])
    torch.testing.assert_close(found, (1 - z) * n + z * h, rtol=1e-12, atol=1e-12)


def test_initial_weights_stay_within_their_bounds_gate_by_gate():
    parameters = initial_parameters(100, Settings(layers=(8, 12)), seed=1)
    for gate in range(3):
        block = parameters["gru.1.weight_ih"][12 * gate : 12 * (gate + 1)]
        bound = (6 / (12 + 8)) ** 0.5
        assert bound * 0.9 < block.abs().max().item() <= bound
    assert parameters["output_embedding"].shape == (100, 12)
    assert parameters["gru.0.weight_ih"].shape == (24, 12)  # the first layer reads rows of the item matrix
    assert not parameters["gru.0.bias_ih"].any()


def test_the_one_hot_cell_resets_before_the_product_and_keeps_with_1_minus_z():
    settings = Settings(layers=(2,), embedding="none")
    parameters = initial_parameters(4, settings, seed=2, dtype=torch.float64)
    parameters["onehot_gru.bias"] = torch.tensor([0.1, -0.2, 0.3, 0.4, -0.5, 0.6], dtype=torch.float64)
    row, h = parameters["onehot_gru.input"][[1]], torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    (found,) = Layers(parameters, settings).forward(row, [h])
    x = row + parameters["onehot_gru.bias"]
    u_rz, u_n = parameters["onehot_gru.recurrent_rz"], parameters["onehot_gru.recurrent_h"]
    r = torch.sigmoid(x[:, 2:4] + h @ u_rz[:, :2])
    z = torch.sigmoid(x[:, 4:] + h @ u_rz[:, 2:])
    n = torch.tanh((r * h) @ u_n + x[:, :2])
    torch.testing.assert_close(found, (1 - z) * h + z * n, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("embedding", "shapes"),
    [
        ("shared", {"gru.0.weight_ih": (12, 6)}),
        ("layersize", {"input_embedding": (9, 4), "gru.0.weight_ih": (12, 4)}),
        (5, {"input_embedding": (9, 5), "gru.0.weight_ih": (12, 5)}),
        ("none", {"onehot_gru.input": (9, 12), "onehot_gru.recurrent_rz": (4, 8), "onehot_gru.recurrent_h": (4, 4)}),
    ],
)
def test_layers_of_any_sizes_stack_in_every_input_mode(embedding: str | int, shapes: dict[str, tuple[int, int]]):
    settings = Settings(layers=(4, 3, 6), embedding=embedding)  # type: ignore[arg-type]
    parameters = initial_parameters(9, settings, seed=1)
    expected = {**shapes, "gru.1.weight_ih": (9, 4), "gru.2.weight_hh": (18, 6), "output_embedding": (9, 6)}
    assert {name: tuple(parameters[name].shape) for name in expected} == expected
    rows = parameters[
        next(name for name in ("onehot_gru.input", "input_embedding", "output_embedding") if name in parameters)
    ]
    states = Layers(parameters, settings).forward(rows[:2], zero_states(2, settings))
    assert [tuple(state.shape) for state in states] == [(2, 4), (2, 3), (2, 6)]


def test_dropout_of_one_hot_mode_falls_on_the_first_layers_output():
    base = {"layers": (50, 40), "embedding": "none", "dropout_p_embed": 0.5, "dropout_p_hidden": 0.0}
    settings = Settings.model_validate(base)
    parameters = initial_parameters(9, settings, seed=1)
    rows = parameters["onehot_gru.input"][:4]
    masks = masks_of(settings, lambda name, units: np.random.default_rng(1).random((4, units), dtype=np.float32))
    assert list(masks) == ["embed"]
    first, second = Layers(parameters, settings).forward(rows, zero_states(4, settings), masks)
    assert 0.3 < (first == 0).float().mean().item() < 0.7  # what dropout leaves is carried on
    assert (second != 0).all()
