"""`synth: {faults: …}`: a planted fault is in the log, the audit finds it, and the oracle is no bound any more."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.small import SMALL, study, write_config

MODELS: dict[str, Any] = {"models": {"popularity": {}, "vsknn": {}}}


def faulty(folder: Path, *faults: str) -> Path:
    """A run with these faults; its run directory."""
    config = {name: part for name, part in SMALL.items() if name != "train"} | {"baseline": MODELS}
    config |= {"synth": SMALL["synth"] | {"faults": list(faults)}}
    done = study("run", "--config", write_config(folder, config), "--run-dir", folder / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def failed(*arguments: str | Path) -> set[str]:
    """The checks that warn or fail."""
    checks = json.loads(study("audit", *arguments, "--json", "--quiet").stdout)["checks"]
    return {check["id"] for check in checks if check["verdict"] in ("WARN", "FAIL")}


@pytest.mark.parametrize(
    ("fault", "check"), [("duplicate_rows", "D04-duplicates"), ("ids_in_two_forms", "D15-ids-in-two-forms")]
)
def test_a_fault_of_the_log_is_in_the_events(fault: str, check: str, tmp_path: Path):
    run = faulty(tmp_path, fault)
    assert check in failed("data", run / "synth" / "events.parquet")
    metrics = json.loads((run / "evaluate" / "metrics.json").read_text())
    assert metrics["not_applicable"] == {"oracle": f"faults are planted in it: {fault}"}


def test_a_fault_of_the_split_is_in_the_split(tmp_path: Path):
    run = faulty(tmp_path, "test_in_training")
    assert {"S01-training-after-test", "S04-copied-sessions"} <= failed("split", run)
    assert {warning["id"] for warning in warnings_of(run)} == {"train-after-test", "test-in-train"}


def warnings_of(run: Path) -> list[dict[str, str]]:
    warnings: list[dict[str, str]] = json.loads((run / "split" / "manifest.json").read_text())["warnings"]
    return warnings


def test_an_unknown_fault_is_said_with_the_nearest_one(tmp_path: Path):
    config = SMALL | {"synth": SMALL["synth"] | {"faults": ["duplicate_row"]}}
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert "did you mean 'duplicate_rows'?" in done.stderr
