"""`report`: tables and figures from what the other stages wrote, and from nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec_cli import columns as names
from gru4rec_cli.evaluation.metrics import ranks
from gru4rec_cli.evaluation.summary import curve_by_cutoff
from gru4rec_cli.files import MANIFEST, read_json
from gru4rec_cli.reporting.figures import ByCutoff, write_figures
from gru4rec_cli.reporting.page import report_markdown
from gru4rec_cli.stages.showing import metrics_results
from gru4rec_cli.stages.work import StageResults, StageWork

REPORT_FILE = "report.md"
FIGURES_FOLDER = "figures"


def run(work: StageWork) -> None:
    statistics = read_json(work.inputs["split"] / names.STATISTICS_FILE)
    metrics = read_json(work.inputs["evaluate"] / names.METRICS_FILE)
    fits = {
        name: read_json(work.inputs[section] / name / names.FIT_FILE)
        for section in ("baseline", "train")
        for name in work.config.fitted(section)
    }
    figures = work.folder / FIGURES_FOLDER
    figures.mkdir()
    with work.progress.task("drawing figures"):
        drawn = write_figures(
            figures,
            curves=_curves(work.inputs["evaluate"], metrics),
            training={name: fit["curve"] for name, fit in fits.items()},
            lengths=_session_lengths(work.inputs["split"]),
            supports=pl.read_parquet(work.inputs["split"] / names.ITEMS_FILE)[names.SUPPORT].to_numpy(),
        )
    page = report_markdown(
        name=work.config.report.title or work.config.name,
        metrics_json=metrics,
        statistics=statistics,
        fits=fits,
        figures=drawn,
        provenance=_provenance(work),
        figure_folder=FIGURES_FOLDER,
    )
    (work.folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _curves(folder: Path, metrics: Mapping[str, Any]) -> dict[str, ByCutoff]:
    """Recall and MRR of every model for every K up to the largest cutoff, with intervals."""
    protocol = metrics["protocol"]
    curves: dict[str, ByCutoff] = {}
    for name in metrics["models"]:
        table = pl.read_parquet(folder / names.RANKS_FOLDER / f"{name}.parquet")
        rank = ranks(table[names.GREATER].to_numpy(), table[names.EQUAL].to_numpy(), protocol["ties"])
        rank[table[names.ITEM].is_null().to_numpy()] = np.inf
        session = table[names.SESSION].rle_id().to_numpy().astype(np.int64)
        recall, mrr = (
            curve_by_cutoff(
                rank,
                session,
                metric,
                max(protocol["cutoffs"]),
                resamples=protocol["resamples"],
                confidence=protocol["confidence"],
                seed=protocol["seed"],
            )
            for metric in ("recall", "mrr")
        )
        curves[name] = ByCutoff(recall.values, mrr.values, recall.interval, mrr.interval)
    return curves


def _session_lengths(folder: Path) -> dict[str, npt.NDArray[np.int64]]:
    """How many sessions of 0, 1, 2, … clicks training and test hold."""
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for part, file in (("train", names.TRAIN_FILE), ("test", names.TEST_FILE)):
        lengths = pl.read_parquet(folder / file, columns=[names.SESSION]).group_by(names.SESSION).len()["len"]
        counts[part] = np.bincount(lengths.to_numpy()).astype(np.int64)
    return counts


def _provenance(work: StageWork) -> dict[str, Any]:
    manifests = {name: read_json(folder / MANIFEST) for name, folder in work.inputs.items()}
    return {
        "run": work.config.name,
        "inputs": {name: manifest["inputs"] for name, manifest in manifests.items() if manifest["inputs"]},
        "versions": manifests["evaluate"]["versions"],
    }


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    shown = metrics_results(inputs["evaluate"], inputs)
    return StageResults({"report": str(folder / REPORT_FILE), **shown.document}, shown.tables)
