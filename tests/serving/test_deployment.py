"""The nightly script, twice, with a server beside it; and what the Dockerfile does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from tests.serving.http import running
from tests.serving.test_server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DAY = 86_400


def write_clicks(path: Path, days: int) -> None:
    """Sessions of 5 clicks along a circle of 30 items, 60 a day."""
    generator = np.random.default_rng(1)
    rows = []
    for session in range(60 * days):
        start, first = session % 60 * 1000 + session // 60 * DAY, int(generator.integers(30))
        items = (first + np.arange(5)) % 30
        rows += [(session, int(item), 1_700_000_000 + start + 10 * place) for place, item in enumerate(items)]
    pl.DataFrame(rows, schema=["SessionId", "ItemId", "Time"], orient="row").write_csv(path)


def nightly(folder: Path, admin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the script with its configuration, but without the model that takes long."""
    config = yaml.safe_load((ROOT / "configs" / "nightly.yaml").read_text())
    del config["train"]
    (folder / "nightly.yaml").write_text(yaml.safe_dump(config))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [ROOT / "docs" / "examples" / "nightly.sh", folder / "clicks.csv", folder / "models", "vsknn", admin],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "CONFIG": str(folder / "nightly.yaml")},
        timeout=600,
    )


@pytest.mark.skipif(not shutil.which("curl") or sys.platform != "linux", reason="the script needs curl and GNU mv")
def test_the_nightly_script_trains_compares_exports_and_reloads(tmp_path: Path):
    write_clicks(tmp_path / "clicks.csv", 4)
    first = nightly(tmp_path)
    assert first.returncode == 0, first.stderr
    in_use = tmp_path / "models" / "in-use"
    bundle = in_use.resolve()
    admin = free_port()
    with running(tmp_path, in_use, "--admin-port", str(admin)) as server:
        before = server.click("s", 3, exclude_seen=True)
        assert before["items"][0] in (2, 4)
        write_clicks(tmp_path / "clicks.csv", 5)
        second = nightly(tmp_path, f"http://127.0.0.1:{admin}")
        assert second.returncode == 0, second.stderr
        assert re.search(r"vsknn 0\.[0-9]+, in use 0\.[0-9]+", second.stdout)
        assert in_use.resolve() != bundle
        after = server.click("s", 4)
        assert (after["clicks"], after["model"] != before["model"]) == (2, True)
        report = next(iter(sorted((tmp_path / "models").glob("*/report.txt"))[1:])).read_text()
        assert "in_use" in report
        kept = in_use.resolve()
        broken = (tmp_path / "clicks.csv").read_text().splitlines()
        (tmp_path / "clicks.csv").write_text("\n".join(broken[:50]) + "\n")
        third = nightly(tmp_path, f"http://127.0.0.1:{admin}")
        assert third.returncode != 0
        assert in_use.resolve() == kept
        assert server.click("s", 5)["model"] == after["model"]


def copied() -> list[tuple[list[str], str]]:
    """The sources and the place of every COPY."""
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, flags=re.MULTILINE)
    return [(words[:-1], words[-1]) for words in (line.split() for line in lines)]


def test_what_the_dockerfile_copies_is_enough_to_build_and_to_start(tmp_path: Path):
    """Its steps, without docker: the files are copied, the package is built from them alone, and the command runs."""
    source, installed = tmp_path / "src", tmp_path / "installed"
    source.mkdir()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for names, place in copied():
        for name in names:
            assert f"!{name}" in ignored
            target = source / place / (name if place == "./" else "")
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copyfile(ROOT / name, target)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "-c", "constraints.txt", "--target", installed, "."], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (command,) = re.findall(r'^ENTRYPOINT \["([^"]+)"\]$', DOCKERFILE, flags=re.MULTILINE)
    assert (installed / "bin" / command).is_file()
    helped = subprocess.run(
        [sys.executable, installed / "bin" / command, "serve", "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(installed)},
        cwd=tmp_path,
    )
    assert helped.returncode == 0, helped.stderr
    assert "--host" in helped.stdout


def test_the_image_runs_as_a_user_without_rights_and_from_the_pinned_versions():
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert users[-1] not in ("root", "0")
    assert f"useradd --create-home --uid 10001 {users[-1]}" in DOCKERFILE
    assert DOCKERFILE.index("USER study") < DOCKERFILE.index("ENTRYPOINT")
    assert re.search(r'pip install .*-c constraints\.txt "\.\[serve\]"', DOCKERFILE)


@pytest.mark.skipif(
    not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode != 0,
    reason="no docker that can be used",
)
def test_the_image_builds():
    done = subprocess.run(["docker", "build", "-q", ROOT], capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, done.stderr
