"""With `--json`, an error is one JSON document on stdout, beside the message on stderr."""

import json
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.commands import console
from tests.small import study

MODEL_LESS = "name: x\ndata: {source: nowhere.csv}\n"


def refused(*arguments: str | Path, cwd: Path) -> tuple[dict[str, object], str]:
    done = study(*arguments, "--json", cwd=cwd)
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == done.returncode
    assert done.returncode not in (0, 1)
    return error, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "--config", "nowhere.yaml"), 2, "nowhere.yaml cannot be read"),
        (("split", "--config", "x.yaml"), 3, "nowhere.csv"),
        (("synth", "--config", "x.yaml"), 2, "synth"),
        (("report", "--config", "models.yaml"), 3, "nowhere.csv"),
        (("compare", "nowhere"), 4, "nowhere"),
        (("verify", "nowhere"), 4, "nowhere"),
        (("describe", "nowhere.csv"), 3, "nowhere.csv"),
        (("conformance", "nowhere.npz"), 3, "nowhere.npz"),
        (("bench", "--only", "naming"), 2, "naming"),
        (("fetch", "--source", "nowhere"), 2, "nowhere"),
        (("export-checkpoint", "nowhere", "--to", "out"), 4, "nowhere"),
        (("import-checkpoint", "nowhere", "--to", "out"), 2, "pickle"),
        (("run",), 2, "--config"),
        (("describe", "--gap-minutes", "long"), 2, "--gap-minutes"),
        (("verify", "--nonsense"), 2, "--nonsense"),
        (("nonsense",), 2, "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_gives_its_error_as_a_document(tmp_path: Path, arguments, code: int, message: str):
    (tmp_path / "x.yaml").write_text(MODEL_LESS)
    (tmp_path / "models.yaml").write_text(MODEL_LESS + "baseline: {models: {popularity: {}}}\n")
    error, stderr = refused(*arguments, cwd=tmp_path)
    assert error["exit_code"] == code
    assert message in str(error["message"])
    assert message in " ".join(stderr.split())


def test_the_problems_of_a_configuration_are_a_list_with_their_lines(tmp_path: Path):
    (tmp_path / "x.yaml").write_text("name: x\ndata: {sourc: e.csv}\nseed: a\n")
    error, stderr = refused("run", "--config", "x.yaml", cwd=tmp_path)
    problems = error["problems"]
    assert isinstance(problems, list)
    assert [problem.partition(": ")[0] for problem in problems] == ["x.yaml:3", "x.yaml:2"]
    assert all(problem in stderr for problem in problems)


def test_without_json_nothing_is_on_stdout(tmp_path: Path):
    assert study("describe", "nowhere.csv", cwd=tmp_path).stdout == ""


def test_a_document_is_not_followed_by_another(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.argv", ["gru4rec-study", "verify", "runs/x", "--json"])
    monkeypatch.setattr(console, "_document_shown", False)
    console.show_json({"sound": False})
    console.show_error(StageError("damaged", "make it again"))
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"sound": False}
    assert "error: damaged" in shown.err
