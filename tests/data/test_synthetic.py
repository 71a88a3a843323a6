import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gru4rec_cli.base.arrays import Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data import synthetic
from gru4rec_cli.data.synthetic import (
    PlantedProcess,
    SynthSettings,
    draw_items,
    draw_lengths,
    generate,
    plant,
)


def small(**values: Any) -> SynthSettings:
    return SynthSettings(**{"sessions": 3000, "items": 60, "interests": 3, "successors": 4, **values})


def dense(process: PlantedProcess, interest: int) -> Float64Array:
    """T_k as a full matrix (V, V)."""
    first = process.row_starts[interest * process.n_items : (interest + 1) * process.n_items + 1]
    matrix = np.zeros((process.n_items, process.n_items))
    rows = np.repeat(np.arange(process.n_items), np.diff(first))
    matrix[rows, process.successors[first[0] : first[-1]]] = process.probabilities[first[0] : first[-1]]
    return matrix


def with_noise(process: PlantedProcess, interest: int) -> Float64Array:
    """P_k, the probabilities of the next click, as a full matrix (V, V)."""
    chance: Float64Array = process.popularity / (1 - process.popularity[:, None])
    np.fill_diagonal(chance, 0)
    return (1 - process.noise) * dense(process, interest) + process.noise * chance


def chi_square_excess(counts: npt.NDArray[Any], expected: Float64Array) -> float:
    """Standard deviations by which the chi-square statistic exceeds its mean; cells expected below 5 are pooled."""
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    degrees = len(wanted) - 1
    return float((((observed - wanted) ** 2 / wanted).sum() - degrees) / np.sqrt(2 * degrees))


def transition_excess(items: Int32Array, rows: Int64Array, matrix: Float64Array) -> float:
    """`chi_square_excess` of the transitions from clicks `rows` to the clicks after them, given the first items."""
    n_items = len(matrix)
    counts = np.bincount(items[rows].astype(np.int64) * n_items + items[rows + 1], minlength=n_items**2)
    counts = counts.reshape(n_items, n_items)
    assert not counts[matrix == 0].any()
    return chi_square_excess(counts.ravel(), (counts.sum(axis=1)[:, None] * matrix).ravel())


def digest(folder: Path, config: SynthSettings, seed: int) -> list[str]:
    events, process = generate(config, seed)
    events.write_parquet(folder / "events.parquet")
    process.save(folder / "process")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("events.parquet", "process")]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    config = small()
    first, again, other = digest(tmp_path, config, 1), digest(tmp_path, config, 1), digest(tmp_path, config, 2)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_a_saved_process_loads_unchanged(tmp_path):
    process = plant(small(), np.random.default_rng(0))
    process.interest_probabilities(np.array([0]), np.array([1]))  # what is remembered for look-ups is not saved
    process.save(tmp_path / "p.safetensors")
    loaded = PlantedProcess.load(tmp_path / "p.safetensors")
    assert loaded.noise == process.noise
    for name in ("item_ids", "popularity", "prior", "row_starts", "successors", "probabilities"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(process, name))
        assert getattr(loaded, name).dtype == getattr(process, name).dtype


