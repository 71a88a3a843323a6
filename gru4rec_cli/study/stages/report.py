"""`report`: pages and figures of what the other stages computed and took; it computes no result of its own."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gru4rec_cli.base import names as names
from gru4rec_cli.base.files import MANIFEST, hash_json, read_json, read_manifest
from gru4rec_cli.reporting.figures.costs import draw_costs
from gru4rec_cli.reporting.figures.drawing import Figure
from gru4rec_cli.reporting.figures.study import write_figures
from gru4rec_cli.reporting.figures.tuning import draw_search_time
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.findings.search import Search
from gru4rec_cli.reporting.pages.blocks import Block
from gru4rec_cli.reporting.pages.costs import costs_sections, search_time_blocks
from gru4rec_cli.reporting.pages.html import inline_svg, page_html
from gru4rec_cli.reporting.pages.latex import latex_page
from gru4rec_cli.reporting.pages.markdown import sections_markdown, summary_markdown
from gru4rec_cli.reporting.pages.report import COSTS_PAGE, Artifacts, paper_tables, report_sections
from gru4rec_cli.reporting.tables.costs import costs_table
from gru4rec_cli.reporting.text.summary import key_figures
from gru4rec_cli.reporting.text.words import ENGLISH, Words, page_file, words_of
from gru4rec_cli.study.costs import search_seconds
from gru4rec_cli.study.run_directory import RunDirectory
from gru4rec_cli.study.stage import StageResults, StageWork
from gru4rec_cli.study.stages.showing import IDENTITY_DIGITS, first_page, metrics_results, run_costs
from gru4rec_cli.study.stages.table import COMPUTING

FIGURES_FOLDER = "figures"
TABLES_FOLDER = "tables"


def run(work: StageWork) -> None:
    metrics = read_json(work.inputs["evaluate"] / names.METRICS_FILE)
    for language in dict.fromkeys(work.config.report.languages):
        _write(work, metrics, words_of(language))


def _write(work: StageWork, metrics: Mapping[str, Any], words: Words) -> None:
    """Write the report in one language: markdown, its summary, HTML, figures."""
    folder = FIGURES_FOLDER if words.language == ENGLISH.language else f"{FIGURES_FOLDER}/{words.language}"
    artifacts = _artifacts(work, metrics, words, work.folder / folder)
    sections = report_sections(artifacts, words)
    report = page_file("report.md", words.language)
    pages = {
        report: sections_markdown(artifacts.name, sections, words, folder),
        page_file("summary.md", words.language): summary_markdown(artifacts, words, report),
        page_file("report.html", words.language): page_html(
            artifacts.name,
            sections,
            words,
            drawings=_inline(work.folder / folder, artifacts.figures),
            key_figures=key_figures(artifacts.findings, words),
            identity=artifacts.provenance["id"],
            others=_others(work, "report.html", words),
        ),
    }
    tables = TABLES_FOLDER if words.language == ENGLISH.language else f"{TABLES_FOLDER}/{words.language}"
    (work.folder / tables).mkdir(parents=True, exist_ok=True)
    pages |= {f"{tables}/{name}.tex": latex_page([table]) for name, table in paper_tables(artifacts, words).items()}
    for file, page in pages.items():
        (work.folder / file).write_text(page, encoding="utf-8")
    _write_costs(work, artifacts, words)


def _write_costs(work: StageWork, artifacts: Artifacts, words: Words) -> None:
    """Write what the run took, where it counts for no hash: a page, markdown, a table for a paper, figures."""
    findings, costs, title = artifacts.findings, run_costs(work.inputs), artifacts.name
    beside = "." if words.language == ENGLISH.language else words.language
    folder = work.folder / names.COSTS / beside
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw_costs(folder, findings, costs, words)
    figures = [figure] if figure else []
    tuning: list[Block] = []
    if artifacts.search:
        seconds = search_seconds(work.inputs["tune"], artifacts.search.models)
        figures.append(draw_search_time(folder, artifacts.search, seconds, words))
        tuning = search_time_blocks(artifacts.search, seconds, figures[-1], words)
    sections = costs_sections(findings, costs, figure, words, tuning)
    drawings, others = _inline(folder, figures), _others(work, f"{names.COSTS}.html", words)
    pages = {
        "html": page_html(title, sections, words, drawings=drawings, others=others),
        "md": sections_markdown(title, sections, words, beside),
        "tex": latex_page([costs_table(findings, costs, words)]),
    }
    for kind, page in pages.items():
        (work.folder / page_file(f"{COSTS_PAGE}.{kind}", words.language)).write_text(page, encoding="utf-8")


def _inline(folder: Path, figures: Sequence[Figure]) -> dict[str, Markup]:
    """Return written figures as parts of a page, by stem."""
    return {f.stem: inline_svg((folder / f"{f.stem}.svg").read_text("utf-8"), f.stem) for f in figures}


def _others(work: StageWork, file: str, words: Words) -> list[tuple[str, str]]:
    """Return the same page in the other languages: language and file name."""
    languages = dict.fromkeys(work.config.report.languages)
    return [(other, page_file(file, other)) for other in languages if other != words.language]


def _artifacts(work: StageWork, metrics: Mapping[str, Any], words: Words, figures: Path) -> Artifacts:
    """Return what the report is made from; the figures are drawn into their folder."""
    fits = {name: read_json(folder / names.FIT_FILE) for name, folder in _fit_folders(work).items()}
    statistics = read_json(work.inputs["split"] / names.STATISTICS_FILE)
    search = _search(work.inputs.get("tune"))
    figures.mkdir(parents=True)
    with work.progress.task("drawing figures"):
        drawn = write_figures(
            figures,
            training={name: fit["curve"] for name, fit in fits.items()},
            lengths=statistics.get("session_lengths") or {},
            support=statistics.get("item_support") or {},
            findings=Findings(metrics),
            search=search,
            words=words,
        )
    return Artifacts(
        name=work.config.report.title or work.config.name,
        metrics_json=metrics,
        statistics=statistics,
        fits=fits,
        figures=drawn,
        provenance=_provenance(work),
        warned=RunDirectory(work.inputs["evaluate"].parent).warnings(COMPUTING),
        search=search,
    )


def _search(folder: Path | None) -> Search | None:
    """Return what a search for settings did, where there was one."""
    if folder is None:
        return None
    with (folder / names.TRIALS_TABLE).open(encoding="utf-8", newline="") as file:
        return Search.of(read_json(folder / names.TUNE_FILE), csv.DictReader(file))


def _fit_folders(work: StageWork) -> dict[str, Path]:
    """Return the folder of every fit, in the order of the configuration, the seeds of a model one after the other."""
    found: dict[str, Path] = {}
    for section in ("baseline", "train"):
        for name in work.config.fitted(section):
            folders = {path.name: path for path in work.inputs[section].iterdir() if path.is_dir()}
            found |= {fit: folders[fit] for fit in names.fits_of(name, folders)}
    return found


def _provenance(work: StageWork) -> dict[str, Any]:
    manifests = {name: read_manifest(folder / MANIFEST) for name, folder in work.inputs.items()}
    return {
        "run": work.config.name,
        "id": hash_json({name: manifest["outputs"] for name, manifest in manifests.items()})[:IDENTITY_DIGITS],
        "inputs": {name: manifest["inputs"] for name, manifest in manifests.items() if manifest["inputs"]},
        "versions": manifests["evaluate"]["versions"],
    }


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    shown = metrics_results(inputs["evaluate"], inputs)
    return StageResults({"report": str(first_page(folder)), **shown.document}, shown.tables)
