"""The parts of the bench: turns, clicks, the clock on steps, the products, the points in processes of their own."""

import threading
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml

from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.bench import floor
from gru4rec_cli.bench.clicks import SEED, make_clicks
from gru4rec_cli.bench.floor import products_for
from gru4rec_cli.bench.inference import histories_of
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import QUICK, RETAILROCKET, RSC15, full_grid
from gru4rec_cli.bench.point import fit
from gru4rec_cli.bench.processes import run_point
from gru4rec_cli.bench.steps import StepTimes, time_official, time_ours, time_training
from gru4rec_cli.models import gru4rec, official
from gru4rec_cli.models.gru4rec.batches import STEPS_AT_ONCE, drawing, mini_batches, walk_sessions
from gru4rec_cli.models.gru4rec.compiled import CompiledStep, items, layers
from gru4rec_cli.models.gru4rec.compiled import learn as learning
from gru4rec_cli.models.gru4rec.compiled.learn import learn
from gru4rec_cli.models.gru4rec.compiled.threads import PADDING
from gru4rec_cli.models.gru4rec.network import initial_parameters
from gru4rec_cli.models.gru4rec.training import Training
from gru4rec_cli.models.neural.sampling import NegativeSampler
from gru4rec_cli.models.neural.trainer import Trainer
from tests.fetched import needs_fetch
from tests.worlds import sessions_of

PUBLISHED = Path(__file__).parents[2] / "configs" / "published"


def test_contestants_take_turns():
    order: list[str] = []

    def turn(name: str) -> int:
        order.append(name)
        return len(order)

    notebook = Notebook(repeats=3, threads=1)
    found = notebook.alternate("s", {"items": 1}, {name: partial(turn, name) for name in ("a", "b")})
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert found == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert [(told.subject, told.repeat) for told in notebook.turns] == [(n, r) for r in (1, 2, 3) for n in ("a", "b")]
    started = [told.started for told in notebook.turns]
    assert started == sorted(started)


def test_a_contestant_whose_process_fails_is_left_out_and_the_others_go_on():
    def killed() -> int:
        raise ExternalError("its process was killed by signal 9\n  in line 1\n  and more")

    notebook = Notebook(repeats=2, threads=1)
    assert notebook.alternate("growth", {"items": 1}, {"a": killed, "b": lambda: 1}) == {"b": [1, 1]}
    assert notebook.left_out == {"growth: a (items 1)": "its process was killed by signal 9: and more"}


def test_clicks_hold_every_item_and_number_them_as_a_vocabulary_does():
    clicks = make_clicks(3_000, 400, 500)
    train, test = clicks.train, clicks.test
    assert (train.n_events, train.n_items, test.n_events) == (3_000, 400, 500)
    assert train.supports().min() >= 1
    assert np.array_equal(train.vocabulary.supports, train.supports())
    firsts = np.unique(train.items, return_index=True)[1]
    assert np.array_equal(firsts, np.sort(firsts))
    assert train.lengths.min() >= 2
    assert test.lengths.min() >= 2
    assert test.times[0] >= train.times[-1]
    assert np.array_equal(make_clicks(3_000, 400, 500).train.items, train.items)


def test_clicks_can_be_learnt_from():
    """Items follow their most frequent predecessors more often than they would in any order."""
    train = make_clicks(20_000, 100).train
    rows = train.input_rows()

    def best_guesses(items: npt.NDArray[np.int32]) -> float:
        pairs = np.zeros((100, 100))
        np.add.at(pairs, (items[rows], items[rows + 1]), 1)
        return float(pairs.max(axis=1).sum())

    assert best_guesses(train.items) > 1.3 * best_guesses(np.random.default_rng(0).permutation(train.items))


def test_rates_count_from_the_end_of_the_last_step_that_is_skipped():
    times = StepTimes(np.array([10.0, 11.0, 11.5, 12.0, 13.0]), np.array([8, 8, 8, 8, 4]))
    assert times.rates(skipped=1) == pytest.approx((4 / 3, 28 / 3))
    assert times.rates(skipped=2) == pytest.approx((1.5, 10.0))


def test_timed_steps_are_the_steps_of_training():
    settings = {**QUICK.settings, "epochs": 1}
    train = make_clicks(1_500, 100).train
    chosen = gru4rec.Settings.model_validate({**settings, "step": "compiled"})
    timed = Training(train, chosen, SEED)
    whole = time_training(timed, 10**6)
    weights = Trainer(Training(train, chosen, SEED), chosen, SEED).run()
    assert all(torch.equal(weights[name], value) for name, value in timed.parameters().items())
    assert whole.events.sum() == train.n_targets
    first = time_ours(train, settings, STEPS_AT_ONCE + 1, threads=1)
    assert np.array_equal(first.events, whole.events[: 2 * STEPS_AT_ONCE])
    assert np.array_equal(first.columns, whole.columns[: 2 * STEPS_AT_ONCE])
    assert np.flatnonzero(np.diff(first.ends)).tolist() == [STEPS_AT_ONCE - 1]  # one end a chunk