def test_a_damaged_process_is_reported_with_what_to_do(tmp_path):
    (tmp_path / "p.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(StageError, match="is not a planted process") as raised:
        PlantedProcess.load(tmp_path / "p.safetensors")
    assert raised.value.hint == "run synth again"


def test_one_move_of_the_circle_by_hand():
    # Arcs A [0, 0.4), B [0.4, 0.6), C [0.6, 1) moved by 0.5: A covers 0.1 of B and 0.3 of C, B covers 0.1 of C and 0.1
    # of A, C covers 0.3 of A and 0.1 of B.
    rows, columns, values = synthetic.shift_transitions(np.array([0.4, 0.2, 0.4]), np.arange(3), np.array([0.5]))
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    np.testing.assert_allclose(values, [1 / 4, 3 / 4, 1 / 2, 1 / 2, 3 / 4, 1 / 4], atol=1e-12)


@given(
    items=st.integers(20, 300),
    interests=st.integers(1, 3),
    successors=st.integers(1, 4),
    zipf=st.floats(0, 0.6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=30, deadline=None)
def test_every_interest_keeps_the_popularity_and_never_repeats_an_item(items, interests, successors, zipf, seed):
    config = SynthSettings(
        sessions=40 * items, items=items, interests=interests, successors=successors, zipf_exponent=zipf
    )
    process = plant(config, np.random.default_rng(seed))
    assert abs(process.popularity.sum() - 1) < 1e-12
    for k in range(interests):
        matrix = dense(process, k)
        assert (matrix >= 0).all()
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(process.popularity @ matrix, process.popularity, rtol=0, atol=1e-12)
        assert not matrix.diagonal().any()
        assert (matrix > 0).sum() <= 2 * items * successors


def test_interests_lead_to_different_items():
    process = plant(SynthSettings(), np.random.default_rng(3))
    common = sum(np.minimum(dense(process, a), dense(process, b)).sum() for a in range(5) for b in range(a)) / 10
    assert common / process.n_items < 0.05  # overlap of two interests' transitions, mean over items


def test_looked_up_probabilities_are_those_of_the_matrices():
    process = plant(small(noise=0.3), np.random.default_rng(5))
    items, following = (grid.ravel() for grid in np.meshgrid(np.arange(60), np.arange(60), indexing="ij"))
    for k in range(3):
        found = process.interest_probabilities(items, following)[:, k]
        np.testing.assert_array_equal(found, dense(process, k)[items, following])
        found = process.click_probabilities(items, following)[:, k]
        np.testing.assert_allclose(found, with_noise(process, k)[items, following], rtol=1e-12)


@given(
    items=st.integers(20, 50),
    clicks_an_item=st.integers(16, 60),
    interests=st.integers(1, 3),
    successors=st.integers(1, 3),
    noise=st.floats(0, 1),
    zipf=st.floats(0, 0.6),
    distribution=st.sampled_from(["power-law", "log-normal"]),
    longest=st.integers(2, 30),
    think=st.floats(1, 100),
    sigma=st.floats(0, 3),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None)
def test_the_log_passes_the_default_cleaning_unchanged(
    items, clicks_an_item, interests, successors, noise, zipf, distribution, longest, think, sigma, seed
):
    config = SynthSettings(
        sessions=clicks_an_item * items,
        items=items,
        interests=interests,
        successors=successors,
        noise=noise,
        zipf_exponent=zipf,
        length_distribution=distribution,
        max_length=longest,
        think_time_median=think,
        think_time_sigma=sigma,
    )
    events, process = generate(config, seed)
    assert events.schema == {SESSION: pl.Int64, ITEM: pl.Int64, TIME: pl.Int64}
    assert events.equals(events.sort(TIME, SESSION))
    supports = events[ITEM].value_counts()
    assert sorted(supports[ITEM]) == process.item_ids.tolist() == list(range(1, items + 1))
    assert (supports["count"] >= 5).all()
    lengths = events[SESSION].value_counts()["count"]
    assert len(lengths) == config.sessions
    assert lengths.is_between(2, longest).all()
    ordered = events.sort(SESSION, TIME)
    inside = (ordered[SESSION].diff() == 0).fill_null(False)
    assert (ordered[ITEM].diff().filter(inside) != 0).all()
    assert (ordered[TIME].diff().filter(inside) >= 1_000_000).all()
    assert (ordered[TIME] % 1000 == 0).all()
    starts = ordered.filter(~inside)
    assert starts[SESSION].to_list() == list(range(1, config.sessions + 1))
    assert starts[TIME].is_sorted()


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_clicks_follow_the_planted_matrix(noise):
    process = plant(
        SynthSettings(sessions=3000, items=40, interests=1, successors=4, noise=noise), np.random.default_rng(1)
    )
    items = draw_items(process, np.full(2000, 50), np.random.default_rng(2))
    rows = np.flatnonzero(np.arange(100_000) % 50 < 49)
    assert transition_excess(items, rows, with_noise(process, 0)) < 4


def test_a_wrong_matrix_would_be_noticed():
    config = SynthSettings(sessions=3000, items=40, interests=1, successors=4, noise=0.3)
    process = plant(config, np.random.default_rng(1))
    items = draw_items(process, np.full(2000, 50), np.random.default_rng(2))
    rows = np.flatnonzero(np.arange(100_000) % 50 < 49)
    wrong = plant(config.model_copy(update={"noise": 0.35}), np.random.default_rng(1))
    assert transition_excess(items, rows, with_noise(wrong, 0)) > 8


def test_first_clicks_follow_popularity_and_second_ones_the_mixture_of_all_interests():
    process = plant(small(), np.random.default_rng(4))
    items = draw_items(process, np.full(60_000, 2), np.random.default_rng(5))
    counts = np.bincount(items[::2], minlength=60)
    assert abs(chi_square_excess(counts, 60_000 * process.popularity)) < 4
    mixture = np.mean([with_noise(process, k) for k in range(3)], axis=0)
    assert transition_excess(items, np.arange(0, 120_000, 2), mixture) < 4


def test_a_session_keeps_its_interest():
    process = plant(small(noise=0.0), np.random.default_rng(4))
    items = draw_items(process, np.full(1000, 20), np.random.default_rng(5)).reshape(1000, 20)
    possible = process.interest_probabilities(items[:, :-1].ravel(), items[:, 1:].ravel()) > 0
    explained = possible.reshape(1000, 19, 3).all(axis=1)  # (sessions, K)
    assert (explained.sum(axis=1) > 0).all()
    assert explained.sum() < 1100
    assert abs(explained.sum(axis=0) / explained.sum() - 1 / 3).max() < 0.06


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"length_exponent": 1.0, "max_length": 4}, [6 / 13, 4 / 13, 3 / 13]),  # 1/2 : 1/3 : 1/4
        # Median 3 and log(3.5 / 3) = sigma: Phi(1) - Phi(log(2.5 / 3) / sigma) of the mass is at 3.
        (
            {
                "length_distribution": "log-normal",
                "length_median": 3.0,
                "length_sigma": float(np.log(3.5 / 3)),
                "min_length": 3,
                "max_length": 3,
            },
            [1.0],
        ),
        (
            {
                "length_distribution": "log-normal",
                "length_median": 3.5,
                "length_sigma": 5.0,
                "min_length": 3,
                "max_length": 4,
            },
            # Phi is nearly linear here: log(3.5 / 2.5) : log(4.5 / 3.5)
            [0.3365 / (0.3365 + 0.2513), 0.2513 / (0.3365 + 0.2513)],
        ),
    ],
)
def test_session_lengths_follow_their_distribution(parameters, expected):
    config = SynthSettings(sessions=50_000, items=100, **parameters)
    _, share = synthetic.length_distribution(config)
    np.testing.assert_allclose(share, expected, atol=1e-3)
    lengths = draw_lengths(config, np.random.default_rng(0))
    assert lengths.min() >= config.min_length
    assert lengths.max() <= config.max_length
    counts = np.bincount(lengths - config.min_length, minlength=len(expected))
    np.testing.assert_allclose(counts / 50_000, share, atol=0.01)


