"""Every recipe of docs/adding.md, carried out in a copy of the package, and its plugin, installed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.small import SMALL, copied_package, study, write_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
STUDY: dict[str, Any] = {
    "name": "small",
    "data": {"source": "synth"},
    "synth": SMALL["synth"],
    "baseline": {"models": {"popularity": {}}},
    "evaluate": {"resamples": 20},
}
# Files that each recipe may touch, as the page's table says.
TOUCHED = {
    "A neural model": {"models/mean.py"},
    "A loss for GRU4Rec": {"models/gru4rec/losses.py", "models/gru4rec/settings.py"},
    "A metric": {"evaluation/metrics.py"},
    "A data format": {"data/formats/listens.py"},
    "A stage": {"study/stages/popular.py", "study/stages/table.py"},
    "A command": {"commands/kinds.py"},
}
Block = tuple[str, str, str]  # language, file, text


def blocks(section: str) -> list[Block]:
    """The fenced blocks of a section of the page that name a file."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def write(folder: Path, block: Block) -> None:
    """Write a new file, or change one: a `diff` replaces the lines with ` ` and `-` by those with ` ` and `+`."""
    language, name, text = block
    path = folder / name
    if language != "diff":
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        return
    lines = text.splitlines(keepends=True)
    old = "".join(line[1:] or "\n" for line in lines if not line.startswith("+"))
    new = "".join(line[1:] or "\n" for line in lines if not line.startswith("-"))
    before = path.read_text(encoding="utf-8")
    assert before.count(old) == 1, f"{name} has not once\n{old}"
    path.write_text(before.replace(old, new), encoding="utf-8")


def carry_out(section: str, folder: Path) -> Path:
    """A folder with a copy of the package that is changed as the section says; only its own files are touched."""
    copy = copied_package(folder)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    for block in blocks(section):
        write(folder, block)
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    touched = {path for path in after if before.get(path) != after[path]} | before.keys() - after.keys()
    assert {path.relative_to(copy).as_posix() for path in touched} == TOUCHED[section]
    return folder


def run(folder: Path, *arguments: str | Path) -> str:
    done = study(*arguments, cwd=folder, PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def run_study(folder: Path, **changes: Any) -> str:
    config = write_config(folder, {**STUDY, **changes})
    return run(folder, "run", "--config", config, "--run-dir", folder / "run")


def test_the_page_has_a_recipe_for_every_row_of_its_table():
    assert set(TOUCHED) < set(re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE))


def test_a_neural_model_is_fitted_ranked_and_reported_and_passes_every_check(tmp_path: Path):
    folder = carry_out("A neural model", tmp_path)
    assert "mean" in run_study(folder, train={"models": {"mean": {"epochs": 2}}})
    assert "mean" in (folder / "run" / "report" / "report.md").read_text(encoding="utf-8")
    code = "from gru4rec_cli.models.checks import check_model\ncheck_model('mean', {'epochs': 2, 'size': 8})"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, check=True)


def test_a_loss_trains_by_the_torch_step(tmp_path: Path):
    folder = carry_out("A loss for GRU4Rec", tmp_path)
    run_study(folder, train={"models": {"gru4rec": {"loss": "top1-max", "layers": [8], "epochs": 2}}})
    fit = json.loads((folder / "run" / "train" / "gru4rec" / "fit.json").read_text())
    assert fit["curve"][1]["loss"] < fit["curve"][0]["loss"]


def test_a_metric_is_shown(tmp_path: Path):
    folder = carry_out("A metric", tmp_path)
    assert "Square@20" in run_study(folder)


def test_a_format_is_read(tmp_path: Path):
    folder = carry_out("A data format", tmp_path)
    days = [f"{visit},{(visit + step) % 7},{visit * 3600 + step}" for visit in range(300) for step in range(3)]
    (folder / "listens.csv").write_text("\n".join(["visit,song,at", *days]) + "\n")
    run_study(folder, data={"source": str(folder / "listens.csv"), "format": "listens"})
    assert json.loads((folder / "run" / "split" / "statistics.json").read_text())["parts"]["train"]["items"] == 7


def test_a_stage_runs_in_its_place_and_alone(tmp_path: Path):
    folder = carry_out("A stage", tmp_path)
    config = write_config(folder, STUDY)
    options = ("--config", config, "--run-dir", folder / "run")
    plan = json.loads(run(folder, "run", *options, "--dry-run", "--json", "--quiet"))["plan"]
    assert [row["stage"] for row in plan][:4] == ["synth", "split", "popular", "baseline"]
    run(folder, "run", *options)
    assert len(json.loads((folder / "run" / "popular" / "popular.json").read_text())) == 10
    assert "Most popular items" in run(folder, "popular", *options)


