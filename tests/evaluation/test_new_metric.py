"""A new metric is one entry in the table of metrics: settings, artifacts, tables and figures follow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.small import SMALL, copied_package, study, write_config

pytestmark = pytest.mark.slow

ENTRY = '        Metric("square", "Square", lambda rank: 1.0 / rank**2),\n'
CONFIG: dict[str, Any] = {
    **SMALL,
    "split": {"windows": 2},
    "train": {"models": {}},
    "evaluate": {"resamples": 50, "sensitivity": True, "cutoffs": [5, 20]},
    "report": {"languages": ["en", "es"]},
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package whose table of metrics holds one entry more."""
    folder = tmp_path_factory.mktemp("package")
    table = copied_package(folder) / "evaluation" / "metrics.py"
    before, ndcg, after = table.read_text(encoding="utf-8").partition('        Metric("ndcg"')
    table.write_text(before + ENTRY + ndcg + after, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shown(package: Path) -> str:
    """What a run of two windows with the new metric prints; the run is in `run`."""
    config = write_config(package, CONFIG)
    done = study("run", "--config", config, "--run-dir", package / "run", cwd=package, PYTHONPATH=str(package))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_artifacts_hold_it(package: Path, shown: str):
    folder = package / "run" / "windows" / "1-of-2" / "evaluate"
    table = pd.read_csv(folder / "metrics.csv")
    assert list(table["metric"].unique()) == [
        "recall",
        "mrr",
        "square",
        "ndcg",
        "popularity_rank",
        "repeats",
        "coverage",
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    chosen = table[(table["seed"] == "all") & (table["slice"] == "all") & (table["ties"] == "conservative")]
    value = chosen.set_index(["model", "metric", "k"])["value"]
    for model in metrics["models"]:
        ranks = pd.read_parquet(folder / "ranks" / f"{model}.parquet")
        rank = ranks["greater"] + ranks["equal"] + 1
        assert value[model, "square", 20] == pytest.approx(((rank <= 20) / rank**2).mean())
        curve = metrics["curves"][model]["square"]
        assert curve["values"][19] == pytest.approx(value[model, "square", 20])
        assert curve["low"][19] < curve["values"][19] < curve["high"][19]
    assert {row["metric"] for row in metrics["differences"]} == {"recall", "mrr", "square", "ndcg"}
    sampled = [
        row for row in metrics["sensitivity"]["rows"] if (row["metric"], row["protocol"]) == ("square", "uniform")
    ]
    assert sampled
    for row in sampled:  # of more negatives than there are items, so this is full ranking
        assert row["value"] == pytest.approx(row["full"])
    joint = json.loads((package / "run" / "joint" / "metrics.json").read_text())
    assert "square" in {row["metric"] for row in joint["metrics"]}


def test_the_terminal_and_the_pages_show_it(package: Path, shown: str):
    assert "Square@20" in shown
    report = package / "run" / "windows" / "1-of-2" / "report"
    for page in ("report.html", "report.md", "report.es.html", "report.es.md"):
        text = (report / page).read_text(encoding="utf-8")
        assert text.index("MRR@20") < text.index("Square@20") < text.index("NDCG@20")
        assert "Square@K" in text
    for kind in ("png", "svg"):
        assert (report / "figures" / f"square_by_k.{kind}").exists()
    for page in ("report.html", "report.md"):
        assert "Square@20" in (package / "run" / "joint" / page).read_text(encoding="utf-8")


def test_a_comparison_shows_it(package: Path, shown: str):
    runs = [package / "run" / "windows" / f"{number}-of-2" for number in (1, 2)]
    done = study("compare", *runs, "--apart", "--to", package / "both", cwd=package, PYTHONPATH=str(package))
    assert done.returncode == 0, done.stderr
    assert "Square@20" in (package / "both" / "comparison.html").read_text(encoding="utf-8")


def test_settings_take_it(package: Path):
    code = "from gru4rec_cli.evaluation.metrics import metric_at_k; assert metric_at_k('square@5') == ('square', 5)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=package, env=os.environ | {"PYTHONPATH": str(package)})
