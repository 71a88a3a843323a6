"""Random damage to a finished run: every one is told, and nothing but a message comes of it.

A wrong success would be: a run with other bytes than those that were written passes (fault 23).
"""

import json
import random
import shutil
from collections import Counter
from itertools import count
from os import utime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.models import gru4rec, registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.official import convert
from gru4rec_cli.study.comparing import compare
from gru4rec_cli.study.config import load_config
from gru4rec_cli.study.ledger import LEDGER
from gru4rec_cli.study.verifying import verify
from gru4rec_cli.study.windows import study_of
from tests.fuzz.seeds import TIMES, ends_with, generator
from tests.small import SMALL, write_config
from tests.worlds import random_sessions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 * TIMES)]

COUNT = 500 * TIMES
TINY: dict[str, Any] = {
    **SMALL,
    "synth": {"sessions": 300, "items": 12, "interests": 2, "successors": 2, "max_length": 6},
    "baseline": {"models": {"popularity": {}}},
    "train": {"models": {"random": {}}},
    "evaluate": {"resamples": 10, "permutations": 10, "cutoffs": [1, 3]},
}
CONTENTS = [
    b"",
    b"[]",
    b"5",
    b"{}",
    b"null",
    b'{"outputs": []}',
    b'{"outputs": {}}',
    b"{",
    b"[" * 5000,
    b"9" * 5000,
    b"\xff",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    study = study_of(load_config(write_config(folder, TINY)), folder / "run")
    for stage in ("synth", "split", "baseline", "train", "evaluate"):  # figures take long
        study.run_stage(stage)
    return folder / "run"


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Other bytes: some of them changed, cut, doubled, or quite other ones."""
    change = rng.random()
    if change < 0.4 and content:
        at = rng.randrange(len(content))
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if change < 0.5:
        return content[: rng.randrange(len(content) + 1)]
    if change < 0.6:
        return content + rng.randbytes(rng.randrange(1, 50))
    if change < 0.7:
        at = rng.randrange(len(content) + 1)
        return content[:at] + content[rng.randrange(len(content) + 1) :]
    return rng.choice(CONTENTS) if change < 0.95 else rng.randbytes(len(content))


def same_value(before: bytes, after: bytes) -> bool:
    """Tell whether two JSON texts say the same, as where the last line end was cut or 1e-05 became 1E-05."""
    try:
        return bool(json.loads(before) == json.loads(after))
    except (ValueError, RecursionError):
        return False


def test_random_damage_to_a_run_is_told(finished: Path):
    rng, clock = generator("artifacts"), count(1)
    config = load_config(finished / "config.yaml")
    files = sorted(path for path in finished.rglob("*") if path.is_file() and not path.name.startswith("."))
    files.remove(finished / LEDGER)  # which grows, and so has no hash: readers pass over damaged lines
    ends = Counter[tuple[str, int | None]]()
    for number in range(COUNT):
        path = rng.choice([*files, *(file for file in files if file.name == "manifest.json")])
        before = path.read_bytes()
        after = damaged(rng, before)
        if after == before or (path.name == "manifest.json" and same_value(before, after)):
            continue
        path.write_bytes(after)
        utime(path, ns=(next(clock), next(clock)))  # no hash of before is used
        if path.name != "config.yaml":  # text and comments may be changed without harm
            assert not verify(finished).intact, path
        else:
            assert ends_with(lambda: verify(finished)) is None
        if number % 10 == 0:
            ends["plan", ends_with(lambda: study_of(config, finished).plan())] += 1
            ends["run", ends_with(lambda: study_of(config, finished).run_stage("evaluate"))] += 1
            ends["compare", ends_with(lambda: compare([finished]))] += 1
        path.write_bytes(before)
        utime(path, ns=(next(clock), next(clock)))
    assert verify(finished).intact
    assert sum(found for (what, _), found in ends.items() if what == "run") > COUNT / 20
    assert {code for _, code in ends} <= {None, 2, 4}, ends  # 2: a config.yaml of another run
    assert ends["run", 4] > ends["run", None], ends


def test_random_damage_to_an_unfinished_stage_never_replaces_a_finished_one(finished: Path, tmp_path: Path):
    rng, run = generator("partial"), Path(shutil.copytree(finished, tmp_path / "run"))
    study = study_of(load_config(finished / "config.yaml"), run)
    good = {path: path.read_bytes() for path in (run / "train").rglob("*") if path.is_file()}
    for _ in range(60 * TIMES):
        partial = Path(shutil.copytree(run / "train", run / ".train.partial"))
        path = rng.choice([partial / "manifest.json", *(file for file in partial.rglob("*") if file.is_file())])
        before = path.read_bytes()
        after = damaged(rng, before)
        path.write_bytes(after)
        with study.runner.lock():
            pass
        assert {path: path.read_bytes() for path in (run / "train").rglob("*") if path.is_file()} == good
        shutil.rmtree(run / ".train.partial", ignore_errors=True)


class NoWorker:
    """Stands for the process of the author's code, which gets only what is sound: it writes a file and says nothing."""

    def ask(self, job: str, arrays: object, **values: Any) -> list[object]:
        Path(values["path"]).write_text(job)
        return []

    def close(self) -> None:
        pass


def test_random_damage_to_a_model_is_told_when_it_is_loaded_or_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Weights with other numbers pass: a model's folder has no hashes of its own."""
    monkeypatch.setattr(convert, "WorkerProcess", NoWorker)
    settings = gru4rec.Settings(layers=(4, 6), epochs=1, batch_size=8, n_sample=4)
    model = gru4rec.Model(settings)
    model.fit(random_sessions(9, 20, seed=1), FitContext(seed=1))
    registry.save_model(tmp_path, "gru4rec", settings, 1, model, np.array([f"item {n}" for n in range(9)]))
    files = [path for path in sorted(tmp_path.iterdir()) if path.is_file()]
    rng, ends = generator("model"), Counter[tuple[str, str, int | None]]()
    for _ in range(300 * TIMES):
        path = rng.choice(files)
        before = path.read_bytes()
        path.write_bytes(structured(rng, before) if path.suffix == ".json" else damaged(rng, before))
        ends[path.name, "load", ends_with(lambda: registry.load_model(tmp_path).recommend(["item 1"], 3))] += 1
        ends[path.name, "export", ends_with(lambda: convert.export_checkpoint(tmp_path, tmp_path / "out.pt"))] += 1
        path.write_bytes(before)
    assert ends_with(lambda: convert.export_checkpoint(tmp_path, tmp_path / "out.pt")) is None
    assert {code for *_, code in ends} <= {None, 2, 4}, ends  # 2: a model of another kind
    assert all(ends[path.name, what, 4] for path in files for what in ("load", "export")), ends
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def structured(rng: random.Random, content: bytes) -> bytes:
    """The same JSON with one value exchanged or left out, or other bytes."""
    if rng.random() < 0.3:
        return damaged(rng, content)
    document = json.loads(content)
    inside = document if rng.random() < 0.3 else document["settings"]
    key = rng.choice([*inside])
    if rng.random() < 0.2:
        del inside[key]
    else:
        inside[key] = rng.choice([None, [], {}, "x", -1, 0, 3, 1e308, True, [3], [2**70], ["a"], {"a": 1}])
    return json.dumps(document).encode()