def test_a_command_is_in_the_help(tmp_path: Path):
    folder = carry_out("A command", tmp_path)
    assert "kinds" in run(folder, "--help")
    assert {"gru4rec", "markov"} <= set(run(folder, "kinds").split())


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the plugin is installed; what it was made from is in `source` beside it."""
    source = tmp_path_factory.mktemp("plugin") / "source"
    source.mkdir()
    for block in blocks("A model as a plugin"):
        write(source, block)
    return install(source, source.parent / "installed")


def install(source: Path, target: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", target, source], check=True, capture_output=True)
    return target


def with_plugins(*folders: Path) -> dict[str, Any]:
    return {"PYTHONPATH": os.pathsep.join(map(str, [*folders, ROOT]))}


def test_a_plugin_is_fitted_ranked_and_reported_and_made_again_when_it_changes(plugin: Path, tmp_path: Path):
    config = write_config(tmp_path, {**STUDY, "baseline": {"models": {"forgetful": {"half_life": 3}}}})
    options = ("run", "--config", config, "--run-dir", tmp_path / "run")
    done = study(*options, **with_plugins(plugin))
    assert done.returncode == 0, done.stderr
    assert "forgetful" in done.stdout
    fit = tmp_path / "run" / "baseline" / "forgetful"
    for file in ("model.json", "manifest.json"):
        assert json.loads((fit / file).read_text())["package"] == "forgetful-chain 0.1"
    assert "forgetful" in (tmp_path / "run" / "report" / "report.md").read_text(encoding="utf-8")

    key = json.loads((fit / "manifest.json").read_text())["key"]
    assert "baseline: skipped" in study(*options, **with_plugins(plugin)).stderr
    changed = Path(shutil.copytree(plugin, tmp_path / "changed"))
    module = changed / "forgetful_chain.py"
    module.write_text(module.read_text().replace("2.0 **", "3.0 **"))
    assert "baseline: ran" in study(*options, **with_plugins(changed)).stderr
    assert json.loads((fit / "manifest.json").read_text())["key"] != key

    gone = study("evaluate", *options[1:], "--force", PYTHONPATH=str(ROOT))
    assert gone.returncode == 2
    assert "'forgetful' is no kind of model, and no kind is given; known kinds: ar," in gone.stderr


def test_the_tests_of_the_plugin_pass(plugin: Path):
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_forgetful.py"]
    source = plugin.parent / "source"
    done = subprocess.run(
        tests, cwd=source, env=os.environ | with_plugins(plugin), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "20 passed" in done.stdout


BROKEN = {
    "import nowhere": "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'",
    "class Settings: ...": "has no Model",
    "class Model: ...": "has no Settings",
    "class Model: ...\nclass Settings: ...": "are no gru4rec_cli.base.settings.ModelSettings",
}


def offer(folder: Path, kind: str, code: str, package: str = "broken") -> Path:
    """An installed package in a folder, written by hand."""
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[gru4rec_study.models]\n{kind} = {package}_model\n")
    (folder / f"{package}_model.py").write_text(code + "\n")
    return folder


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_plugin_stops_only_a_study_that_uses_it(tmp_path: Path, code: str):
    folder = offer(tmp_path / "installed", "mine", code)
    usual, using = write_config(tmp_path / "usual", STUDY), {**STUDY, "baseline": {"models": {"mine": {}}, "x": 1}}
    assert study("--help", **with_plugins(folder)).returncode == 0
    plan = ("run", "--dry-run", "--run-dir", tmp_path / "run", "--config")
    assert study(*plan, usual, **with_plugins(folder)).returncode == 0
    done = study(*plan, write_config(tmp_path / "using", using), **with_plugins(folder), COLUMNS="500")
    assert done.returncode == 2
    assert "baseline.models.mine: the model kind 'mine' of broken 1.0" in done.stderr
    assert BROKEN[code] in done.stderr
    assert "baseline.x: unknown key" in done.stderr


@pytest.mark.parametrize(("kind", "other"), [("markov", "gru4rec-study"), ("mine", "broken 1.0")])
def test_a_kind_that_two_packages_offer_stops_only_a_study_that_uses_it(tmp_path: Path, kind: str, other: str):
    folders = [offer(tmp_path / "second", kind, "", "second")]
    if other != "gru4rec-study":
        folders.append(offer(tmp_path / "first", kind, "", "broken"))
    plan = ("run", "--dry-run", "--run-dir", tmp_path / "run", "--config")
    assert study(*plan, write_config(tmp_path / "usual", STUDY), **with_plugins(*folders)).returncode == 0
    using = {**STUDY, "baseline": {"models": {kind: {}}}}
    done = study(*plan, write_config(tmp_path / "using", using), **with_plugins(*folders), COLUMNS="500")
    assert done.returncode == 2
    assert f"offers a model kind '{kind}', and so does" in done.stderr
    assert other in done.stderr


def test_a_list_of_kinds_names_those_of_plugins_and_imports_none(tmp_path: Path):
    folder = offer(tmp_path, "mine", "raise SystemExit(9)")
    done = study("run", "--config", write_config(tmp_path, {**STUDY, "baseline": {"models": {"mime": {}}}}),
                 **with_plugins(folder))  # fmt: skip
    assert done.returncode == 2
    assert "did you mean 'mine'?" in " ".join(done.stderr.split())