@pytest.mark.parametrize("threads", [1, 2])
def test_training_runs_on_the_threads_that_are_asked_for(threads: int, monkeypatch: pytest.MonkeyPatch):
    seen = set()

    def watched(counters, me, *arguments):
        seen.add(threading.get_ident())
        learn(counters, me, *arguments)

    monkeypatch.setattr("gru4rec_cli.models.gru4rec.compiled.step.learn", watched)
    time_ours(make_clicks(500, 50).train, QUICK.settings, 3, threads)
    assert len(seen) == threads


@needs_fetch
def test_the_authors_steps_are_timed_one_by_one():
    from gru4rec_cli.models.official.model import Model

    train = make_clicks(300, 40).train
    model = Model(official.Settings.model_validate(QUICK.settings))
    first = time_official(model, train, 10, threads=1)
    assert first.events.tolist() == [8] * 10
    assert (np.diff(first.ends) > 0).all()
    whole = time_official(model, train, 10**6, threads=1)
    assert whole.events.sum() == train.n_targets
    assert len(model.fit(train).curve) == 1  # the process is as good as new


@pytest.mark.parametrize("step", ["the floor's", "training's"])
def test_the_products_are_those_of_a_step(step: str, monkeypatch: pytest.MonkeyPatch):
    """Multiplications by hand, the loops run uncompiled: B = 8 slots, W = D = 8."""
    multiplications = 0

    def counted(a, b, out):
        nonlocal multiplications
        multiplications += a.shape[0] * a.shape[1] * b.shape[1]
        out[:] = a @ b

    settings = gru4rec.Settings.model_validate(QUICK.settings)
    train = make_clicks(2_000, 50).train
    supports = train.supports()
    step_taken = CompiledStep(initial_parameters(50, settings, seed=1), supports, settings, n_threads=1)
    draw = drawing(NegativeSampler(supports, settings.sample_alpha), settings, seed=1)
    batches = next(mini_batches(train, walk_sessions(train.offsets, settings.batch_size), draw))
    sizes = step_taken._assembler.assemble(batches).sizes[:, 0]
    with monkeypatch.context() as patched:
        patched.setattr(np, "dot", counted)
        for module in (learning, layers, items):
            for name in [name for name, value in vars(module).items() if hasattr(value, "py_func")]:
                patched.setattr(module, name, getattr(module, name).py_func)
        patched.setattr("gru4rec_cli.models.gru4rec.compiled.step.learn", learning.learn)
        if step == "training's":
            step_taken.learn(batches)
        else:
            products = products_for(settings, sizes)
            floor.multiply.py_func(np.zeros((1, PADDING), dtype=np.int64), 0, products, sizes)
    slots, layer = batches.walk.widths, 8 * 24
    assert (slots == 8).all()
    assert multiplications == (5 * slots * layer + 3 * slots * 8 * sizes).sum()


def test_histories_are_the_clicks_before_every_event():
    assert histories_of(sessions_of([[3, 1, 2], [0, 4]])) == [[3], [3, 1], [0]]


@pytest.mark.parametrize(("file", "planned"), [("rsc15", RSC15), ("retailrocket", RETAILROCKET)])
def test_the_settings_are_the_published_ones(file: str, planned: dict[str, object]):
    published = yaml.safe_load((PUBLISHED / f"{file}.yaml").read_text())["train"]["models"]["gru4rec"]
    assert {**planned, "layers": list(RSC15["layers"]) if file == "rsc15" else [224], "epochs": 10} == published


def test_the_full_grid_spans_batches_widths_and_catalogues():
    cases = full_grid()
    described = [case.described for case in cases]
    assert {(min(v), max(v)) for v in [[d["batch_size"] for d in described]]} == {(32, 240)}
    assert {(min(v), max(v)) for v in [[d["units"] for d in described]]} == {(64, 512)}
    assert {(min(v), max(v)) for v in [[d["items"] for d in described]]} == {(1_000, 1_000_000)}
    for case in cases:
        gru4rec.Settings.model_validate(case.settings)


def test_a_fit_that_is_cut_short_says_how_much_it_learnt():
    found = fit("gru4rec", 1_000, 50, dict(QUICK.settings), most_learnt=400)
    assert found["events_learnt"] == 64 * 8  # a chunk of steps
    assert fit("popularity", 1_000, 50, {})["events_learnt"] == make_clicks(1_000, 50).train.n_targets
    assert found["peak_memory_bytes"] >= found["memory_before_bytes"] > 0


def test_a_point_that_fails_says_so():
    with pytest.raises(ExternalError, match=r"(?s)exit status 1\): fit .*cannot hold"):
        run_point("fit", kind="popularity", n_events=10, n_items=50, settings={})
