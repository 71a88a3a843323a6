"""Trains a model of RecBole, evaluates it with RecBole, and lets this program judge its lists and its own figures.

    python docs/dev/judge_recbole.py TRAIN.tsv TEST.tsv FOLDER

The parts have SessionId, ItemId and Time. RecBole wants numpy < 2 and pandas < 3, so it has an environment of its own,
which runs this script: pip install recbole==1.2.1 'numpy<2' 'pandas<3' setuptools. `--program` says how to call this
program from there.

RecBole's part follows its run_example/session_based_rec_example.py, but the test chooses no epoch. It is evaluated
twice: on every click of a test session but its first, and on the last click of each alone. The lists are for the first.
"""

import argparse
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import recbole
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.utils import get_dataloader
from recbole.utils import get_model, get_trainer, init_logger, init_seed
from recbole.utils.case_study import full_sort_topk

K, CHUNK = 20, 1000
LONGEST = 20  # history, in clicks: RecBole pads all to the longest one, and takes as much longer
HEADER = "session_id:token\titem_id_list:token_seq\titem_id:token\n"
STUDY = """
name: recbole
data:
  train: {train}
  test: {test}
  columns: {{session: SessionId, item: ItemId, time: Time}}
  time_unit: seconds
split: {{drop_duplicates: false, drop_repeats: false, min_item_support: 1, min_session_length: 2, unseen: keep}}
baseline: {{models: {{popularity: {{}}, markov: {{}}, sknn: {{}}}}}}
evaluate:
  predictions: {{recbole: {lists}}}
"""


class Event(NamedTuple):
    """A click to be predicted, and the last clicks of its session before it; its name is SESSION:POSITION."""

    name: str
    history: list[str]
    target: str


def events_of(part: Path) -> Iterator[list[Event]]:
    """Yield the events of every session of two clicks or more; sessions and clicks are in order of time."""
    clicks = pd.read_csv(part, sep="\t", dtype={"SessionId": str, "ItemId": str}).sort_values("Time", kind="stable")
    for session, items in clicks.groupby("SessionId", sort=False)["ItemId"].agg(list).items():
        if len(items) > 1:
            yield [Event(f"{session}:{n + 1}", items[max(0, n - LONGEST) : n], items[n]) for n in range(1, len(items))]


def write_benchmark(file: Path, events: list[Event]) -> None:
    """Write events as RecBole's benchmark files have them: a row is a history and its target."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{event.name}\t{' '.join(event.history)}\t{event.target}\n" for event in events]
    file.write_text(HEADER + "".join(rows))


def fitted(folder: Path, model: str, settings: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return RecBole's trainer after training, its model, and the data to evaluate on by name: test and last."""
    fixed = {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "USER_ID_FIELD": "session_id",
        "load_col": None,
        "benchmark_filename": ["train", "test", "last"],
        "alias_of_item_id": ["item_id_list"],
        "train_neg_sample_args": None,
        "topk": [K],
        "metrics": ["Recall", "MRR"],
        "valid_metric": f"MRR@{K}",
        "use_gpu": False,
        "show_progress": False,
    }
    config = Config(model=model, dataset="clicks", config_dict=fixed | settings)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, *rest = create_dataset(config).build()
    batches = get_dataloader(config, "train")(config, train, None, shuffle=True)
    made = get_model(config["model"])(config, train).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, made)
    trainer.fit(batches, saved=False, verbose=True)
    loader = get_dataloader(config, "test")
    return (
        trainer,
        made,
        {n: loader(config, of, None, shuffle=False) for n, of in zip(("test", "last"), rest, strict=True)},
    )


@torch.no_grad()
def lists_of(model: Any, data: Any, events: list[Event]) -> pd.DataFrame:
    """Return the K best items of every event with their scores, a row an item."""
    dataset, tables = data.dataset, []
    for start in range(0, len(events), CHUNK):
        names = [event.name for event in events[start : start + CHUNK]]
        scores, items = full_sort_topk(dataset.token2id("session_id", names), model, data, K)
        sessions, positions = zip(*(name.rsplit(":", 1) for name in names), strict=True)
        table = pd.DataFrame({"session": sessions, "position": positions})
        table = table.loc[table.index.repeat(K)].reset_index(drop=True)
        table["item"] = dataset.id2token("item_id", items.numpy()).ravel()
        table["rank"] = list(range(1, K + 1)) * len(names)
        table["score"] = scores.numpy().ravel()
        tables.append(table)
    return pd.concat(tables)


def call(program: str, *arguments: object) -> None:
    """Call this program and print the command and its output. A failed check is no error: it is what is asked for."""
    command = [*shlex.split(program), *map(str, arguments)]
    print(f"\n$ gru4rec-study {shlex.join(map(str, arguments))}", flush=True)
    if subprocess.run(command).returncode not in (0, 6):
        raise SystemExit("gru4rec-study failed")


def main() -> None:
    """Train and evaluate with RecBole, audit its lists with both of its figures, and judge them in a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="GRU4Rec", help="a sequential model of RecBole")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--program", default="gru4rec-study", help="how to call this program")
    given = parser.parse_args()

    sessions = list(events_of(given.test))
    parts = {
        "train": [event for session in events_of(given.train) for event in session],
        "test": [event for session in sessions for event in session],
        "last": [session[-1] for session in sessions],
    }
    for name, events in parts.items():
        write_benchmark(given.folder / "clicks" / f"clicks.{name}.inter", events)
    trainer, model, data = fitted(given.folder, given.model, {"epochs": given.epochs, "train_batch_size": 256})
    print(f"RecBole {recbole.__version__}, torch {torch.__version__}, {given.model}, {given.epochs} epochs")
    claims = {}
    for name, batches in data.items():
        figures = trainer.evaluate(batches, load_best_model=False, show_progress=False)
        claims[name] = [f"--claim={metric}={value:.4f}" for metric, value in figures.items()]
        print(f"RecBole on {name}, {len(parts[name]):,} events: {dict(figures)}")
    file = given.folder / "recbole.csv"
    lists_of(model, data["test"], parts["test"]).to_csv(file, index=False)

    for name in data:
        audit = ["audit", "predictions", file, "--train", given.train, "--test", given.test]
        call(given.program, *audit, *claims[name], "--quiet")
    study = given.folder / "study.yaml"
    study.write_text(STUDY.format(train=given.train, test=given.test, lists=file))
    call(given.program, "run", "--config", study, "--run-dir", given.folder / "run", "--quiet")


if __name__ == "__main__":
    main()
