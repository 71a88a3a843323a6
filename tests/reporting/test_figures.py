import hashlib
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.distributions import support_curve
from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.reporting.figures.drawing import COLOURS, COLOURS_ON_DARK, DPI, Figure, looks
from gru4rec_cli.reporting.figures.study import write_figures
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages import html
from gru4rec_cli.reporting.text.words import ENGLISH, words_of
from tests.reporting.rich import metrics_json

ONLY_CURVES: dict[str, Any] = {"training": {}, "lengths": {}, "support": {}}
STEMS = ["recall_by_k", "mrr_by_k", "training_curve", "session_lengths", "item_popularity"]
SVG = "{http://www.w3.org/2000/svg}"


def by_cutoff(height: float, *, interval: bool = False) -> dict[str, Any]:
    recall = height * np.log1p(np.arange(1, 21)) / np.log(21)
    mrr = np.cumsum(np.diff(recall, prepend=0) / np.arange(1, 21))
    low, high = ((recall - 0.01).tolist(), (recall + 0.01).tolist()) if interval else (None, None)
    return {"recall": {"values": recall.tolist(), "low": low, "high": high}, "mrr": no_interval(mrr)}


def no_interval(line: Float64Array) -> dict[str, Any]:
    return {"values": line.tolist(), "low": None, "high": None}


def draw(folder: Path, **changes: Any) -> list[Figure]:
    folder.mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "curves": {"gru4rec": by_cutoff(0.5, interval=True), "a<b>&$x$": by_cutoff(0.3), "oracle": by_cutoff(0.6)},
        "training": {
            "gru4rec": [{"epoch": 1, "loss": 5.1, "valid_recall@20": 0.3}, {"epoch": 2, "loss": 4.2}],
            "markov": [],
        },
        "lengths": {"train": [[2, 50], [3, 20], [5, 1]], "valid": [[9, 9]], "test": [[2, 5], [3, 3]]},
        "support": support_curve(np.array([90, 5, 0, 5])),
    }
    given |= changes
    document = {**given.pop("document", {}), "curves": given.pop("curves")}
    return write_figures(folder, findings=Findings(document), **given)


