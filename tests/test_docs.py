"""What the documents say is what the program does."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import EXIT_CODES
from gru4rec_cli.base.warnings import WARNINGS
from gru4rec_cli.cli import app
from gru4rec_cli.data.faults import LOG_FAULTS, SPLIT_FAULTS
from gru4rec_cli.models import registry
from gru4rec_cli.study.stages.table import STAGES
from tests.small import study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in a language."""
    parts = re.split(r"^```(.*)$\n?", README, flags=re.MULTILINE)  # text, language, block, "", text, language, …
    return [block for fence, block in zip(parts[1::4], parts[2::4], strict=False) if fence == language]


def commands_in(block: str) -> list[list[str]]:
    lines = [line for line in block.splitlines() if line.startswith("gru4rec-study ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def command_names() -> list[str]:
    """The commands in the order in which --help lists them."""
    names = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    names += [group.name or "" for group in app.registered_groups]
    return [name.replace("_", "-") for name in names]


@pytest.mark.parametrize(("page", "script"), [("configuration", "configuration"), ("audit", "checks")])
def test_the_pages_made_from_the_code_are_up_to_date(page: str, script: str):
    spec = importlib.util.spec_from_file_location(script, ROOT / "docs" / "dev" / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") == module.page(), "run make docs"


def test_the_effect_of_every_fault_is_shown():
    page = (ROOT / "docs" / "inflation.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == [*LOG_FAULTS, *SPLIT_FAULTS]


def test_every_command_exit_code_and_model_stands_in_the_readme():
    commands = command_names()
    assert commands[: 1 + len(STAGES)] == ["run", *STAGES]
    assert {"compare", "bench", "describe", "conformance", "fetch", "import-checkpoint"} <= set(commands)
    for command in commands:
        assert f"| `{command}` |" in README
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in README
    for kind in registry.kinds():
        assert f"`{kind}`" in README


def test_every_warning_has_a_section_and_is_issued_somewhere():
    page = (ROOT / "docs" / "warnings.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", page, flags=re.MULTILINE) == list(WARNINGS)
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "gru4rec_cli").rglob("*.py"))
    for id in WARNINGS:
        assert code.count(f'"{id}"') > 1, f"nothing issues {id}"


def test_help_names_the_exit_codes_and_every_option():
    shown = study("run", "--help", COLUMNS="200").stdout
    for option in ("--config", "--run-dir", "--set", "--force", "--dry-run", "--json", "--quiet", "--debug"):
        assert option in shown
        assert option in README
    assert "130 interrupted" in " ".join(shown.split())


def test_every_file_of_the_annotated_tree_exists():
    (tree,) = [block for block in blocks("") if block.startswith("gru4rec_cli/")]
    folders: list[str] = []
    for line in tree.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:depth], name]
        assert (ROOT / "".join(folders)).exists(), "".join(folders)


def sections(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "vendor/README.md"])
def test_every_link_leads_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        if not re.match(r"\w+:", link):  # https:, mailto:
            assert target.exists(), link
            assert not section or section in sections(target), link


@pytest.mark.slow
def test_the_table_of_the_demo_is_what_the_demo_prints(tmp_path: Path):
    arguments = re.search(r"<!-- made by: gru4rec-study (.*?) -->\n```\n(.*?)```", README, flags=re.DOTALL)
    assert arguments is not None
    done = study(*shlex.split(arguments[1]), "--run-dir", tmp_path / "run", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    table, _, costs = done.stdout.partition("Accuracy, time and memory")
    assert "gru4rec" in costs
    printed = {words[0]: words[1:] for words in (line.split() for line in table.splitlines()) if words}
    for line in arguments[2].splitlines()[3:]:
        name, *values = line.split()
        # The last digits may differ on another processor.
        shown = [float(value.lstrip("*")) for value in values if re.fullmatch(r"\*?\.\d{4}", value)]
        found = [float(value.lstrip("*")) for value in printed[name] if re.fullmatch(r"\*?\.\d{4}", value)]
        assert found == pytest.approx(shown, abs=0.01), name
    places = [table.index(f"\n{name}") for name in ("oracle", "gru4rec", "markov", "popularity")]
    assert places == sorted(places)


def test_the_readme_takes_one_from_ones_own_clicks_to_a_table(tmp_path: Path):
    (example,) = [block for block in blocks("") if block.startswith("visit,product,clicked_at")]
    (config,) = blocks("yaml")
    rows = [
        f"v{visit},shoe-{(visit + step) % 9},2024-03-{1 + visit // 20:02d}T{visit % 20:02d}:{step:02d}:00Z"
        for visit in range(300)
        for step in range(2 + visit % 4)
    ]
    (tmp_path / "clicks.csv").write_text("\n".join([example.splitlines()[0], *rows]) + "\n")
    (tmp_path / "mine.yaml").write_text(config)
    commands = [command for block in blocks("") for command in commands_in(block) if "mine.yaml" in command]
    assert len(commands) == 3
    for command in commands:
        done = study(*command, "--set", "train.models.gru4rec.epochs=1", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "Recall@20" in done.stdout
    report = (tmp_path / "runs" / "mine" / "report" / "report.md").read_text(encoding="utf-8")
    assert "gru4rec" in report


def test_the_commands_for_real_data_are_right(tmp_path: Path):
    header = "SessionId\tItemId\tTime\n"
    for name, first in (("TRAIN", 0), ("TEST", 500)):
        clicks = [
            f"{first + s}\t{(s + t) % 7}\t{1_400_000_000 + first * 9 + s}.{t}" for s in range(60) for t in range(3)
        ]
        (tmp_path / f"{name}.tsv").write_text(header + "\n".join(clicks) + "\n")
    (command,) = [c for block in blocks("") for c in commands_in(block) if "configs/rsc15-sample.yaml" in c]
    there = [part.replace(".tsv.gz", ".tsv").replace("configs/", f"{ROOT}/configs/") for part in command]
    done = study(*there, "--set", "train.models.gru4rec.epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_commands_for_measuring_name_stages_of_their_configuration(tmp_path: Path):
    seen = [command for block in blocks("") for command in commands_in(block)]
    assert len(seen) >= 7
    for command in seen:
        if any("ten-million" in part for part in command):
            plan = ["run", *command[1:], "--dry-run", "--run-dir", str(tmp_path / "none")]
            done = study(*plan, cwd=ROOT)
            assert done.returncode == 0
            assert command[0] in done.stdout


def test_completion_knows_the_commands():
    script = study(_GRU4REC_STUDY_COMPLETE="source_bash")
    assert "complete" in script.stdout
    offered = study(_GRU4REC_STUDY_COMPLETE="complete_bash", COMP_WORDS="gru4rec-study s", COMP_CWORD="1")
    assert offered.stdout.split() == ["synth", "split", "serve"]
