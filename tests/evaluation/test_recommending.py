"""The best items of every event: of all, of those that are allowed, and without those that the session has seen."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import UNSEEN, Vocabulary, sessions_to_continue
from gru4rec_cli.evaluation.recommending import Choice, recommendations
from gru4rec_cli.evaluation.scores import Block, CandidateBlock, ItemOrder, ProductBlock, ScoreBlock, ScoredLists

N_ITEMS = 9


def dense_block(scores: np.ndarray) -> ScoreBlock:
    return ScoreBlock(0, scores)


def tensor_block(scores: np.ndarray) -> ScoreBlock:
    return ScoreBlock(0, torch.from_numpy(scores))


def product_block(scores: np.ndarray) -> ProductBlock:
    return ProductBlock(0, torch.from_numpy(scores), torch.eye(N_ITEMS))


def candidate_block(scores: np.ndarray) -> CandidateBlock:
    """Items with a score above 0 are candidates; the others follow in the order 0, 1, 2, … with ties in pairs."""
    rows, items = np.nonzero(scores > 0)
    offsets = np.searchsorted(rows, np.arange(len(scores) + 1))
    lists = ScoredLists(offsets, items.astype(np.int32), scores[rows, items])
    return CandidateBlock.of(0, lists, ItemOrder((np.arange(N_ITEMS)[::-1] // 2).astype(np.int32)))


BLOCKS = {"dense": dense_block, "tensor": tensor_block, "product": product_block, "candidates": candidate_block}


@pytest.mark.parametrize("kind", BLOCKS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_lists_are_those_of_sorting_the_scores_by_hand(kind: str, data: st.DataObject):
    n_events = data.draw(st.integers(1, 5))
    item = st.integers(UNSEEN, N_ITEMS - 1)
    histories = data.draw(st.lists(st.lists(item, min_size=1, max_size=6), min_size=n_events, max_size=n_events))
    cells = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]), min_size=N_ITEMS, max_size=N_ITEMS)
    rows = data.draw(st.lists(cells, min_size=n_events, max_size=n_events))
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=N_ITEMS, max_size=N_ITEMS).map(np.array))
    seen, k = data.draw(st.booleans()), data.draw(st.integers(1, 12))
    block: Block = BLOCKS[kind](  # type: ignore[assignment]
        np.array(rows, dtype=np.float32)
    )
    lengths = np.array([len(history) for history in histories])
    vocabulary = Vocabulary.of(np.arange(N_ITEMS))
    sessions = sessions_to_continue(np.concatenate(histories).astype(np.int32), lengths, vocabulary)

    (found,) = recommendations(iter([block]), sessions, k, Choice(allowed, seen=seen))

    dense = block.dense()
    for event, history in enumerate(histories):
        may = [i for i in range(N_ITEMS) if (allowed is None or allowed[i]) and (seen or i not in history)]
        expected = sorted(may, key=lambda i: (-dense[event, i], i))[:k]
        listed = found.items[event][found.items[event] >= 0]
        assert listed.tolist() == expected
        assert found.dense[event][: len(listed)].tolist() == dense[event, listed].tolist()
        assert found.scores[event][: len(listed)].tolist() == dense[event, listed].astype(np.float32).tolist()
        assert np.isnan(found.scores[event][len(listed) :]).all()


def test_events_of_many_blocks_come_in_order():
    scores = np.random.default_rng(1).random((2500, N_ITEMS), dtype=np.float32)
    clicks = np.arange(2500, dtype=np.int32) % N_ITEMS
    sessions = sessions_to_continue(clicks, np.ones(2500, dtype=np.int64), Vocabulary.of(np.arange(N_ITEMS)))

    def blocks() -> Iterator[ScoreBlock]:
        for start in (0, 700, 2400):
            yield ScoreBlock(start, scores[start : {0: 700, 700: 2400, 2400: 2500}[start]])

    found = np.concatenate([part.items for part in recommendations(blocks(), sessions, 1, Choice(seen=False))])
    unseen = scores.copy()
    unseen[np.arange(2500), clicks] = -1
    assert np.array_equal(found[:, 0], unseen.argmax(axis=1))


def test_each_session_ends_with_its_last_click():
    sessions = sessions_to_continue(np.array([4, 2, 7], dtype=np.int32), np.array([1, 2]), Vocabulary.of(np.arange(9)))
    assert sessions.items[sessions.input_rows()].tolist() == [4, 7]
    assert sessions.event_positions().tolist() == [1, 2]
    timed = sessions_to_continue(
        np.array([4, 2, 7], dtype=np.int32), np.array([1, 2]), Vocabulary.of(np.arange(9)), np.array([30, 10, 20])
    )
    assert timed.times.tolist() == [30, 30, 10, 20, 20]
    second = sessions.select(np.array([1]))
    assert (second.n_targets, second.items[second.input_rows()].tolist()) == (1, [7])
