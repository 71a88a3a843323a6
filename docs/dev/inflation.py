"""Plants every fault in real clicks, runs a study on each, and prints what the fault does to the results as a table.

    python docs/dev/inflation.py LOG.parquet FOLDER

LOG.parquet has session_id, item_id (integers) and time (microseconds), such as the parts of a `split`. A fault of a
log is planted first, and the log then divided; a fault of a split is planted after dividing. The last 15 % of the time
are the test. Given parts are taken as they are, but for items that training lacks, so nothing repairs a fault.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from gru4rec_cli.base.names import SESSION
from gru4rec_cli.data.faults import LOG_FAULTS, SPLIT_FAULTS, divided, plant, plant_in_split

MODELS = ("popularity", "session_popularity", "markov", "vsknn", "gru4rec")
CONFIG = """
name: inflation
data:
  train: {folder}/train.parquet
  test: {folder}/test.parquet
  columns: {{session: session_id, item: item_id, time: time}}
  time_unit: microseconds
split: {{drop_duplicates: false, drop_repeats: false, min_item_support: 1, min_session_length: 2, unseen: drop}}
baseline: {{models: {{popularity: {{}}, session_popularity: {{}}, markov: {{}}, vsknn: {{}}}}}}
train: {{models: {{gru4rec: {{epochs: 5}}}}}}
evaluate: {{resamples: 100, permutations: 100}}
"""


def recalls(parts: tuple[pl.DataFrame, pl.DataFrame], folder: Path) -> dict[str, float]:
    """Run the study on training and test; return Recall@20 by model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(("train", "test"), parts, strict=True):
        part.filter(pl.len().over(SESSION) > 1).write_parquet(folder / f"{name}.parquet")
    (folder / "study.yaml").write_text(CONFIG.format(folder=folder))
    command = [sys.executable, "-m", "gru4rec_cli", "run", "--config", str(folder / "study.yaml")]
    subprocess.run([*command, "--run-dir", str(folder / "run"), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    rows = json.loads((folder / "run" / "evaluate" / "metrics.json").read_text())["metrics"]
    headline = {"seed": "all", "metric": "recall", "k": 20, "ties": "conservative", "slice": "all"}
    return {row["model"]: row["value"] for row in rows if headline.items() <= row.items()}


def line(name: str, found: Mapping[str, float], clean: Mapping[str, float]) -> str:
    """Return a row of the table: Recall@20 of every model, and its change against the clean data."""
    cells = [f"{found[model]:.4f} ({100 * (found[model] / clean[model] - 1):+.0f} %)" for model in MODELS]
    return f"| `{name}` | {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    """Print the table, a row as soon as it is measured."""
    events, folder = pl.read_parquet(arguments[0]).select("session_id", "item_id", "time"), Path(arguments[1])
    clean = recalls(divided(events), folder / "clean")
    print("| fault | " + " | ".join(MODELS) + " |\n|---|" + "---:|" * len(MODELS))
    print("| none | " + " | ".join(f"{clean[model]:.4f}" for model in MODELS) + " |", flush=True)
    for name in [*LOG_FAULTS, *SPLIT_FAULTS]:
        parts = plant_in_split(events, [name], 42) or divided(plant(events, [name], 42))
        try:
            print(line(name, recalls(parts, folder / name), clean), flush=True)
        except (subprocess.CalledProcessError, pl.exceptions.PolarsError) as error:
            print(f"| `{name}` | the study refuses it: {error} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
