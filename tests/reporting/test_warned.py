"""Warnings of the stages on the first page, in the comparison, and when they make a report stale."""

import json
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.files import write_manifest
from gru4rec_cli.base.warnings import WARNINGS, collected, warn
from gru4rec_cli.reporting.pages.markdown import block_markdown, summary_markdown
from gru4rec_cli.reporting.pages.report import Artifacts, report_sections, warning_blocks
from gru4rec_cli.reporting.text.warned import common_form
from gru4rec_cli.reporting.text.words import ENGLISH, words_of
from gru4rec_cli.study.comparing import compare
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.stages import split
from gru4rec_cli.study.windows import study_of
from tests.reporting.pages import write_page
from tests.reporting.rich import metrics_json
from tests.small import SMALL, write_config

ID = next(iter(WARNINGS))
SAID = {"id": ID, "message": "half of the clicks are at <b>night</b>", "hint": "set data.night"}


def artifacts(**changes: Any) -> Artifacts:
    return Artifacts("demo", metrics_json(), {}, {}, [], {"run": "demo", "inputs": {}, "versions": {}}, **changes)


def test_a_warning_stands_first_with_its_kind_what_was_found_and_what_to_do():
    lines = summary_markdown(artifacts(warned={"split": [SAID]})).splitlines()
    assert lines[2:8] == [
        "### Warnings",
        "",
        f"- **{WARNINGS[ID]}** (`{ID}` in docs/warnings.md; stage split)",
        "  - half of the clicks are at &lt;b&gt;night&lt;/b&gt;",
        "  - What to do: set data.night",
        "",
    ]
    (block,) = warning_blocks({"train": [{"id": "of-a-later-version", "message": "m", "hint": ""}]}, words_of("es"))
    assert block_markdown(block, words_of("es")) == (
        "### Advertencias\n\n- **of-a-later-version** (`of-a-later-version` en docs/warnings.md; etapa train)\n  - m\n"
    )


def test_without_warnings_nothing_is_said_of_them():
    assert warning_blocks({}, ENGLISH) == []
    assert "arning" not in summary_markdown(artifacts())


def test_on_the_page_a_warning_comes_before_the_key_figures(tmp_path: Path):
    page = write_page(tmp_path, metrics_json(), draw=False, warned={"split": [SAID]}).read_text(encoding="utf-8")
    assert 0 < page.index('<aside class="notice">') < page.index('<dl class="keys">')
    assert "at &lt;b&gt;night" in page
    assert 'class="notice"' not in write_page(tmp_path, metrics_json(), draw=False).read_text(encoding="utf-8")
    source = "split/manifest.json › warnings[0]"
    sections = report_sections(artifacts(warned={"split": [SAID]}))
    assert sections[0].blocks[0].said[0].source == source  # type: ignore[union-attr]


def improving(*fits: str) -> list[dict[str, str]]:
    """A warning of every fit, as a stage writes them."""
    return [
        {
            "id": "still-improving",
            "message": f"{fit} was still improving",
            "hint": f"raise train.models.{fit.partition('.')[0]}.epochs until this ends",
            "model": fit.partition(".")[0],
        }
        for fit in fits
    ]


def lines_of(warned: dict[str, Any], language: str = "en") -> list[str]:
    (block,) = warning_blocks(warned, words_of(language))
    return block_markdown(block, words_of(language)).splitlines()[2:]


def test_warnings_of_one_kind_and_stage_stand_together_with_one_remedy():
    told = improving("a", "b", "c", "d")
    assert lines_of({"train": [told[0], SAID, *told[1:]], "baseline": [told[0]]})[:9] == [
        f"- **{WARNINGS['still-improving']}** (`still-improving` in docs/warnings.md; stage train)",
        *(f"  - {name} was still improving" for name in "abcd"),
        "  - What to do: raise train.models.NAME.epochs until this ends",
        f"- **{WARNINGS[ID]}** (`{ID}` in docs/warnings.md; stage train)",
        "  - half of the clicks are at &lt;b&gt;night&lt;/b&gt;",
        "  - What to do: set data.night",
    ]


def test_of_more_than_four_three_are_told_and_the_models_of_the_others():
    fits = [f"{model}.seed-{seed}" for model in ("best", "plain", "last") for seed in (1, 2)]
    assert lines_of({"train": improving(*fits)})[1:] == [
        "  - best.seed-1 was still improving",
        "  - best.seed-2 was still improving",
        "  - plain.seed-1 was still improving",
        "  - and 3 more: plain, last",
        "  - What to do: raise train.models.NAME.epochs until this ends",
    ]
    nameless = [{**SAID, "message": f"message {n}"} for n in range(6)]
    assert lines_of({"split": nameless}, "es")[4] == "  - y 3 más"


def test_remedies_that_differ_in_more_than_a_name_are_all_told():
    assert common_form(["set a to 3", "set a to 3"]) == ["set a to 3"]
    assert common_form(["set x.k", "set y.k"]) == ["set NAME.k"]
    assert common_form(["set x.k to 3", "set y.k to 4"]) == ["set x.k to 3", "set y.k to 4"]
    assert common_form(["set x", "leave it out"]) == ["set x", "leave it out"]
    assert common_form([]) == []


def test_a_warning_about_a_model_names_it_in_the_manifest():
    with collected() as found:
        warn(ID, "message", model="knn")
        warn(ID, "message")
    assert [warning.as_dict() for warning in found] == [
        {"id": ID, "message": "message", "hint": "", "model": "knn"},
        {"id": ID, "message": "message", "hint": ""},
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose split warns."""
    folder = tmp_path_factory.mktemp("warned")
    proper = split.run

    def run_with_warning(work: Any) -> None:
        warn(**SAID)
        proper(work)

    config = {**SMALL, "train": {"models": {}}, "report": {"languages": ["en", "es"]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "run", run_with_warning)
        for _ in study_of(load_config(write_config(folder, config)), folder / "run").run():
            pass
    return folder / "run"


def test_the_report_and_the_comparison_show_what_a_stage_warned_of(run: Path):
    for page, what_to_do in (("summary.md", "What to do"), ("report.md", "What to do"), ("report.es.md", "Qué hacer")):
        assert f"  - {what_to_do}: set data.night\n" in (run / "report" / page).read_text(encoding="utf-8")
    comparison = compare([run])
    assert f"run: warnings: {ID}. Its report says what was found." in comparison.tables()[0].notes
    assert comparison.document()["groups"][0]["runs"][0]["warnings"] == {"split": [SAID]}


def test_a_report_is_stale_when_a_warning_has_changed_and_nothing_else(run: Path):
    study = study_of(load_config(run.parent / "study.yaml"), run)
    states = {name: study.runner.status(name).state for name in ("split", "evaluate", "report")}
    assert set(states.values()) == {"up to date"}
    manifest = json.loads((run / "split" / "manifest.json").read_text())
    write_manifest(run / "split" / "manifest.json", {**manifest, "warnings": []})
    assert study.runner.status("evaluate").state == "up to date"
    status = study.runner.status("report")
    assert (status.state, status.reason) == ("to run", "its input changed: warnings")
