"""`report`: tables and figures from what the other stages wrote, and from nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec_cli.base import names as names
from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.files import MANIFEST, hash_json, read_json
from gru4rec_cli.data.events import parquet_files
from gru4rec_cli.evaluation.metrics import TieRule, ranks
from gru4rec_cli.evaluation.summary import curve_by_cutoff
from gru4rec_cli.reporting.document import Artifacts, report_sections
from gru4rec_cli.reporting.figures import ByCutoff, write_figures
from gru4rec_cli.reporting.findings import Findings
from gru4rec_cli.reporting.html import page_html
from gru4rec_cli.reporting.inline import inline_svg
from gru4rec_cli.reporting.page import sections_markdown, summary_markdown
from gru4rec_cli.reporting.page_files import page_file
from gru4rec_cli.reporting.summary import key_figures
from gru4rec_cli.reporting.words import ENGLISH, Words, words_of
from gru4rec_cli.study.stage import StageResults, StageWork
from gru4rec_cli.study.stages.showing import IDENTITY_DIGITS, first_page, metrics_results

FIGURES_FOLDER = "figures"


def run(work: StageWork) -> None:
    metrics = read_json(work.inputs["evaluate"] / names.METRICS_FILE)
    curves = _curves(work.inputs["evaluate"], metrics)
    for language in dict.fromkeys(work.config.report.languages):
        _write(work, metrics, curves, words_of(language))


def _write(work: StageWork, metrics: Mapping[str, Any], curves: Mapping[str, ByCutoff], words: Words) -> None:
    """The report in one language: markdown, its summary, HTML, figures."""
    folder = FIGURES_FOLDER if words.language == ENGLISH.language else f"{FIGURES_FOLDER}/{words.language}"
    artifacts = _artifacts(work, metrics, curves, words, work.folder / folder)
    sections = report_sections(artifacts, words)
    report = page_file("report.md", words.language)
    pages = {
        report: sections_markdown(artifacts.name, sections, words, folder),
        page_file("summary.md", words.language): summary_markdown(artifacts, words, report),
        page_file("report.html", words.language): page_html(
            artifacts.name,
            sections,
            words,
            drawings={
                figure.stem: inline_svg((work.folder / folder / f"{figure.stem}.svg").read_text("utf-8"), figure.stem)
                for figure in artifacts.figures
            },
            key_figures=key_figures(artifacts.findings, words),
            identity=artifacts.provenance["id"],
            others=[
                (other, page_file("report.html", other))
                for other in dict.fromkeys(work.config.report.languages)
                if other != words.language
            ],
        ),
    }
    for file, page in pages.items():
        (work.folder / file).write_text(page, encoding="utf-8")


def _artifacts(
    work: StageWork, metrics: Mapping[str, Any], curves: Mapping[str, ByCutoff], words: Words, figures: Path
) -> Artifacts:
    """What the report is made from; the figures are drawn into their folder."""
    fits = {name: read_json(folder / names.FIT_FILE) for name, folder in _fit_folders(work).items()}
    split = work.inputs["split"]
    figures.mkdir(parents=True)
    with work.progress.task("drawing figures"):
        drawn = write_figures(
            figures,
            curves=curves,
            training={name: fit["curve"] for name, fit in fits.items()},
            lengths=_session_lengths(split),
            supports=pl.read_parquet(split / names.ITEMS_FILE)[names.SUPPORT].to_numpy(),
            findings=Findings(metrics),
            words=words,
        )
    return Artifacts(
        name=work.config.report.title or work.config.name,
        metrics_json=metrics,
        statistics=read_json(split / names.STATISTICS_FILE),
        fits=fits,
        figures=drawn,
        provenance=_provenance(work),
    )


def _fit_folders(work: StageWork) -> dict[str, Path]:
    """Every fitted model's folder, in the order of the configuration; several seeds of one stand side by side."""
    found: dict[str, Path] = {}
    for section in ("baseline", "train"):
        for name in work.config.fitted(section):
            folders = {path.name: path for path in work.inputs[section].iterdir() if path.is_dir()}
            found |= {fit: folders[fit] for fit in names.fits_of(name, folders)}
    return found


def _curves(folder: Path, metrics: Mapping[str, Any]) -> dict[str, ByCutoff]:
    """Recall and MRR of every model for every K up to the largest cutoff, with intervals; means over its seeds."""
    protocol = metrics["protocol"]
    curves: dict[str, ByCutoff] = {}
    for name in metrics["models"]:
        rank, session = _ranks(folder / names.RANKS_FOLDER, name, protocol["ties"])
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


def _ranks(folder: Path, name: str, ties: TieRule) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The rank and the session index of every event, (events,). Of several seeds, the events of each one after the
    other: their means over events, and over events of resampled sessions, are the means over seeds."""
    found = []
    for fit in names.fits_of(name, (path.stem for path in folder.glob("*.parquet"))):
        table = pl.read_parquet(folder / f"{fit}.parquet")
        rank = ranks(table[names.GREATER].to_numpy(), table[names.EQUAL].to_numpy(), ties)
        rank[table[names.ITEM].is_null().to_numpy()] = np.inf
        found.append((rank, table[names.SESSION].rle_id().to_numpy().astype(np.int64)))
    if not found:
        raise StageError(f"{folder} holds no ranks of {name}", "run `evaluate` again with --force")
    return np.concatenate([rank for rank, _ in found]), np.concatenate([session for _, session in found])


def _session_lengths(folder: Path) -> dict[str, npt.NDArray[np.int64]]:
    """How many sessions of 0, 1, 2, … clicks training and test hold."""
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for part, file in (("train", names.TRAIN_FILE), ("test", names.TEST_FILE)):
        lengths = (
            pl.read_parquet(parquet_files(folder / file), columns=[names.SESSION]).group_by(names.SESSION).len()["len"]
        )
        counts[part] = np.bincount(lengths.to_numpy()).astype(np.int64)
    return counts


def _provenance(work: StageWork) -> dict[str, Any]:
    manifests = {name: read_json(folder / MANIFEST) for name, folder in work.inputs.items()}
    return {
        "run": work.config.name,
        "id": hash_json({name: manifest["outputs"] for name, manifest in manifests.items()})[:IDENTITY_DIGITS],
        "inputs": {name: manifest["inputs"] for name, manifest in manifests.items() if manifest["inputs"]},
        "versions": manifests["evaluate"]["versions"],
    }


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    shown = metrics_results(inputs["evaluate"], inputs)
    return StageResults({"report": str(first_page(folder)), **shown.document}, shown.tables)
