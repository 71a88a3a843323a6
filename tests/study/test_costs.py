"""What a real run took: measured once, shown everywhere, and in no hash."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.files import read_json
from gru4rec_cli.models import registry
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.windows import study_of
from tests.small import SMALL, artifact_hashes, study, write_config

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    **SMALL,
    "train": {"models": {**SMALL["train"]["models"], "narm": {"epochs": 2, "gru_size": 8, "hidden_size": 8}}},
    "report": {"languages": ["en", "es"]},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    done = study("run", "--config", write_config(folder, CONFIG), "--run-dir", folder / "run", "--json")
    assert done.returncode == 0, done.stderr
    (folder / "shown.json").write_text(done.stdout)
    return folder / "run"


def costs_of(run: Path) -> dict[str, dict[str, Any]]:
    costs: dict[str, dict[str, Any]] = json.loads((run.parent / "shown.json").read_text())["results"]["costs"]
    return costs


def test_time_memory_epochs_and_ranking_are_those_of_the_manifests(finished: Path):
    costs = costs_of(finished)
    assert set(costs) == {"popularity", "markov", "gru4rec", "narm"}
    for model, stage, epochs in (("gru4rec", "train", 2), ("narm", "train", 2), ("markov", "baseline", None)):
        manifest, found = read_json(finished / stage / model / "manifest.json"), costs[model]
        ranked = read_json(finished / "evaluate" / "costs" / "ranking.json")[model]
        seconds = manifest["cost"]["seconds"]
        assert (found["seconds"], found["epochs"], found["fits"]) == (seconds, epochs, 1)
        assert found["seconds_per_epoch"] == (seconds / 2 if epochs else None)
        assert found["peak_memory_bytes"] == manifest["cost"]["peak_memory_bytes"]
        assert ranked["events"] == read_json(finished / "evaluate" / "metrics.json")["protocol"]["events"]
        assert found["ranking_seconds_per_event"] == ranked["cost"]["seconds"] / ranked["events"] > 0
        assert manifest["device"]["threads"] == 1  # OMP_NUM_THREADS of the tests


def test_the_report_tells_order_and_loss_and_leads_to_the_page_of_costs(finished: Path):
    page = (finished / "report" / "report.md").read_text(encoding="utf-8")
    assert re.search(r"^\| gru4rec \| time \| cross-entropy \| 2 \|", page, flags=re.MULTILINE)
    assert re.search(r"^\| narm \| shuffled \| cross-entropy \| 2 \|", page, flags=re.MULTILINE)
    assert "](costs/costs.md)" in page
    assert "Fit time" not in page
    assert 'href="costs/costs.es.html"' in (finished / "report" / "report.es.html").read_text(encoding="utf-8")


def test_the_page_of_costs_has_table_and_figure_in_both_languages(finished: Path):
    folder = finished / "report" / "costs"
    for language, file, order in (("en", "costs", "shuffled"), ("es", "costs.es", "al azar")):
        assert re.search(
            rf"^\| narm \| .* \| {order} \| cross-entropy \|$", (folder / f"{file}.md").read_text("utf-8"), re.M
        )
        page = (folder / f"{file}.html").read_text(encoding="utf-8")
        assert f'<html lang="{language}">' in page
        assert page.count("<svg") == 1
        assert r"\begin{tabular}" in (folder / f"{file}.tex").read_text(encoding="utf-8")
    assert (folder / "accuracy_by_time.png").exists()
    assert (folder / "es" / "accuracy_by_time.svg").exists()


def test_costs_are_in_no_hash_that_later_stages_are_made_from(finished: Path):
    for files in artifact_hashes(finished).values():
        assert not [file for file in files if "costs" in file]
    kept = read_json(finished / "report" / "manifest.json")["manifests"]
    assert {"costs/costs.html", "costs/accuracy_by_time.svg", "costs/es/accuracy_by_time.png"} <= set(kept)


def test_a_model_that_is_fitted_again_to_the_same_bytes_gives_a_new_page_of_costs(finished: Path, tmp_path: Path):
    run, config = tmp_path / "run", load_config(write_config(tmp_path, CONFIG))
    shutil.copytree(finished, run)
    before = artifact_hashes(run)
    study_of(config, run).run_stage("train", force=True)
    assert [outcome.action for outcome in study_of(config, run).run()] == ["skipped"] * 5 + ["ran"]
    assert artifact_hashes(run) == before
    seconds = read_json(run / "train" / "narm" / "manifest.json")["cost"]["seconds"]
    again = study_of(config, run).run_stage("report")
    assert again.results.document["costs"]["narm"]["seconds"] == seconds


def test_ranks_that_are_taken_over_keep_what_they_took(finished: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    before = read_json(run / "evaluate" / "costs" / "ranking.json")
    config = load_config(write_config(tmp_path, CONFIG), ["evaluate.resamples=20"])
    assert study_of(config, run).run_stage("evaluate").action == "ran"
    assert read_json(run / "evaluate" / "costs" / "ranking.json") == before


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_model_with_epochs_has_an_order_of_its_training_data(kind: str):
    settings = registry.settings_class(kind)()
    assert (settings.training_order in ("time", "shuffled")) == ("epochs" in type(settings).model_fields)
    assert getattr(settings, "order", None) in (settings.training_order, None) or kind == "markov"
