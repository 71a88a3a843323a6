"""Models and clicks to measure `recommend` with: 200,000 training sessions of 5 clicks over 43,000 items.

    python docs/dev/recommend_speed.py FOLDER
    gru4rec-study recommend --bundle FOLDER/vsknn --sessions FOLDER/clicks-1000000.tsv --to FOLDER/lists.tsv

Items are drawn independently, the i-th most popular with a probability like i to the power of -0.9.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import Int32Array
from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.models import registry

N_ITEMS, N_SESSIONS, LENGTH = 43_000, 200_000, 5
FIRST_ITEM, FIRST_TIME = 100, 1_600_000_000


def main(folder: Path) -> None:
    """Write a folder for each model, and files of sessions."""
    generator = np.random.default_rng(1)
    train = sessions_of(drawn(generator, N_SESSIONS))
    for kind in ("popularity", "vsknn"):
        settings = registry.settings_class(kind)()
        model = registry.model_class(kind)(settings)
        model.fit(train)
        (folder / kind).mkdir(parents=True)
        registry.save_model(folder / kind, kind, settings, 42, model, train.vocabulary.ids)
    for n_sessions in (20_000, 200_000, 1_000_000):
        items = drawn(generator, n_sessions).ravel() + FIRST_ITEM
        rows = np.arange(len(items))
        table = pl.DataFrame({"SessionId": rows // LENGTH, "ItemId": items, "Time": rows + FIRST_TIME})
        table.write_csv(folder / f"clicks-{n_sessions}.tsv", separator="\t")


def drawn(generator: np.random.Generator, n_sessions: int) -> Int32Array:
    """Return item indices, (n_sessions, LENGTH)."""
    weights = np.arange(1, N_ITEMS + 1) ** -0.9
    return generator.choice(N_ITEMS, size=(n_sessions, LENGTH), p=weights / weights.sum()).astype(np.int32)


def sessions_of(clicks: Int32Array) -> Sessions:
    """Return sessions that follow each other, a click a second."""
    items, n_sessions = clicks.ravel(), len(clicks)
    vocabulary = Vocabulary(np.arange(N_ITEMS) + FIRST_ITEM, np.bincount(items, minlength=N_ITEMS))
    times = np.arange(len(items)) * 1_000_000
    return Sessions(items, np.arange(0, len(items) + 1, LENGTH), times, np.arange(n_sessions), vocabulary)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
