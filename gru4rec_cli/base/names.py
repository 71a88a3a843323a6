"""Names that more than one part of the program relies on; each exists once, here."""

from collections.abc import Iterable
from typing import NamedTuple

# Columns of event tables (`synth/events.parquet`, `split/*.parquet`).
SESSION = "session_id"
ITEM = "item_id"
TIME = "time"  # int64, microseconds since 1970-01-01 UTC

# Columns of rank tables (`evaluate/ranks/*.parquet`), one row an evaluated event.
POSITION = "position"  # 1 for the second click of a session: the number of clicks in the history
GREATER = "greater"
EQUAL = "equal"
GREATER_SUPPORT = "greater_support"  # training events of the items that GREATER counts
EQUAL_SUPPORT = "equal_support"

# The column of list tables (`evaluate/lists/*.parquet`), rows as in the rank tables, beside SESSION and POSITION: item
# ids, best first.
ITEMS = "items"

# Columns of the item table (`split/items.parquet`): the vocabulary in index order.
SUPPORT = "support"

# Artifacts that one stage writes and another reads.
EVENTS_FILE = "events.parquet"
PROCESS_FILE = "process.safetensors"
TRAIN_FILE = "train.parquet"
VALID_FILE = "valid.parquet"
TEST_FILE = "test.parquet"
ITEMS_FILE = "items.parquet"
STATISTICS_FILE = "statistics.json"
MODEL_FILE = "model.json"
FIT_FILE = "fit.json"
TUNE_FILE = "tune.json"  # what was searched, and with what result
TRIALS_TABLE = "trials.csv"
METRICS_FILE = "metrics.json"
METRICS_TABLE = "metrics.csv"
RANKS_FOLDER = "ranks"
LISTS_FOLDER = "lists"
COSTS = "costs"  # the folder of a stage for what differs from run to run; no model may take this name
DEFAULT_SUFFIX = "_default"  # of the name of a tuned model with its own settings
RANKING_FILE = "ranking.json"  # in that folder: what ranking by each fit took

ORACLE = "oracle"  # the row of the Bayes-optimal ranking of synthetic data; no model may take it
PREDICTIONS = "predictions"  # kind and stage of a row of the results that is another tool's ranked lists

_SEED = ".seed-"  # names of models hold no dots


class FitName(NamedTuple):
    """The name of a fit, its folder and its files: NAME, or NAME.seed-N where a model is fitted with several seeds."""

    model: str
    seed: int | None = None  # None: the model is fitted once

    @classmethod
    def parse(cls, text: str) -> "FitName":
        """Return the parts of a name. Raises `ValueError` where what follows `.seed-` is no number."""
        model, separator, seed = text.partition(_SEED)
        return cls(model, int(seed) if separator else None)

    def __str__(self) -> str:
        return self.model if self.seed is None else f"{self.model}{_SEED}{self.seed}"


def fits_of(model: str, names: Iterable[str]) -> list[str]:
    """Return those of the names of fits that are a model's, in the order of their seeds."""
    fits = [fit for fit in map(FitName.parse, names) if fit.model == model]
    return [str(fit) for fit in sorted(fits, key=lambda fit: fit.seed or 0)]