def hour_counts(rhythm: float) -> Float64Array:
    config = SynthSettings(sessions=40_000, items=100, daily_rhythm=rhythm, days=7, start="2024-03-01")
    events, _ = generate(config, 9)
    starts = events.group_by(SESSION).agg(pl.col(TIME).min())[TIME].to_numpy()
    first = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert first <= starts.min()
    assert starts.max() <= first + 7 * 86_400_000_000
    counts: Float64Array = np.bincount((starts - first) // 3_600_000_000 % 24, minlength=24) / len(starts)
    return counts


def test_session_starts_follow_the_daily_rhythm():
    # Twelve hours around the peak hold 1/2 + rhythm / pi of the starts.
    around_peak = np.arange(14, 26) % 24
    assert abs(hour_counts(0.0)[around_peak].sum() - 1 / 2) < 0.01
    assert abs(hour_counts(0.8)[around_peak].sum() - (1 / 2 + 0.8 / np.pi)) < 0.01


def test_think_times_have_their_median():
    events, _ = generate(SynthSettings(sessions=5000, items=100, think_time_median=90.0, think_time_sigma=0.5), 3)
    gaps = events.sort(SESSION, TIME).select(pl.col(TIME).diff().over(SESSION))[TIME].drop_nulls().to_numpy() / 1e6
    assert abs(np.median(gaps) - 90) < 2
    assert abs(np.log(gaps).std() - 0.5) < 0.02


def test_times_do_not_change_which_items_are_clicked():
    first, _ = generate(small(), 1)
    second, _ = generate(small(days=3, daily_rhythm=0.0), 1)
    assert first.sort(SESSION, TIME)[ITEM].equals(second.sort(SESSION, TIME)[ITEM])


class Counter:
    def __init__(self) -> None:
        self.total: float | None = None
        self.done = 0.0

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator["Counter"]:
        self.total = total
        yield self

    def advance(self, amount: float = 1, **status: object) -> None:
        self.done += amount

    def count_earlier(self, amount: float = 1, **status: object) -> None:
        return None

    def leave_no_line(self) -> None:
        return None

    def note(self, text: str) -> None:
        return None


def test_progress_counts_every_click():
    counter = Counter()
    events, _ = generate(small(), 1, counter)
    assert counter.done == counter.total == events.height


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_length": 9, "max_length": 8}, ["max_length (8) is below min_length (9)"]),
        (
            {"sessions": 1000, "items": 2000},
            ["sessions (1,000) are too few for items (2,000)", "raise sessions to"],
        ),
        ({"items": 100, "zipf_exponent": 3.0}, ["most popular item", "lower zipf_exponent or raise items"]),
        ({"items": 4, "interests": 1, "successors": 1}, ["most popular item", "raise items"]),
        ({"items": 50, "interests": 10}, ["interests (10) times successors (10)", "raise items"]),
        ({"length_median": 5.0}, ["length_median has no effect while length_distribution is power-law"]),
        (
            {"length_distribution": "log-normal", "length_median": 0.01, "length_sigma": 0.01},
            ["length_median and length_sigma leave no session"],
        ),
        ({"start": "yesterday"}, ["'yesterday' is not an ISO 8601 time"]),
    ],
)
def test_settings_that_cannot_work_say_which_keys_to_change(values, words):
    with pytest.raises(ValidationError) as raised:
        SynthSettings(**values)
    for word in words:
        assert word in str(raised.value)


def test_the_number_of_sessions_that_the_message_proposes_is_enough():
    with pytest.raises(ValidationError) as raised:
        SynthSettings(sessions=1000, items=2000)
    proposed = str(raised.value).split("raise sessions to ")[1].split(" ")[0]
    SynthSettings(sessions=int(proposed.replace(",", "")), items=2000)


def test_a_date_as_yaml_reads_it_is_accepted():
    assert SynthSettings.model_validate({"start": date(2024, 5, 6)}).start == "2024-05-06"


def test_an_item_that_stays_too_rare_is_an_error_not_a_dirty_log(monkeypatch):
    monkeypatch.setattr(synthetic, "MIN_SUPPORT", 10**6)
    with pytest.raises(UsageError, match=r"was clicked \d+ times with seed 1") as raised:
        generate(small(), 1)
    assert "raise sessions" in raised.value.hint
