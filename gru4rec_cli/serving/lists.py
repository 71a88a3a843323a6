"""Recommendations of a fitted model after one history, and what lists may hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.evaluation.recommending import Choice
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.serving.given_ids import given_ids, ids_in, read_id_file

NAMED = 3  # unknown ids that an error names


@dataclass(frozen=True)
class Wish:
    """The length of lists, and the items that they may hold."""

    k: int = 20
    exclude_seen: bool = False
    candidates: Path | None = None  # a file of the ids that alone may be recommended; None: all
    exclude: Path | None = None  # a file of ids that may not
    column: str | None = None  # that of the ids, where these files are tables


def recommend_items(fitted: FittedModel, items: str, wish: Wish) -> dict[str, Any]:
    """Return the recommendations after clicks on some items, the last one last, ready for JSON.

    Raises:
        UsageError: the model knows none of the items, or nothing is left to recommend.
        DataError: a file of ids cannot be read.
    """
    history = given_ids(ids_in(items, "--items"), fitted)
    if not history.known:
        raise UsageError(f"--items: {nothing_known(history.unknown, fitted)}", "check the ids")
    choice, given = choice_of(fitted, wish)
    allowed = None if choice.allowed is None else fitted.ids[choice.allowed]
    best, scores = fitted.recommend(history.known, wish.k, exclude_seen=wish.exclude_seen, candidates=allowed)
    ranked = enumerate(zip(best.tolist(), scores.tolist(), strict=True), start=1)
    return {
        "model": about(fitted),
        "k": wish.k,
        "items": history.known,
        "unknown": {"items": history.unknown, **given},
        "recommendations": [{"rank": rank, "item": item, "score": score} for rank, (item, score) in ranked],
    }


def table(document: dict[str, Any]) -> Table:
    """Return the table that the terminal shows of `recommend_items`."""
    rows = document["recommendations"]
    return Table(
        title=f"Recommendations of {document['model']['kind']}",
        columns=("Rank", "Item", "Score"),
        rows=tuple((str(row["rank"]), str(row["item"]), f"{row['score']:.6g}") for row in rows),
        numeric=frozenset({0, 2}),
    )


def notes(document: dict[str, Any]) -> list[str]:
    """Return what was passed over, and what was written, a line each."""
    unknown, said = document["unknown"], []
    if "recommendations" in document and unknown["items"]:
        found = unknown["items"]
        said.append(f"passed over: {_counted(len(found), 'item')} that the model does not know ({_shown(found)})")
    elif unknown.get("clicks"):
        clicks, items = _counted(unknown["clicks"], "click"), _counted(unknown["items"], "item")
        said.append(f"passed over: {clicks} on {items} that the model does not know")
    files = {name: unknown[name] for name in ("candidates", "exclude") if unknown.get(name)}
    said += [f"passed over: {_counted(n, 'id')} of --{name} that the model does not know" for name, n in files.items()]
    for what, number in document.get("without_list", {}).items():
        if number:
            of = _counted(number, what.removesuffix("s"))
            why = "without a known item before them" if what == "clicks" else "without a known item"
            said.append(f"no list: {of} {why}")
    if "written" in document:
        lists = _counted(document["lists"], "list")
        said.append(f"written: {document['written']}, {lists} of {_counted(document['sessions'], 'session')}")
    return said


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _shown(ids: list[str]) -> str:
    return ", ".join(ids[:NAMED]) + (", …" if len(ids) > NAMED else "")


def about(fitted: FittedModel) -> dict[str, Any]:
    """Return what a document says of the model."""
    return {"kind": fitted.kind, "seed": fitted.seed, "items": len(fitted.ids)}


def nothing_known(texts: list[str], fitted: FittedModel) -> str:
    """Return the message for ids of which the model knows none."""
    kind = "text" if isinstance(fitted.id_list[0], str) else "whole numbers"
    return (
        f"the model knows none of the items ({_shown(texts)}); it knows {len(fitted.ids):,}, whose ids are {kind} like "
        f"{fitted.id_list[0]!r}"
    )


def choice_of(fitted: FittedModel, wish: Wish) -> tuple[Choice, dict[str, int]]:
    """Return which items may be recommended, and how many ids of each file the model does not know.

    Raises:
        UsageError: nothing is left to recommend.
        DataError: a file cannot be read, or the model knows none of the candidates.
    """
    files = {"candidates": wish.candidates, "exclude": wish.exclude}
    found = {
        name: given_ids(read_id_file(path, wish.column), fitted) for name, path in files.items() if path is not None
    }
    candidates = found["candidates"].known if "candidates" in found else None
    if candidates is not None and not candidates:
        message = f"--candidates: {nothing_known(found['candidates'].unknown, fitted)}"
        raise DataError(message, "write the ids as the training data has them")
    excluded = found["exclude"].known if "exclude" in found else []
    choice = fitted.choice(candidates, excluded, exclude_seen=wish.exclude_seen)
    if choice.allowed is not None and not choice.allowed.any():
        raise UsageError("--exclude: nothing is left to recommend", "exclude fewer items, or allow more candidates")
    return choice, {name: len(ids.unknown) for name, ids in found.items()}
