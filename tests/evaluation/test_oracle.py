from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from gru4rec_cli.base.arrays import Float32Array, Float64Array
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import SESSION, TIME
from gru4rec_cli.data.sessions import Sessions, Vocabulary, sessions_from_frame
from gru4rec_cli.data.synthetic import PlantedProcess, SynthSettings, generate
from gru4rec_cli.evaluation import scores as score_blocks
from gru4rec_cli.evaluation.oracle import oracle_scores


def process_of(
    matrices: list[list[list[float]]], popularity: list[float], prior: list[float], noise: float, item_ids: list[int]
) -> PlantedProcess:
    stacked = [row for matrix in matrices for row in matrix]
    successors = [j for row in stacked for j, value in enumerate(row) if value]
    return PlantedProcess(
        item_ids=np.array(item_ids),
        popularity=np.array(popularity),
        prior=np.array(prior),
        noise=noise,
        row_starts=np.cumsum([0] + [sum(value > 0 for value in row) for row in stacked]),
        successors=np.array(successors, dtype=np.int32),
        probabilities=np.array([value for row in stacked for value in row if value]),
    )


def sessions_of(clicks: Sequence[Sequence[int]], ids: Sequence[int] | Sequence[str]) -> Sessions:
    offsets = np.cumsum([0] + [len(session) for session in clicks])
    items = np.array([click for session in clicks for click in session], dtype=np.int32)
    return Sessions(items, offsets, np.arange(len(items)), np.arange(len(clicks)), Vocabulary.of(np.array(ids)))


def scores_of(process: PlantedProcess, sessions: Sessions) -> Float32Array:
    blocks = list(oracle_scores(process, sessions))
    assert [block.start for block in blocks] == np.cumsum([0] + [len(block.scores) for block in blocks])[:-1].tolist()
    assert all(block.scores.dtype == np.float32 for block in blocks)
    return np.concatenate([block.scores for block in blocks])


