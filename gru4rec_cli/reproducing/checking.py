"""What is wrong with a table of one's own: its own keys, and the configurations that it makes, before anything runs."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from gru4rec_cli.base.errors import ConfigError
from gru4rec_cli.reproducing.table import PublishedTable, model_name
from gru4rec_cli.study.config import check_values
from gru4rec_cli.study.problems import Places, leading_key, place_of, problems_of

Keys = tuple[str, ...]  # that lead to a value


def require_valid(raw: Any, places: Places, where: str) -> None:
    """Check the values of a table file.

    Raises:
        ConfigError: they are wrong; every problem names a key of the table and its line.
    """
    if not isinstance(raw, dict):
        raise ConfigError(["the file must hold keys and values, such as `title: A table`"], where)
    problems: list[str] = []
    try:
        PublishedTable.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        problems = problems_of(PublishedTable, error)
    problems = list(dict.fromkeys([*problems, *_problems_of_rows(raw), *_problems_of_studies(raw)]))
    if problems:
        raise ConfigError(problems, where, [place_of(problem, places) for problem in problems])


def _problems_of_rows(raw: dict[str, Any]) -> Iterator[str]:
    rows = _items(raw.get("rows"))
    if rows and not any(_items(row).get("figures") for row in rows.values()):
        yield "rows: none has figures; give at least one, such as figures: {recall@20: 0.5}"
    owners: dict[str, str] = {}
    for row in rows:
        owner = owners.setdefault(model_name(row), row)
        if owner != row:
            yield f"rows.{row}: differs from {owner!r} in signs alone; give one of them another name"


def _problems_of_studies(raw: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the models and with each form of the data, by the keys of the table."""
    models = {
        row: entry["model"] for row, entry in _items(raw.get("rows")).items() if _items(_items(entry).get("model"))
    }
    train = {"models": {model_name(row): model for row, model in models.items()}}
    for place, sections in _readings(raw):
        in_table: dict[Keys, Keys] = {("train", "models", model_name(row)): ("rows", row, "model") for row in models}
        in_table |= {(section,): (*place, section) for section in sections}
        for problem in check_values({"name": "table", **sections, "train": train})[1]:
            if keys := leading_key(problem, in_table):
                yield ".".join(in_table[keys]) + problem[len(".".join(keys)) :]


def _readings(raw: dict[str, Any]) -> list[tuple[Keys, dict[str, Any]]]:
    """Return the sections of every form of the data, with the keys that lead to them; of one without any, if none."""
    forms = _items(raw.get("data")).get("forms")
    found: list[tuple[Keys, dict[str, Any]]] = []
    for number, form in enumerate(forms if isinstance(forms, list) else ()):
        study = _items(_items(form).get("study"))
        sections: dict[str, Any] = {key: study[key] for key in ("data", "split") if key in study}
        found.append((("data", "forms", str(number), "study"), sections))
    return found or [((), {})]


def _items(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
