"""Fetching the author's code: only the pinned files count as fetched, and nothing odd is asked of git."""

import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import ExternalError, StageError, UsageError
from gru4rec_cli.models.official.fetching import FETCH_FILE, Pin, fetch, read_pin, verified_checkout
from gru4rec_cli.models.official.git import checked_source
from tests.small import study

IDENTITY = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *IDENTITY, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository of two commits, files in folders among them."""
    folder = tmp_path / "origin"
    (folder / "lib").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "lib" / "code.py").write_text("x = 1\n")
    (folder / "lib.py").write_text("y = 1\n")
    (folder / "run.sh").write_text("true\n")
    (folder / "run.sh").chmod(0o755)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (folder / "lib" / "code.py").write_text("x = 2\n")
    git(folder, "commit", "--quiet", "-am", "second")
    return folder


@pytest.fixture
def pin(origin: Path) -> Pin:
    """The first commit."""
    commit = git(origin, "rev-parse", "HEAD~1")
    return Pin("code", str(origin), commit, git(origin, "rev-parse", f"{commit}^{{tree}}"), "ask first", "A")


def test_the_pinned_commit_is_checked_out_and_told_of(origin: Path, pin: Pin, tmp_path: Path):
    fetched = fetch(str(origin), tmp_path / "vendor", pin=pin)
    assert fetched.action == "fetched"
    assert (fetched.folder / "lib" / "code.py").read_text() == "x = 1\n"
    assert git(fetched.folder, "rev-parse", "HEAD") == pin.commit
    assert git(fetched.folder, "status", "--short") == ""
    manifest = json.loads((fetched.folder / FETCH_FILE).read_text())
    assert manifest["commit"] == pin.commit
    assert manifest["licence"] == "ask first"
    assert set(manifest["files"]) == {"lib/code.py", "lib.py", "run.sh"}
    assert verified_checkout(tmp_path / "vendor", pin=pin) == fetched.folder


def test_a_second_fetch_finds_it_there_without_the_source(origin: Path, pin: Pin, tmp_path: Path):
    fetch(None, tmp_path / "vendor", pin=pin)
    shutil.rmtree(origin)
    assert fetch(None, tmp_path / "vendor", pin=pin).action == "present"


@pytest.mark.parametrize("change", ["changed", "missing", "added", "modes"])
def test_a_change_is_named_and_force_replaces_it(origin: Path, pin: Pin, tmp_path: Path, change: str):
    folder = fetch(None, tmp_path / "vendor", pin=pin).folder
    if change == "changed":
        (folder / "lib" / "code.py").write_text("x = 3\n")
    elif change == "missing":
        (folder / "lib" / "code.py").unlink()
    elif change == "added":
        (folder / "torch.py").write_text("")
    else:
        (folder / "lib.py").chmod(0o755)
    named = {"changed": r"lib/code\.py \(changed\)", "missing": r"lib/code\.py \(missing\)"}
    expected = {**named, "added": r"torch\.py \(added\)", "modes": "modes"}[change]
    for attempt in (
        lambda: verified_checkout(tmp_path / "vendor", pin=pin),
        lambda: fetch(None, folder.parent, pin=pin),
    ):
        with pytest.raises(StageError, match=expected) as raised:
            attempt()
        assert "--force" in raised.value.hint
    assert fetch(None, tmp_path / "vendor", pin=pin, force=True).action == "fetched"
    assert verified_checkout(tmp_path / "vendor", pin=pin)


def test_the_manifest_alone_does_not_make_changed_files_right(pin: Pin, tmp_path: Path):
    folder = fetch(None, tmp_path / "vendor", pin=pin).folder
    (folder / "lib" / "code.py").write_text("x = 3\n")
    manifest = json.loads((folder / FETCH_FILE).read_text())
    manifest["files"]["lib/code.py"] = "00"
    (folder / FETCH_FILE).write_text(json.dumps(manifest))
    with pytest.raises(StageError, match="not as it was fetched"):
        verified_checkout(tmp_path / "vendor", pin=pin)


def test_a_folder_that_fetch_did_not_make_is_not_trusted(origin: Path, pin: Pin, tmp_path: Path):
    (tmp_path / "vendor").mkdir()
    shutil.copytree(origin, tmp_path / "vendor" / "code")
    with pytest.raises(StageError, match="was not made by gru4rec-study fetch"):
        verified_checkout(tmp_path / "vendor", pin=pin)


def test_caches_beside_the_code_do_not_count(pin: Pin, tmp_path: Path):
    folder = fetch(None, tmp_path / "vendor", pin=pin).folder
    (folder / "lib" / "__pycache__").mkdir()
    (folder / "lib" / "__pycache__" / "code.cpython-311.pyc").write_bytes(b"")
    assert verified_checkout(tmp_path / "vendor", pin=pin) == folder


def test_a_source_without_the_pinned_commit_is_refused(origin: Path, pin: Pin, tmp_path: Path):
    other = Pin("code", str(origin), "0" * 39 + "1", pin.tree, "", "")
    with pytest.raises(ExternalError, match="does not hold the pinned commit"):
        fetch(None, tmp_path / "vendor", pin=other)
    wrong_tree = Pin("code", str(origin), pin.commit, git(origin, "rev-parse", "HEAD^{tree}"), "", "")
    with pytest.raises(ExternalError, match="has the tree"):
        fetch(None, tmp_path / "vendor", pin=wrong_tree)
    assert [path.name for path in (tmp_path / "vendor").iterdir()] == [".fetch.lock"]


def test_a_bundle_is_a_source(origin: Path, pin: Pin, tmp_path: Path):
    git(origin, "bundle", "create", "--quiet", str(tmp_path / "code.bundle"), "--all")
    assert fetch(str(tmp_path / "code.bundle"), tmp_path / "vendor", pin=pin).action == "fetched"


def test_a_file_that_is_no_bundle_is_an_external_error(pin: Pin, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ExternalError, match="git clone failed"):
        fetch(str(tmp_path / "notes.txt"), tmp_path / "vendor", pin=pin)


def test_hooks_of_a_template_do_not_run(pin: Pin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hook = tmp_path / "template" / "hooks" / "post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    fetch(None, tmp_path / "vendor", pin=pin)
    assert not (tmp_path / "ran").exists()


REFUSED = [
    "git://example.org/x",
    "http://example.org/x",
    "ext::sh -c date",
    "--upload-pack=date",
    "-x",
    "https://me:secret@example.org/x",
    "ssh://-oProxyCommand=date/x",
    "git@-oProxyCommand=date:x",
    "git@example.org:--upload-pack=date",
    "file:///tmp/x",
    "",
    "no/such/folder",
]


@pytest.mark.parametrize("source", REFUSED)
def test_odd_sources_are_refused(source: str):
    with pytest.raises(UsageError) as raised:
        checked_source(source)
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    "source", ["https://example.org/a/b", "ssh://git@example.org/a/b.git", "git@example.org:a/b.git"]
)
def test_usual_addresses_are_allowed(source: str):
    assert checked_source(source) == source


def test_a_folder_whose_name_looks_like_an_option_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "--upload-pack=date").mkdir()
    monkeypatch.chdir(tmp_path)
    assert checked_source("./--upload-pack=date") == str(tmp_path / "--upload-pack=date")


def test_the_pin_of_this_project_is_whole():
    pin = read_pin()
    assert len(pin.commit) == len(pin.tree) == 40
    assert "research and education" in pin.licence


@pytest.mark.parametrize("change", [{"name": "../x"}, {"commit": "main"}, {"tree": ""}, {"extra": ""}])
def test_a_pin_of_another_form_is_refused(pin: Pin, tmp_path: Path, change: dict[str, str]):
    (tmp_path / "pin.json").write_text(json.dumps(pin.__dict__ | change))
    with pytest.raises(UsageError, match="is not a pin"):
        read_pin(tmp_path / "pin.json")


def test_a_vendor_folder_that_cannot_be_written_is_told(pin: Pin, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        fetch(None, tmp_path / "file" / "vendor", pin=pin)


@pytest.fixture
def pin_path(pin: Pin, tmp_path: Path) -> Path:
    path = tmp_path / "pin.json"
    path.write_text(json.dumps(pin.__dict__))
    return path


def test_the_command_fetches_tells_the_licence_and_the_second_time_finds_it(pin_path: Path, tmp_path: Path):
    vendor = str(tmp_path / "vendor")
    done = study("fetch", "--source", tmp_path / "origin", GRU4REC_STUDY_PIN=str(pin_path), GRU4REC_STUDY_VENDOR=vendor)
    assert done.returncode == 0, done.stderr
    assert "fetched" in done.stdout
    assert "ask first" in done.stdout
    again = study(
        "fetch", "--json", GRU4REC_STUDY_PIN=str(pin_path), GRU4REC_STUDY_VENDOR=vendor, PATH=""
    )  # no git is needed for it
    assert json.loads(again.stdout)["action"] == "present", again.stderr


def test_the_command_without_git_or_network_says_so(pin_path: Path, tmp_path: Path):
    done = study("fetch", "--vendor", tmp_path / "vendor", GRU4REC_STUDY_PIN=str(pin_path), PATH="")
    assert done.returncode == 5
    assert "git cannot be run" in done.stderr
    assert "install git" in done.stderr
    done = study("fetch", "--vendor", tmp_path / "vendor", "--source", "https://127.0.0.1:9/x", NO_PROXY="127.0.0.1")
    assert done.returncode == 5
    assert "git clone failed" in done.stderr
    assert "--source PATH" in done.stderr


def test_the_command_refuses_an_odd_source(tmp_path: Path):
    done = study("fetch", "--vendor", tmp_path / "vendor", "--source", "ext::sh -c date")
    assert done.returncode == 2
    assert "bundle" in done.stderr
    assert not (tmp_path / "vendor").exists()


def test_an_old_git_is_told(pin_path: Path, tmp_path: Path):
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 1.8.3\n")
    old.chmod(0o755)
    done = study("fetch", "--vendor", tmp_path / "vendor", GRU4REC_STUDY_PIN=str(pin_path), PATH=str(old.parent))
    assert done.returncode == 5
    assert "git is too old: 1.8" in done.stderr


def fetch_and_die(vendor: Path, pin: Pin, *, before_call: int) -> None:
    """Fetch in another process, which is killed before a call that renames or removes a folder."""
    child = os.fork()
    if child == 0:
        calls = itertools.count(1)

        def deadly(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **named: object) -> object:
                if next(calls) == before_call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return call

        Path.rename = deadly(Path.rename)  # type: ignore[assignment,method-assign]
        shutil.rmtree = deadly(shutil.rmtree)  # type: ignore[assignment]
        fetch(None, vendor, pin=pin, force=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


# Calls of a fetch that replaces a folder: 1 moves it away, 2 publishes the new one, 3 removes the old one.
@pytest.mark.parametrize("before_call", [1, 2, 3])
def test_fault_32_what_a_killed_fetch_leaves_is_gone_after_the_next(pin: Pin, tmp_path: Path, before_call: int):
    vendor = tmp_path / "vendor"
    fetch(None, vendor, pin=pin)
    before = {path.name for path in vendor.iterdir()}
    fetch_and_die(vendor, pin, before_call=before_call)
    assert {path.name for path in vendor.iterdir()} != before, "the killed fetch left nothing, so this tries nothing"
    fetched = fetch(None, vendor, pin=pin)
    assert fetched.action == "present"
    assert {path.name for path in vendor.iterdir()} == before
    assert verified_checkout(vendor, pin=pin) == fetched.folder
