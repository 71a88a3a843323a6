"""Records runs of the author's code with dropout, as cases for `gru4rec-study conformance`.

python docs/dev/record_dropout.py FOLDER, after `gru4rec-study fetch`. It makes the cases of tests/golden that have
dropout. His code runs unchanged: what it draws for dropout is replaced by noise that is written down, and what it is
given and gives back is copied at each step.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gru4rec_cli.models.official.adapter import AuthorCode, seeded
from gru4rec_cli.models.official.fetching import verified_checkout
from gru4rec_cli.models.official.scoring import score_blocks
from gru4rec_cli.models.official.weights import extract

_COMMON = {"batch_size": 6, "n_sample": 16, "sample_alpha": 0.5, "n_epochs": 2, "bpreg": 1.0, "elu_param": 0.5}
_COMMON |= {"learning_rate": 0.1, "momentum": 0.2, "dropout_p_embed": 0.25, "dropout_p_hidden": 0.4, "embedding": 0}
CASES: dict[str, dict[str, Any]] = {
    "xe_shared_dropout": {"layers": [12], "loss": "cross-entropy", "constrained_embedding": True, "logq": 1.0},
    "bprmax_separate_dropout": {"layers": [11], "loss": "bpr-max", "constrained_embedding": False, "embedding": 11},
    "xe_onehot_dropout": {"layers": [10], "loss": "cross-entropy", "constrained_embedding": False, "logq": 1.0},
}


class Recorder:
    """Copies what passes through the author's code."""

    def __init__(self, checkout: Path) -> None:
        self.author = AuthorCode(checkout, lambda _: None)
        self.steps: list[dict[str, Any]] = []
        self.initial: dict[str, Any] = {}
        self.noise = torch.Generator().manual_seed(1)

    def drop(self, values: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        """In place of torch's dropout: the same, from noise that is kept."""
        if p == 0 or not training:
            return values
        noise = torch.rand(values.shape, generator=self.noise)
        self.steps[-1].setdefault("noise", []).append(noise.numpy())
        return values * (noise >= p) / (1 - p)

    def run(self, parameters: dict[str, Any], train: pd.DataFrame) -> Any:
        """Train the author's model, recording."""
        model = self.author.gru.GRU4Rec(**parameters, device=torch.device("cpu"))
        iterator, walk = self.author.gru.SessionDataIterator, self.author.gru.SessionDataIterator.__call__
        lossed = model.loss_function

        def recording_walk(this: Any, *arguments: Any, **named: Any) -> Any:
            if not self.initial:
                everything = np.arange(train.ItemId.nunique())
                self.initial = {name: value.copy() for name, value in extract(model.model, everything).items()}
            for inputs, columns in walk(this, *arguments, **named):
                self.steps.append({"input": inputs.numpy().copy(), "columns": columns.numpy().copy()})
                yield inputs, columns

        def recording_loss(*arguments: Any) -> torch.Tensor:
            loss: torch.Tensor = lossed(*arguments)
            self.steps[-1]["loss"] = loss.item() / parameters["batch_size"]
            return loss

        model.loss_function = recording_loss
        iterator.__call__, dropout = recording_walk, torch.nn.functional.dropout
        torch.nn.functional.dropout = self.drop
        try:
            with seeded(7):
                model.fit(train, sample_cache_max_size=20_000)
        finally:
            iterator.__call__, torch.nn.functional.dropout = walk, dropout
        return model


def sessions(rng: np.random.Generator, count: int, n_items: int, first: int) -> pd.DataFrame:
    """Toy sessions of 2 to 8 clicks with a pull from each item to the next."""
    rows = []
    for session in range(first, first + count):
        item, start = int(rng.integers(n_items)), int(rng.integers(1_600_000_000, 1_600_086_400))
        for position in range(int(rng.integers(2, 9))):
            rows.append((session, item + 100, start + 40 * position))
            item = (item + 1) % n_items if rng.random() < 0.6 else int(rng.integers(n_items))
    return pd.DataFrame(rows, columns=["SessionId", "ItemId", "Time"]).astype(np.int64)


def record(name: str, folder: Path, checkout: Path) -> None:
    """One case: NAME.npz and NAME.json."""
    rng = np.random.default_rng(len(name))
    n_items, parameters = 30, {**_COMMON, **CASES[name]}
    parameters.setdefault("logq", 0.0)
    train = sessions(rng, 45, n_items, 0)
    test = sessions(rng, 14, n_items, 1000)
    recorder = Recorder(checkout)
    model = recorder.run(parameters, train)
    ids = model.data_iterator.itemidmap.index.to_numpy()
    widths = [len(step["input"]) for step in recorder.steps]
    lanes = parameters["batch_size"]

    def padded(values: list[np.ndarray], fill: float) -> np.ndarray:
        table = np.full((len(values), lanes, *values[0].shape[1:]), fill, dtype=values[0].dtype)
        for row, value in zip(table, values, strict=True):
            row[: len(value)] = value
        return table

    arrays = {f"train/{column}": train[column].to_numpy() for column in train}
    arrays |= {f"test/{column}": test[column].to_numpy() for column in test}
    arrays |= {f"init/{key}": value for key, value in recorder.initial.items()}
    arrays |= {f"final/{key}": value for key, value in extract(model.model, np.arange(n_items)).items()}
    arrays["item_ids"], arrays["step/n_valid"] = ids, np.array(widths)
    arrays["step/input"] = padded([step["input"] for step in recorder.steps], -1)
    arrays["step/target"] = padded([s["columns"][:w] for s, w in zip(recorder.steps, widths, strict=True)], -1)
    arrays["step/negatives"] = np.stack([s["columns"][w:] for s, w in zip(recorder.steps, widths, strict=True)])
    arrays["step/loss"] = np.array([step["loss"] for step in recorder.steps])
    for place, label in enumerate(["embed"] if parameters["layers"] == [10] else ["embed", "hidden.0"]):
        arrays[f"step/noise.{label}"] = padded([step["noise"][place] for step in recorder.steps], 1.0)
    index = pd.Series(np.arange(n_items), index=ids)
    grouped = [index[part.ItemId].to_numpy() for _, part in test.groupby("SessionId")]
    offsets = np.cumsum([0, *map(len, grouped)])
    model.model.eval()
    scored = score_blocks(model.model, np.concatenate(grouped).astype(np.int64), offsets, 64)
    arrays["test_scores"] = np.concatenate([scores for _, scores in scored])
    keys = [
        (s, p, items[p + 1])
        for s, items in zip(test.SessionId.unique(), grouped, strict=True)
        for p in range(len(items) - 1)
    ]
    arrays["test_keys"] = np.array(keys)
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    source = "official PyTorch implementation, commit d1fc311, on a CPU in float32; dropout from recorded noise"
    described = {
        "hyperparameters": parameters,
        "metrics": {},
        "steps": len(widths),
        "n_items": n_items,
        "source": source,
    }
    (folder / f"{name}.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for case in CASES:
        record(case, Path(sys.argv[1]), verified_checkout())
