"""Several seeds, other protocols, slices and lists, through the real command."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gru4rec_cli.models import registry
from gru4rec_cli.study import ranks as ranked
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.stage import Outcome
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, study, write_config

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    **SMALL,
    "seeds": [1, 2],
    "evaluate": {"resamples": 50, "permutations": 200, "sensitivity": True},
}
STAGES = ["synth", "split", "baseline", "train", "evaluate"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, up to `evaluate`, with its configuration beside it; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_config(folder, CONFIG)
    for stage in STAGES:
        done = study(stage, "--config", config, "--run-dir", folder / "run", "--quiet")
        assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def again(run: Path, *overrides: str, stages: tuple[str, ...] = ("baseline", "train", "evaluate")) -> list[Outcome]:
    """The stages once more, with other settings, in this process."""
    config = load_config(write_config(run.parent, CONFIG), list(overrides))
    return [study_of(config, run).run_stage(stage) for stage in stages]


def metrics(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "evaluate" / "metrics.csv", dtype={"seed": str})


def bytes_of(*paths: Path) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def test_a_random_model_is_fitted_once_a_seed_and_any_other_once(finished: Path):
    folders = {section: sorted(p.parent.name for p in finished.glob(f"{section}/*/fit.json")) for section in STAGES}
    assert folders["baseline"] == ["markov", "popularity"]
    assert folders["train"] == ["gru4rec.seed-1", "gru4rec.seed-2"]
    weights = bytes_of(*(finished / "train" / name / "weights.safetensors" for name in folders["train"]))
    assert weights[0] != weights[1]
    assert json.loads((finished / "train" / "gru4rec.seed-2" / "model.json").read_text())["seed"] == 2
    names = ["gru4rec.seed-1", "gru4rec.seed-2", "markov", "oracle", "popularity"]
    for folder in ("ranks", "lists"):
        assert sorted(path.stem for path in (finished / "evaluate" / folder).iterdir()) == names


def test_the_table_holds_every_seed_and_their_mean(finished: Path):
    table = metrics(finished)
    assert {(row.model, row.seed) for row in table.itertuples()} == {
        *(("gru4rec", "1"), ("gru4rec", "2"), ("gru4rec", "all"), ("markov", "42"), ("markov", "all")),
        *(("popularity", "42"), ("popularity", "all"), ("oracle", "42"), ("oracle", "all")),
    }
    cells = ["metric", "k", "ties", "slice"]
    each = {seed: part.set_index(cells)["value"] for seed, part in table[table.model == "gru4rec"].groupby("seed")}
    assert not each["1"].equals(each["2"])
    pd.testing.assert_series_equal(each["all"], (each["1"] + each["2"]) / 2)
    markov = {seed: part.set_index(cells) for seed, part in table[table.model == "markov"].groupby("seed")}
    columns = ["value", "low", "high", "events"]
    pd.testing.assert_frame_equal(markov["42"][columns], markov["all"][columns])


def test_the_document_says_what_was_done(finished: Path):
    document = json.loads((finished / "evaluate" / "metrics.json").read_text())
    assert document["protocol"]["seeds"] == [1, 2]
    assert document["protocol"]["permutations"] == 200
    shares = [group["events_share"] for group in document["protocol"]["slices"]["target"].values()]
    assert sum(shares) == pytest.approx(1)
    described = {name: (model["seeds"], model["random"]) for name, model in document["models"].items()}
    assert described == {
        "popularity": ([42], False),
        "markov": ([42], False),
        "gru4rec": ([1, 2], True),
        "oracle": ([42], False),
    }
    rows = pd.DataFrame(document["metrics"])
    pd.testing.assert_frame_equal(rows, metrics(finished), check_dtype=False)
    pairs = {(row["first"], row["second"]) for row in document["differences"]}
    assert len(pairs) == 6
    assert len(document["differences"]) == 18


def test_differences_and_sensitivity_are_about_the_numbers_of_the_table(finished: Path):
    document = json.loads((finished / "evaluate" / "metrics.json").read_text())
    table = metrics(finished).query("seed == 'all' and slice == 'all'")
    values = table.set_index(["model", "metric", "k", "ties"])["value"]
    for row in document["differences"]:
        cell = (row["metric"], 20, "conservative")
        assert row["value"] == pytest.approx(values[(row["first"], *cell)] - values[(row["second"], *cell)])
        assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9
        assert row["p"] <= row["p_holm"] <= 1
        assert row["distinguishable"] == (row["p_holm"] < 0.05)
    for row in document["sensitivity"]["rows"]:
        assert row["full"] == pytest.approx(values[row["model"], row["metric"], row["k"], "conservative"])
        if row["protocol"] == "ties":
            assert row["value"] == pytest.approx(values[row["model"], row["metric"], row["k"], row["ties"]])
        if row["protocol"] == "uniform":  # 50 items: 100 negatives are all of them
            assert row["value"] == pytest.approx(row["full"])
    assert document["sensitivity"]["capped"] == [100, 1000]
    popular = [row for row in document["sensitivity"]["rows"] if row["protocol"] == "popularity" and row["k"] == 5]
    assert {row["model"] for row in popular} == {"popularity", "markov", "gru4rec", "oracle"}


def test_what_the_lists_show_follows_from_their_files(finished: Path):
    ids = pl.read_parquet(finished / "evaluate" / "lists" / "markov.parquet")["items"].to_numpy()
    items = pl.read_parquet(finished / "split" / "items.parquet")
    supports = items["support"].to_numpy()
    index = {item: place for place, item in enumerate(items.to_series(0).to_list())}
    lists = np.array([[index[item] for item in row] for row in ids.tolist()])
    ranks = pl.read_parquet(finished / "evaluate" / "ranks" / "markov.parquet")
    assert lists.shape == (ranks.height, 20)
    table = metrics(finished).query("model == 'markov' and seed == 'all' and k == 5 and ties == 'any'")
    value = dict(zip(table.metric, table.value, strict=True))
    assert value["coverage"] == pytest.approx(len(np.unique(lists[:, :5])) / len(supports))
    places = [((supports > supports[item]).sum() + ((supports == supports[item]).sum() + 1) / 2) for item in range(50)]
    assert value["popularity_rank"] == pytest.approx(np.mean(np.array(places)[lists[:, :5]]) / 50)
    assert 0 < value["repeats"] < 0.5


def test_more_seeds_leave_the_fits_that_are_there_and_fewer_take_them_over(copy: Path):
    fits = [copy / "train" / f"gru4rec.seed-{seed}" / "manifest.json" for seed in (1, 2)]
    ranks = [copy / "evaluate" / "ranks" / f"gru4rec.seed-{seed}.parquet" for seed in (1, 2)]
    before, ranked_before = bytes_of(*fits), bytes_of(*ranks)
    assert [outcome.action for outcome in again(copy, "seeds=[1,2,3]")] == ["ran", "ran", "ran"]
    assert bytes_of(*fits) == before  # what fitting took stands there: another fit would say something else
    assert bytes_of(*ranks) == ranked_before
    assert (copy / "train" / "gru4rec.seed-3" / "model.json").exists()
    assert set(metrics(copy).query("model == 'gru4rec'").seed) == {"1", "2", "3", "all"}
    again(copy, "seeds=[2]")
    assert bytes_of(copy / "train" / "gru4rec" / "manifest.json") == before[1:]
    assert bytes_of(copy / "evaluate" / "ranks" / "gru4rec.parquet") == ranked_before[1:]
    assert [path.name for path in (copy / "train").iterdir() if path.is_dir()] == ["gru4rec"]


def test_an_interrupted_try_keeps_the_seeds_that_are_done(copy: Path, monkeypatch: pytest.MonkeyPatch):
    weights = bytes_of(*(copy / "train" / f"gru4rec.seed-{seed}" / "weights.safetensors" for seed in (1, 2)))
    shutil.rmtree(copy / "train")
    model = registry.model_class("gru4rec")
    fit, fitted = model.fit, list[Any]()

    def stopped(self: Any, *data: Any, **options: Any) -> Any:
        if data[0].n_sessions <= 40:  # not a fit of the study: loops are compiled by it, before its clock starts
            return fit(self, *data, **options)
        if fitted:
            raise KeyboardInterrupt
        fitted.append(self)
        return fit(self, *data, **options)

    with monkeypatch.context() as patch:
        patch.setattr(model, "fit", stopped)
        with pytest.raises(KeyboardInterrupt):
            again(copy, stages=("train",))
    done = bytes_of(copy / ".train.partial" / "gru4rec.seed-1" / "manifest.json")
    again(copy, stages=("train",))
    assert bytes_of(copy / "train" / "gru4rec.seed-1" / "manifest.json") == done
    assert bytes_of(*(copy / "train" / f"gru4rec.seed-{seed}" / "weights.safetensors" for seed in (1, 2))) == weights


def test_lists_are_made_again_only_where_longer_ones_are_asked_for(copy: Path, monkeypatch: pytest.MonkeyPatch):
    path = copy / "evaluate" / "lists" / "markov.parquet"
    before = pl.read_parquet(path)["items"].to_numpy()
    with monkeypatch.context() as patch:
        patch.setattr(ranked, "rank_targets", None)  # nothing may be ranked
        again(copy, "evaluate.cutoffs=[3, 10]", stages=("evaluate",))
    np.testing.assert_array_equal(pl.read_parquet(path)["items"].to_numpy(), before[:, :10])
    again(copy, "evaluate.cutoffs=[3, 30]", stages=("evaluate",))
    longer = pl.read_parquet(path)["items"].to_numpy()
    assert longer.shape[1] == 30
    np.testing.assert_array_equal(longer[:, :20], before)


def test_fits_of_every_seed_are_shown(finished: Path):
    (outcome,) = again(finished, stages=("train",))
    assert outcome.action == "skipped"
    assert set(outcome.results.document["models"]) == {"gru4rec.seed-1", "gru4rec.seed-2"}
    assert [row[0] for row in outcome.results.tables[0].rows] == ["gru4rec.seed-1", "gru4rec.seed-2"]