def by_enumeration(process: PlantedProcess, sessions: Sessions) -> Float64Array:
    """The same from the joint probability of prefix and next item under every interest, one at a time."""
    n_items = process.n_items
    planted = {}
    for row in range(len(process.row_starts) - 1):
        for entry in range(process.row_starts[row], process.row_starts[row + 1]):
            planted[row // n_items, row % n_items, int(process.successors[entry])] = float(process.probabilities[entry])

    def click(k: int, i: int, j: int) -> float:
        if i == j:
            return 0.0
        p = process.popularity
        return (1 - process.noise) * planted.get((k, i, j), 0.0) + process.noise * float(p[j] / (1 - p[i]))

    index = [process.item_ids.tolist().index(item) for item in sessions.vocabulary.ids.tolist()]
    expected = []
    for start, stop in pairwise(sessions.offsets):
        session = [index[item] for item in sessions.items[start:stop]]
        for length in range(1, len(session)):
            prefix, joint = session[:length], []
            for k, prior in enumerate(process.prior):
                likelihood = float(prior)
                for i, j in pairwise(prefix):
                    likelihood *= click(k, i, j)
                joint.append(likelihood)
            mixed = [sum(w * click(k, prefix[-1], j) for k, w in enumerate(joint)) for j in index]
            expected.append([value / sum(joint) for value in mixed])
    return np.array(expected)


FORWARD: list[list[float]] = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
BACKWARD: list[list[float]] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_two_opposite_interests_by_hand():
    process = process_of([FORWARD, BACKWARD], [1 / 3] * 3, [3 / 4, 1 / 4], 1 / 2, [10, 20, 30])
    # Noise alone gives either other item 1/2. So P_forward(0 -> 1) = 1/2 + 1/4 = 3/4 and P_backward(0 -> 1) = 1/4.
    scores = scores_of(process, sessions_of([[0, 1, 0]], [10, 20, 30]))
    first = [0, 3 / 4 * 3 / 4 + 1 / 4 * 1 / 4, 3 / 4 * 1 / 4 + 1 / 4 * 3 / 4]
    # After 0, 1: forward has weight 3/4 * 3/4 = 9/16 against 1/4 * 1/4 = 1/16, so 9/10.
    second = [9 / 10 * 1 / 4 + 1 / 10 * 3 / 4, 0, 9 / 10 * 3 / 4 + 1 / 10 * 1 / 4]
    np.testing.assert_allclose(scores, [first, second], rtol=1e-6)


@pytest.fixture(scope="module")
def generated():
    config = SynthSettings(sessions=3000, items=150, interests=4, successors=5, noise=0.2)
    events, process = generate(config, 7)
    events = events.sort(SESSION, TIME)
    vocabulary = Vocabulary.of(np.random.default_rng(0).permutation(process.item_ids))
    return process, sessions_from_frame(events, vocabulary)


@pytest.mark.parametrize("noise", [0.0, 0.05, 1.0])
def test_scores_equal_enumeration_over_all_interests(noise):
    config = SynthSettings(sessions=700, items=30, interests=3, successors=3, noise=noise, max_length=8)
    events, process = generate(config, 11)
    vocabulary = Vocabulary.of(np.random.default_rng(1).permutation(process.item_ids))
    sessions = sessions_from_frame(events.sort(SESSION, TIME), vocabulary).select(np.arange(60))
    np.testing.assert_allclose(scores_of(process, sessions), by_enumeration(process, sessions), rtol=1e-6, atol=1e-12)


def test_items_outside_the_vocabulary_are_left_out_and_the_rest_keeps_its_scores():
    process = process_of([FORWARD, BACKWARD], [1 / 3] * 3, [1 / 2, 1 / 2], 1 / 2, [10, 20, 30])
    whole = scores_of(process, sessions_of([[2, 0]], [10, 20, 30]))
    np.testing.assert_array_equal(scores_of(process, sessions_of([[0, 1]], [30, 10])), whole[:, [2, 0]])


def test_scores_are_probabilities_that_leave_out_the_last_item(generated):
    process, sessions = generated
    scores = scores_of(process, sessions)
    assert scores.shape == (sessions.n_targets, 150)
    np.testing.assert_allclose(scores.sum(axis=1, dtype=np.float64), 1, rtol=1e-6)
    assert not scores[np.arange(len(scores)), sessions.items[sessions.input_rows()]].any()
    assert (scores[np.arange(len(scores)), sessions.target_items()] > 0).all()


def test_the_size_of_blocks_does_not_change_scores(generated, monkeypatch):
    process, sessions = generated
    whole = scores_of(process, sessions)
    monkeypatch.setattr(score_blocks, "SCORE_BLOCK_BYTES", 100 * 4 * 150)
    assert len(next(oracle_scores(process, sessions)).scores) == 100 < len(whole)
    np.testing.assert_array_equal(scores_of(process, sessions), whole)


def test_the_order_of_sessions_does_not_change_scores(generated):
    process, sessions = generated
    order = np.random.default_rng(3).permutation(sessions.n_sessions)
    wanted = np.concatenate([np.flatnonzero(sessions.event_sessions() == s) for s in order])
    np.testing.assert_array_equal(scores_of(process, sessions.select(order)), scores_of(process, sessions)[wanted])


def test_only_clicks_before_an_event_count(generated):
    process, sessions = generated
    long = np.flatnonzero(sessions.lengths > 4)[:50]
    full = sessions.select(long)
    short = sessions_of([full.items[start : start + 3] for start in full.offsets[:-1]], sessions.vocabulary.ids)
    early = full.event_positions() <= 2
    np.testing.assert_array_equal(scores_of(process, full)[early], scores_of(process, short))


def first_order_scores(process: PlantedProcess, sessions: Sessions) -> Float64Array:
    """The true P(next | last item) without regard to the interest."""
    items, following = np.meshgrid(np.arange(process.n_items), np.arange(process.n_items), indexing="ij")
    mixture = process.click_probabilities(items.ravel(), following.ravel()) @ process.prior
    index = np.searchsorted(process.item_ids, sessions.vocabulary.ids)
    matrix: Float64Array = mixture.reshape(items.shape)[np.ix_(index, index)]
    return matrix[sessions.items[sessions.input_rows()]]


def test_the_oracle_is_above_the_true_first_order_probabilities(generated):
    process, sessions = generated
    rows, targets = np.arange(sessions.n_targets), sessions.target_items()
    oracle, first_order = scores_of(process, sessions), first_order_scores(process, sessions)
    gain = np.log(oracle[rows, targets]) - np.log(first_order[rows, targets])
    assert gain.mean() > 0.3
    recall = [((s > s[rows, targets][:, None]).sum(axis=1) < 10).mean() for s in (oracle, first_order)]
    assert recall[0] > recall[1] + 0.1
    at_start = sessions.event_positions() == 1
    np.testing.assert_allclose(oracle[at_start], first_order[at_start], rtol=1e-6)


def test_the_oracle_knows_how_sure_it_is(generated):
    process, sessions = generated
    scores = scores_of(process, sessions).astype(np.float64)
    logs = np.log(np.where(scores > 0, scores, 1))
    surprise = logs[np.arange(sessions.n_targets), sessions.target_items()] - (scores * logs).sum(axis=1)
    # Mean zero only if clicks come from exactly these probabilities; the terms are then uncorrelated.
    assert abs(surprise.mean()) < 4 * surprise.std() / np.sqrt(sessions.n_targets)
    assert surprise.std() / np.sqrt(sessions.n_targets) < 0.02


@pytest.mark.parametrize(
    ("clicks", "ids", "message"),
    [
        ([[0, 1], [0, 0, 1]], [10, 20, 30], "session 1 holds clicks that the process cannot make"),
        ([[0, 1]], [10, 20, 99], "the process has no item 99"),
        ([[0, -1]], [10, 20, 30], "items that are not in the vocabulary"),
        ([[0, 1]], ["a", "b"], "the vocabulary holds text"),
    ],
)
def test_events_that_are_not_of_the_process_are_refused(clicks, ids, message):
    process = process_of([FORWARD, BACKWARD], [1 / 3] * 3, [1 / 2, 1 / 2], 1 / 2, [10, 20, 30])
    with pytest.raises(DataError, match=message):
        list(oracle_scores(process, sessions_of(clicks, ids)))