def texts(path: Path) -> list[str | None]:
    return [element.text for element in ElementTree.parse(path).getroot().iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return folder, {figure.stem: figure for figure in draw(folder)}


def test_every_figure_is_written_as_png_and_svg(drawn):
    folder, figures = drawn
    assert list(figures) == STEMS
    assert {path.name for path in folder.iterdir()} == {f"{stem}.{kind}" for stem in STEMS for kind in ("png", "svg")}


def test_the_same_data_gives_the_same_bytes_whatever_the_users_style(drawn, tmp_path):
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.facecolor": "red"}):
        draw(tmp_path)
    for path in drawn[0].iterdir():
        written = hashlib.sha256((tmp_path / path.name).read_bytes()).hexdigest()
        assert written == hashlib.sha256(path.read_bytes()).hexdigest(), path.name


def test_drawing_leaves_the_users_style_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    draw(tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_pictures_have_the_expected_size(drawn):
    for stem in ("recall_by_k", "mrr_by_k", "session_lengths", "item_popularity"):
        assert imread(drawn[0] / f"{stem}.png").shape == (4.5 * DPI, 7.5 * DPI, 4)


def test_the_svg_keeps_names_and_axis_labels_as_text(drawn):
    folder, _ = drawn
    assert {"gru4rec", "a<b>&$x$", "oracle (bound)", "Recall@K", "K (items in the list)"} <= set(
        texts(folder / "recall_by_k.svg")
    )
    assert {"Loss", "Epoch", "recall@20", "Validation: recall@20"} <= set(texts(folder / "training_curve.svg"))
    assert {"Clicks", "train (71 sessions)", "test (8 sessions)"} <= set(texts(folder / "session_lengths.svg"))


def test_the_legend_stands_in_the_order_of_the_lines(drawn):
    shown = texts(drawn[0] / "recall_by_k.svg")
    assert shown[-3:] == ["oracle (bound)", "gru4rec", "a<b>&$x$"]


def test_captions_and_alternative_texts_tell_what_the_data_say(drawn):
    figures = drawn[1]
    assert figures["recall_by_k"].alt == (
        "Line chart of Recall@K for K from 1 to 20, 3 lines; at K = 20 the best model is gru4rec with .5000."
    )
    assert figures["recall_by_k"].caption.endswith("Bands are intervals from the session bootstrap.")
    assert "Bands" not in figures["mrr_by_k"].caption
    # train: (2·50 + 3·20 + 5·1) / 71 = 2.32; test: (2·5 + 3·3) / 8 = 2.375
    assert figures["session_lengths"].caption.endswith("Mean clicks: train 2.32, test 2.38.")
    assert "the 1 most clicked of 3 items have 90.0 % of the training events" in figures["item_popularity"].caption


def test_what_there_is_no_data_for_is_not_drawn(tmp_path):
    nothing = {
        "curves": {},
        "training": {"markov": []},
        "lengths": {"test": []},
        "support": support_curve(np.array([0])),
    }
    assert draw(tmp_path, **nothing) == []
    assert list(tmp_path.iterdir()) == []


def test_sixteen_models_are_all_different_and_all_named(tmp_path):
    names = [f"model-{n}" for n in range(16)]
    draw(tmp_path, **ONLY_CURVES, curves={name: by_cutoff(0.1 + n / 30) for n, name in enumerate(names)})
    assert set(names) <= set(texts(tmp_path / "recall_by_k.svg"))
    svg = (tmp_path / "recall_by_k.svg").read_text().lower()
    assert all(svg.count(colour.lower()) >= 2 for colour in COLOURS)


def test_no_two_models_look_alike_and_the_first_sixteen_share_neither_colour_nor_marker():
    look = list(looks([f"model-{n}" for n in range(256)]).values())
    for part in ("color", "marker"):
        assert len({each[part] for each in look[:16]}) == 16
    assert len({(each["color"], each["marker"]) for each in look}) == 256


def relative_luminance(colour: str) -> float:
    """WCAG 2: of a colour such as `#1a1e24`."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(relative_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_lines_stand_out_from_white_and_from_the_dark_page():
    # screen and page: popularity's blue had a contrast of 3.2 on the dark page
    assert contrast("#0072b2", "#1a1e24") == pytest.approx(3.2, abs=0.05)  # the measure, on what was found
    style = (Path(html.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r"--card: (#[0-9a-f]{6});", style)
    assert len(COLOURS) == len(COLOURS_ON_DARK) == len(set(COLOURS_ON_DARK))
    assert min(contrast(colour, light) for colour in COLOURS) >= 3
    assert min(contrast(colour, dark) for colour in COLOURS_ON_DARK) >= 4.5


@pytest.mark.parametrize("cutoffs", [1, 3, 100, 2000])
def test_any_number_of_cutoffs_can_be_drawn(tmp_path, cutoffs):
    line = np.linspace(0.1, 0.2, cutoffs)
    draw(tmp_path, **ONLY_CURVES, curves={"a": {metric: no_interval(line) for metric in METRICS}})
    assert str(cutoffs) in texts(tmp_path / "recall_by_k.svg")


def test_a_name_without_glyphs_and_a_long_one_are_drawn_without_a_warning(tmp_path):
    draw(tmp_path, **ONLY_CURVES, curves={"模型": by_cutoff(0.2), "a" * 30 + "b" * 30: by_cutoff(0.1)})
    assert {"模型", "a" * 17 + "…" + "b" * 8} <= set(texts(tmp_path / "recall_by_k.svg"))


def test_seeds_of_a_model_share_its_panel(tmp_path):
    curve = [{"epoch": 1, "loss": 2.0, "valid_recall@20": 0.1}, {"epoch": 2, "loss": 1.0, "valid_recall@20": 0.2}]
    training = dict.fromkeys(("a.seed-1", "a.seed-2", "b"), curve)
    (figure,) = draw(tmp_path, curves={}, training=training, lengths={}, support={})
    shown = texts(tmp_path / "training_curve.svg")
    assert shown.count("Loss") == 2  # of a and of b
    assert {"a", "b", "Validation: recall@20"} <= set(shown)
    assert {"a.seed-1", "a.seed-2", "b"} <= set(shown)
    assert "With several seeds, there is one line for each." in figure.caption


def test_intervals_and_sensitivity_are_drawn_from_the_metrics(tmp_path):
    document = metrics_json()
    figures = {f.stem: f for f in draw(tmp_path, **ONLY_CURVES, curves={}, document=document)}
    assert list(figures) == ["intervals", "sensitivity"]
    shown = texts(tmp_path / "intervals.svg")
    contenders = {"official", "gru4rec", "knn", "markov"}
    assert {*contenders, "oracle (bound)", "Recall@20", "MRR@20", "NDCG@20"} <= set(shown)
    assert "popularity" not in shown  # below half of the best: it would stretch the scale
    recall = {
        r["model"]: r["value"]
        for r in document["metrics"]
        if (r["seed"], r["slice"], r["metric"], r["k"]) == ("all", "all", "recall", 20)
    }
    assert f"markov {ENGLISH.share(recall['markov'])} [" in figures["intervals"].alt
    assert "ticks: single seeds" in figures["intervals"].caption
    left_out = f"below half of the best model: popularity {ENGLISH.share(recall['popularity'])}."
    assert figures["intervals"].caption.endswith(left_out)
    largest = max(r["factor"] for r in document["sensitivity"]["rows"] if r["metric"] == "recall")
    assert figures["sensitivity"].alt.endswith(f"the largest is ×{largest:.2f}.")
    assert "100 uniform negatives" in texts(tmp_path / "sensitivity.svg")
    again = tmp_path / "again"
    draw(again, **ONLY_CURVES, curves={}, document=document)
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_old_metrics_without_sensitivity_draw_intervals_alone(tmp_path):
    document = {**metrics_json(), "sensitivity": None}
    assert [f.stem for f in draw(tmp_path, **ONLY_CURVES, curves={}, document=document)] == ["intervals"]


def test_figures_in_spanish_write_words_and_decimals_as_spanish_does(tmp_path):
    (figure, _) = draw(tmp_path, **ONLY_CURVES, curves={"a": by_cutoff(0.5)}, words=words_of("es"))
    shown = [text or "" for text in texts(tmp_path / "recall_by_k.svg")]
    assert "K (artículos en la lista)" in shown
    assert [text for text in shown if re.fullmatch(r"0,\d+", text)]
    assert not [text for text in shown if re.fullmatch(r"\d*\.\d+", text)]
    assert figure.alt.endswith("el mejor modelo es a con 0,5000.")
