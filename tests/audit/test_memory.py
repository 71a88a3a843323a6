"""Audits of long logs need little memory for an event, also where ids are long texts."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.faults import divided
from gru4rec_cli.data.synthetic import SynthSettings, generate

BYTES_PER_EVENT, FIXED = 250, 128_000_000  # ten million events in less than 3 GB; threads keep some memory each
AUDIT = """
import json, sys
from pathlib import Path
from gru4rec_cli.audit.data import audit_data
from gru4rec_cli.audit.split import audit_split
from gru4rec_cli.base.measuring import measured, peak_memory
from gru4rec_cli.study.describing import Options

def audit(paths):
    options = Options(time_unit="microseconds")
    return audit_data(paths[0], None, options) if len(paths) == 1 else audit_split(paths, options)

half = len(sys.argv) // 2
small, large = ([*map(Path, paths)] for paths in (sys.argv[1 : 1 + half], sys.argv[1 + half :]))
audit(small)  # what does not depend on the events
before = peak_memory()
with measured() as cost:
    audit(large)
print(json.dumps(cost.peak_memory_bytes - before))
"""


def written(events: pl.DataFrame, path: Path, *, text: bool) -> Path:
    form = "https://shop.example.com/a-long-text-before-every-id/{}" if text else "{}"
    ids = [pl.format(form, name) if text else pl.col(name) for name in (SESSION, ITEM)]
    events.select(ids[0].alias("SessionId"), ids[1].alias("ItemId"), pl.col(TIME).alias("Time")).write_parquet(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("divide", [False, True])
def test_an_event_takes_no_more_memory_than_leaves_ten_millions_room_in_3_gb(tmp_path: Path, text: bool, divide: bool):
    events, _ = generate(SynthSettings(sessions=200_000, items=20_000), 1)
    paths = []
    for size, log in (("small", events.head(20_000)), ("large", events)):
        parts = divided(log) if divide else (log,)
        paths += [written(part, tmp_path / f"{size}{n}.parquet", text=text) for n, part in enumerate(parts)]
    done = subprocess.run([sys.executable, "-c", AUDIT, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) <= BYTES_PER_EVENT * events.height + FIXED
