"""`evaluate`: rank every test event by every model, and average."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from gru4rec_cli import columns as names
from gru4rec_cli import scores
from gru4rec_cli.data import synthetic
from gru4rec_cli.data.sessions import Sessions, read_sessions, read_vocabulary
from gru4rec_cli.data.synthetic import PlantedProcess
from gru4rec_cli.errors import CheckError
from gru4rec_cli.evaluation import oracle, ranking
from gru4rec_cli.evaluation.ranking import ScoreError, TargetRanks, rank_targets
from gru4rec_cli.evaluation.summary import metric_rows
from gru4rec_cli.files import MANIFEST, hash_file, hash_json, read_json, write_json
from gru4rec_cli.models import registry
from gru4rec_cli.scores import Block
from gru4rec_cli.stages.showing import metrics_results
from gru4rec_cli.stages.work import StageResults, StageWork

_KEYS = "rank_keys.json"  # what each model's ranks were made from, so that they are made once


def run(work: StageWork) -> None:
    split = work.inputs["split"]
    test = read_sessions(split / names.TEST_FILE, read_vocabulary(split / names.ITEMS_FILE))
    data = [hash_file(split / names.TEST_FILE), hash_file(split / names.ITEMS_FILE), hash_file(Path(ranking.__file__))]
    (work.folder / names.RANKS_FOLDER).mkdir()
    counts: dict[str, TargetRanks] = {}
    keys: dict[str, str] = {}
    for name, folder in _model_folders(work).items():
        manifest = read_json(folder / MANIFEST)
        keys[name] = hash_json([data, manifest["key"], manifest["outputs"]])
        counts[name] = _ranks(work, name, keys[name], test, partial(_score, folder, test))
    not_applicable: dict[str, str] = {}
    if work.config.synthetic:
        not_applicable = _add_oracle(work, counts, keys, data, test)
    rows = metric_rows(counts, test, work.config.evaluate, work.config.seed, progress=work.progress)
    pd.DataFrame(rows).to_csv(work.folder / names.METRICS_TABLE, index=False)
    document = {
        "protocol": _protocol(work, test),
        "models": _models(work, counts),
        "not_applicable": not_applicable,
        "metrics": rows,
    }
    write_json(work.folder / names.METRICS_FILE, document)
    write_json(work.folder / _KEYS, keys)


def _model_folders(work: StageWork) -> dict[str, Path]:
    """Folder of every fitted model, in the order of the configuration."""
    return {
        name: work.inputs[section] / name for section in ("baseline", "train") for name in work.config.fitted(section)
    }


def _score(folder: Path, test: Sessions) -> Iterator[Block]:
    return registry.load_model(folder).score(test)


def _ranks(work: StageWork, name: str, key: str, test: Sessions, score: Callable[[], Iterator[Block]]) -> TargetRanks:
    """The model's ranks: taken over if they were made from the same model, data and code, else made and written."""
    path = Path(names.RANKS_FOLDER) / f"{name}.parquet"
    previous = work.previous
    if previous and (previous / path).exists() and read_json(previous / _KEYS).get(name) == key:
        shutil.copy(previous / path, work.folder / path)
        table = pl.read_parquet(work.folder / path)
        return TargetRanks(
            greater=table[names.GREATER].to_numpy(),
            equal=table[names.EQUAL].to_numpy(),
            greater_support=table[names.GREATER_SUPPORT].to_numpy(),
            equal_support=table[names.EQUAL_SUPPORT].to_numpy(),
            lists=np.empty((table.height, 0), dtype=np.int32),
        )
    try:
        found = rank_targets(score(), test, progress=work.progress, description=f"ranking by {name}")
    except ScoreError as error:
        raise CheckError(f"{name}: {error}") from error
    _rank_table(found, test).write_parquet(work.folder / path, compression="zstd")
    return found


def _rank_table(found: TargetRanks, test: Sessions) -> pl.DataFrame:
    targets = pl.Series(test.target_items()).to_frame("index")
    ids = pl.DataFrame({names.ITEM: test.vocabulary.ids}).with_row_index("index").cast({"index": pl.Int32})
    return pl.DataFrame(
        {
            names.SESSION: test.session_ids[test.event_sessions()],
            names.POSITION: test.event_positions(),
            names.ITEM: targets.join(ids, on="index", how="left", maintain_order="left")[names.ITEM],
            names.GREATER: found.greater,
            names.EQUAL: found.equal,
            names.GREATER_SUPPORT: found.greater_support,
            names.EQUAL_SUPPORT: found.equal_support,
        }
    )


def _add_oracle(
    work: StageWork, counts: dict[str, TargetRanks], keys: dict[str, str], data: list[str], test: Sessions
) -> dict[str, str]:
    """Rank by the planted process, or say why that would not be exact."""
    synth, split = work.inputs["synth"], work.inputs["split"]
    altered = _altered(read_json(split / names.STATISTICS_FILE))
    if altered:
        return {names.ORACLE: altered}
    code = [hash_file(Path(module.__file__)) for module in (oracle, synthetic, scores) if module.__file__]
    keys[names.ORACLE] = hash_json([data, hash_file(synth / names.PROCESS_FILE), code])
    process = PlantedProcess.load(synth / names.PROCESS_FILE)
    counts[names.ORACLE] = _ranks(
        work, names.ORACLE, keys[names.ORACLE], test, partial(oracle.oracle_scores, process, test)
    )
    return {}


def _altered(statistics: dict[str, Any]) -> str:
    """Why the test sessions are not those that were planted, or an empty text. Straddling sessions do not count: they
    are dropped whole, by their times alone."""
    removals = [entry for entry in statistics["removals"] if entry["step"] in ("cleaning", "test") and entry["events"]]
    if removals:
        reasons = ", ".join(f"{entry['events']} events ({entry['reason']})" for entry in removals)
        return f"the test sessions are not as they were planted: the split removed {reasons}"
    if statistics["unseen"]["test"]["events"]:
        return "the test holds items that training lacks"
    return ""


def _protocol(work: StageWork, test: Sessions) -> dict[str, Any]:
    settings = work.config.evaluate
    return {
        "task": "next item: every click of a test session but its first, from the clicks before it",
        "candidates": "all training items",
        "unit": "events",
        "ties": settings.ties,
        "cutoffs": list(settings.cutoffs),
        "unseen": work.config.split.unseen,
        "interval": "session-cluster bootstrap, percentiles",
        "confidence": settings.confidence,
        "resamples": settings.resamples,
        "seed": work.config.seed,
        "events": test.n_targets,
        "sessions": test.n_sessions,
        "items": test.n_items,
    }


def _models(work: StageWork, counts: dict[str, TargetRanks]) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for section in ("baseline", "train"):
        for name, entry in work.config.fitted(section).items():
            models[name] = {
                "kind": entry.kind,
                "stage": section,
                "description": registry.model_class(entry.kind).description,
                "settings": entry.settings.model_dump(mode="json"),
            }
    if names.ORACLE in counts:
        models[names.ORACLE] = {
            "kind": names.ORACLE,
            "stage": "oracle",
            "description": oracle.DESCRIPTION,
            "settings": {},
        }
    return models


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    return metrics_results(folder, inputs)
