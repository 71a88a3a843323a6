"""Whole reports in a folder, from drawn metrics; what a browser opens in the tests."""

from pathlib import Path
from typing import Any

import numpy as np

from gru4rec_cli.data.distributions import support_curve
from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.reporting.figures.drawing import Figure
from gru4rec_cli.reporting.figures.study import write_figures
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.html import inline_svg, page_html
from gru4rec_cli.reporting.pages.report import Artifacts, report_sections
from gru4rec_cli.reporting.text.summary import key_figures
from gru4rec_cli.reporting.text.words import Words, words_of

SUMMARY = {
    "events": 100000,
    "sessions": 20000,
    "items": 500,
    "first_time": "2020-01-01T00:00:00Z",
    "last_time": "2020-02-01T12:30:59.5Z",
    "prefixes": 80_000,
    "mean_session_length": 5.0,
    "median_session_length": 4.5,
    "max_session_length": 33,
}
STATISTICS: dict[str, Any] = {
    "input": {"log": SUMMARY},
    "parts": {"train": SUMMARY, "valid": None, "test": SUMMARY},
    "cuts": {"valid": None, "test": {"time": "2020-01-31T00:00:00Z"}},
    "unseen": {"valid": None, "test": {"events": 1200, "sessions": 9, "items": 30, "rule": "drop"}},
    "overlap": {"train_events_at_or_after_first_test_event": 0},
    "removals": [{"step": "cleaning", "reason": "immediate repeat", "events": 1500, "sessions": 3, "items": 1}],
    "settings": {"by": "ratio", "test": 0.2},
}


def fits(*models: str) -> dict[str, Any]:
    curve = [{"epoch": epoch, "loss": 6.0 / epoch} for epoch in (1, 2, 3)]
    return {model: {"curve": curve, "facts": {"parameters": 12345}} for model in models}


def curves(metrics: dict[str, Any]) -> dict[str, Any]:
    line = np.linspace(0.1, 0.5, 20)
    return {
        model: {
            metric: {"values": (line / n / share).tolist(), "low": None, "high": None}
            for share, metric in enumerate(METRICS, start=1)
        }
        for n, model in enumerate(metrics.get("models", {}), start=1)
    }


def draw_figures(folder: Path, metrics: dict[str, Any], fitted: dict[str, Any], words: Words) -> list[Figure]:
    return write_figures(
        folder,
        training={model: fit["curve"] for model, fit in fitted.items()},
        lengths={"train": [[2, 50], [3, 20], [5, 1]], "test": [[2, 5], [3, 3]]},
        support=support_curve(np.arange(1, 501)),
        findings=Findings({**metrics, "curves": curves(metrics)}),
        words=words,
    )


def write_page(
    folder: Path, metrics: dict[str, Any], language: str = "en", name: str = "demo", *, draw: bool = True, **more: Any
) -> Path:
    """The HTML report of `metrics`, with figures or without."""
    folder.mkdir(parents=True, exist_ok=True)
    words = words_of(language)
    trained = [model for model, about in metrics.get("models", {}).items() if about.get("stage") == "train"]
    fitted = fits(*trained)
    drawn = draw_figures(folder, metrics, fitted, words) if draw else []
    provenance = {"run": name, "id": "0123456789ab", "inputs": {"split": {"synth": "a" * 64}}, "versions": {"x": "1"}}
    artifacts = Artifacts(name, metrics, STATISTICS, fitted, drawn, provenance, **more)
    page = page_html(
        name,
        report_sections(artifacts, words),
        words,
        drawings={f.stem: inline_svg((folder / f"{f.stem}.svg").read_text("utf-8"), f.stem) for f in drawn},
        key_figures=key_figures(artifacts.findings, words),
        identity="0123456789ab",
        others=[("es" if language == "en" else "en", "other.html")],
    )
    path = folder / f"report.{language}.html"
    path.write_text(page, encoding="utf-8")
    return path
