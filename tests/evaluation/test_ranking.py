"""Ranks against the plain definition."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.evaluation.metrics import TIE_RULES, metric_values, ranks
from gru4rec_cli.evaluation.ranking import ScoreError, best_items, count_above, rank_targets
from gru4rec_cli.evaluation.scores import (
    SCORE_BLOCK_BYTES,
    CandidateBlock,
    ItemOrder,
    ProductBlock,
    ScoreBlock,
    ScoredLists,
    block_ranges,
)
from tests.worlds import random_sessions, sessions_of


def blocks_of(scores: np.ndarray, size: int) -> Iterator[ScoreBlock]:
    for start in range(0, len(scores), size):
        yield ScoreBlock(start, scores[start : start + size].astype(np.float32))


# Few distinct scores, so that ties are common; infinities are scores too.
SCORES = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, np.inf])


@settings(deadline=None)
@given(
    st.integers(2, 7).flatmap(lambda v: st.lists(st.lists(SCORES, min_size=v, max_size=v), min_size=1, max_size=6)),
    st.data(),
)
def test_counts_are_those_of_the_definition(rows: list[list[float]], data: st.DataObject):
    n_items = len(rows[0])
    targets = data.draw(st.lists(st.integers(0, n_items - 1), min_size=len(rows), max_size=len(rows)))
    supports = np.arange(1, n_items + 1) ** 2
    block = ScoreBlock(0, np.array(rows, dtype=np.float32))
    counts = count_above(block, np.array(targets, dtype=np.int32), supports).T.tolist()
    for row, target, (g, e, gs, es) in zip(rows, targets, counts, strict=True):
        above = [item for item, score in enumerate(row) if score > row[target]]
        same = [item for item, score in enumerate(row) if score == row[target] and item != target]
        assert (g, e) == (len(above), len(same))
        assert (gs, es) == (sum((i + 1) ** 2 for i in above), sum((i + 1) ** 2 for i in same))
        optimistic, median, conservative = (
            ranks(np.array([g]), np.array([e]), rule)[0] for rule in ("optimistic", "median", "conservative")
        )
        assert 1 <= optimistic <= median <= conservative <= n_items


@settings(deadline=None)
@given(
    st.integers(1, 7).flatmap(lambda v: st.lists(st.lists(SCORES, min_size=v, max_size=v), min_size=1, max_size=6)),
    st.integers(1, 7),
)
def test_lists_are_those_of_a_stable_sort(rows: list[list[float]], longest: int):
    scores = np.array(rows, dtype=np.float32)
    longest = min(longest, scores.shape[1])
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :longest]
    assert best_items(ScoreBlock(0, scores), longest).tolist() == expected.tolist()


def test_lists_are_those_of_a_stable_sort_over_many_items():
    scores = np.random.default_rng(0).integers(0, 300, (70, 1000)).astype(np.float32)
    assert best_items(ScoreBlock(0, scores), 20).tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :20].tolist()


@st.composite
def candidate_blocks(draw: st.DrawFn) -> CandidateBlock:
    n_items = draw(st.integers(1, 8))
    lists = draw(st.lists(st.lists(st.integers(0, n_items - 1), unique=True), min_size=1, max_size=4))
    items = np.array([item for chosen in lists for item in chosen], dtype=np.int32)
    few = st.sampled_from([0.25, 1.0, 3.0, 1e30])
    scores = draw(st.lists(few, min_size=len(items), max_size=len(items)))
    supports = draw(st.lists(st.integers(1, 4), min_size=n_items, max_size=n_items))
    rows = draw(st.lists(st.integers(-1, len(lists) - 1), min_size=1, max_size=20))
    return CandidateBlock(
        0,
        np.array(rows, dtype=np.int64),
        ScoredLists(np.cumsum([0, *map(len, lists)]), items, np.array(scores, dtype=np.float32)),
        ItemOrder.by(np.array(supports)),
    )


@settings(deadline=None)
@given(candidate_blocks(), st.data())
def test_candidates_are_ranked_as_their_dense_scores(block: CandidateBlock, data: st.DataObject):
    index = st.integers(UNSEEN, block.n_items - 1)
    targets = np.array(data.draw(st.lists(index, min_size=len(block), max_size=len(block))), dtype=np.int32)
    supports = np.arange(1, block.n_items + 1) ** 2
    dense = ScoreBlock(0, block.dense())
    assert count_above(block, targets, supports).tolist() == count_above(dense, targets, supports).tolist()
    longest = data.draw(st.integers(1, block.n_items))
    assert best_items(block, longest).tolist() == best_items(dense, longest).tolist()


def test_candidates_stand_above_all_others_by_score_then_level_then_the_others_by_level():
    # Event 0: item 2 (score 5), then 0 and 3 (both 1; 3 has the higher level), then 4 and 1 by level.
    block = CandidateBlock(
        0,
        np.array([0, -1]),
        ScoredLists(np.array([0, 3]), np.array([0, 2, 3], dtype=np.int32), np.array([1, 5, 1], dtype=np.float32)),
        ItemOrder(np.array([0, 1, 1, 2, 3], dtype=np.int32)),
    )
    assert best_items(block, 5).tolist() == [[2, 3, 0, 4, 1], [4, 3, 1, 2, 0]]
    greater, equal, _, _ = count_above(block, np.array([0, 2], dtype=np.int32), np.ones(5, dtype=np.int64)).tolist()
    assert (greater, equal) == ([2, 2], [0, 1])


def test_a_candidate_keeps_its_score_in_float32():
    rng = np.random.default_rng(3)
    scores = np.exp(rng.normal(0, 20, 5000)).astype(np.float32)
    lists = ScoredLists(np.array([0, 5000]), np.arange(5000, dtype=np.int32), scores)
    block = CandidateBlock.of(0, lists, ItemOrder(rng.permutation(5000).astype(np.int32)))
    assert block.dense().astype(np.float32)[0].tolist() == scores.tolist()


def test_a_constant_scorer_under_each_tie_rule():
    test = random_sessions(50, 30, seed=3)
    found = rank_targets(blocks_of(np.zeros((test.n_targets, 50)), 7), test)
    recall = {rule: metric_values(ranks(found.greater, found.equal, rule), "recall", 20).mean() for rule in TIE_RULES}
    assert recall == {"conservative": 0.0, "median": 0.0, "optimistic": 1.0}
    assert set(ranks(found.greater, found.equal, "median")) == {25.5}


def test_a_perfect_scorer_is_always_first():
    test = random_sessions(50, 30, seed=3)
    perfect = np.eye(50)[test.target_items()]
    found = rank_targets(blocks_of(perfect, 16), test)
    assert found.greater.sum() == 0
    assert found.equal.sum() == 0


def test_a_target_that_training_lacks_has_every_item_above_it():
    test = sessions_of([[0, 1, 2], [1, 0]], n_items=3)
    test.items[1] = UNSEEN
    found = rank_targets(blocks_of(np.arange(9).reshape(3, 3), 2), test)
    assert found.greater.tolist() == [3, 0, 2]


def test_nan_scores_are_an_error_and_never_a_rank():
    test = sessions_of([[0, 1, 2]])
    scores = np.array([[0.0, 1.0, 2.0], [0.0, np.nan, 2.0]])
    with pytest.raises(ScoreError, match=r"not numbers \(NaN\)"):
        rank_targets(blocks_of(scores, 2), test)


@pytest.mark.parametrize("events", [1, 3])
def test_scores_for_too_few_or_too_many_events_are_an_error(events: int):
    test = sessions_of([[0, 1, 2]])
    with pytest.raises(ScoreError, match=r"expected scores|are missing"):
        rank_targets(blocks_of(np.zeros((events, 3)), 5), test)


def test_scores_of_another_vocabulary_are_an_error():
    with pytest.raises(ScoreError, match="over 3 items"):
        rank_targets(blocks_of(np.zeros((2, 4)), 5), sessions_of([[0, 1, 2]]))


def product_of(
    n_events: int, n_items: int, *, bias: bool = True, start: int = 0, distinct: bool = True
) -> ProductBlock:
    """Random factors; without `distinct`, of few values, so that there are ties."""
    generator = torch.Generator().manual_seed(n_events)

    def values(*shape: int) -> torch.Tensor:
        drawn = torch.randn(*shape, generator=generator)
        return drawn if distinct else drawn.round()

    return ProductBlock(start, values(n_events, 7), values(n_items, 7), values(n_items) if bias else None)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("n_events", "n_items"), [(1, 50), (31, 50), (5000, 50), (100, 70_000)])
def test_products_have_the_scores_of_blocks_however_they_are_batched(n_events: int, n_items: int, bias: bool):
    block = product_of(n_events, n_items, bias=bias)
    offset = torch.zeros(n_items) if block.bias is None else block.bias
    rows = torch.cat([block.queries, torch.zeros(32, 7)])  # at least 32, as models multiply
    expected = np.concatenate(
        [
            torch.addmm(offset, rows[start : max(stop, start + 32)], block.items.T)[: stop - start].numpy()
            for start, stop in block_ranges(n_events, n_items)
        ]
    )
    assert np.array_equal(block.dense(), expected)
    for start, stop in [(0, 1), (n_events // 2, n_events), (n_events - 1, n_events)]:
        part = ProductBlock(start, block.queries[start:stop], block.items, block.bias)
        assert np.array_equal(part.dense(), expected[start:stop])
    assert all(tile.scores.nbytes <= max(SCORE_BLOCK_BYTES, 32 * 4 * n_items) for tile in block.tiles())


@pytest.mark.parametrize("distinct", [True, False])
def test_products_are_ranked_as_their_dense_scores(distinct: bool):
    test = random_sessions(40_000, 60, seed=5)
    test.items[3::7] = UNSEEN
    n_first = test.n_targets // 3
    whole = product_of(test.n_targets, 40_000, distinct=distinct)
    blocks = [
        ProductBlock(0, whole.queries[:n_first], whole.items, whole.bias),
        ProductBlock(n_first, whole.queries[n_first:], whole.items, whole.bias),
    ]
    found = rank_targets(iter(blocks), test, longest=20)
    expected = rank_targets(iter([ScoreBlock(0, whole.dense())]), test, longest=20)
    for name, values in vars(expected).items():
        assert np.array_equal(vars(found)[name], values), name
    assert (found.equal.max() > 0) != distinct
    counts = count_above(blocks[1], test.target_items()[n_first:], test.vocabulary.supports)
    assert np.array_equal(counts[0], expected.greater[n_first:])
    assert np.array_equal(best_items(blocks[1], 20), expected.lists[n_first:])


def test_nan_products_are_an_error_and_never_a_rank():
    block = product_of(2, 3)
    block.queries[1, 0] = np.nan
    with pytest.raises(ScoreError, match=r"not numbers \(NaN\)"):
        rank_targets(iter([block]), sessions_of([[0, 1, 2]]))


@settings(deadline=None)
@given(
    st.integers(1, 7).flatmap(
        lambda v: st.lists(
            st.lists(st.one_of(SCORES, st.just(-0.0), st.floats(width=32, allow_nan=False)), min_size=v, max_size=v),
            min_size=1,
            max_size=6,
        )
    ),
    st.data(),
)
def test_tensors_are_ranked_as_arrays(rows: list[list[float]], data: st.DataObject):
    scores = np.array(rows, dtype=np.float32)
    n_events, n_items = scores.shape
    index = st.integers(UNSEEN, n_items - 1)
    targets = np.array(data.draw(st.lists(index, min_size=n_events, max_size=n_events)), dtype=np.int32)
    supports = np.arange(1, n_items + 1) ** 2
    array, tensor = ScoreBlock(0, scores), ScoreBlock(0, torch.from_numpy(scores))
    assert count_above(tensor, targets, supports).tolist() == count_above(array, targets, supports).tolist()
    longest = data.draw(st.integers(1, n_items))
    assert best_items(tensor, longest).tolist() == best_items(array, longest).tolist()


def test_nan_tensors_are_an_error_and_never_a_rank():
    scores = torch.tensor([[0.0, 1.0, 2.0], [0.0, np.nan, 2.0]])
    with pytest.raises(ScoreError, match=r"not numbers \(NaN\)"):
        rank_targets(iter([ScoreBlock(0, scores)]), sessions_of([[0, 1, 2]]))


def test_many_tied_tensors_are_listed_as_arrays():
    scores = np.random.default_rng(0).integers(-3, 3, (70, 5000)).astype(np.float32)
    expected = best_items(ScoreBlock(0, scores), 20)
    assert best_items(ScoreBlock(0, torch.from_numpy(scores)), 20).tolist() == expected.tolist()


def test_ranking_arrays_and_candidates_loads_no_torch():
    code = """
import sys
import numpy as np
from gru4rec_cli.evaluation.ranking import best_items, count_above
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder, ScoreBlock, ScoredLists

supports = np.ones(3, dtype=np.int64)
lists = ScoredLists(np.array([0, 1]), np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.float32))
candidates = CandidateBlock.of(0, lists, ItemOrder.by(supports))
for block in (ScoreBlock(0, np.eye(3, dtype=np.float32)[:1]), candidates):
    assert count_above(block, np.zeros(1, dtype=np.int32), supports)[0].tolist() == [0]
    assert best_items(block, 3).tolist() == [[0, 1, 2]]
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
