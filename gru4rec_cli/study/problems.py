"""What is wrong with a configuration, in words: the key, what was given, what is allowed, the nearest known key."""

import json
import re
from collections.abc import Iterable
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gru4rec_cli.base.errors import nearest
from gru4rec_cli.base.settings import ModelSettings

Places = dict[tuple[str, ...], str]  # where a key was given, such as mine.yaml:12, by the keys that lead to it


def place_of(problem: str, places: Places) -> str:
    """Return the place of the key with which a problem begins, or of the section that lacks it; maybe empty."""
    return places[keys] if (keys := leading_key(problem, places)) else ""


def leading_key(problem: str, known: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the longest of the known keys with which a problem begins; empty where it begins with none."""
    found = [keys for keys in known if re.match(re.escape(".".join(keys)) + r"[.:,]", problem)]
    return max(found, key=len, default=())


def problems_of(model: type[BaseModel], error: ValidationError, prefix: str = "") -> list[str]:
    """Return every problem but those that follow from another: a list is not too short because its items are wrong."""
    details = error.errors()
    wrong_inside = {detail["loc"][:end] for detail in details for end in range(len(detail["loc"]))}
    causes = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in wrong_inside]
    expected: dict[str, list[str]] = {}  # a key that takes several types has a problem for each
    for detail in causes:
        if detail["type"] in _TYPES:
            section, known = _section(model, [str(part) for part in detail["loc"]])
            example = _example(section, known, detail["type"])
            expected.setdefault(".".join(known), []).append(example)
    return list(dict.fromkeys(_describe(model, detail, prefix, expected) for detail in causes))


# What a type of error says was expected, the type of the example, and one for keys without a default of this type.
_TYPES: dict[str, tuple[str, type, str]] = {
    "tuple_type": ("a list such as", tuple, "[100]"),
    "list_type": ("a list such as", tuple, "[100]"),
    "dict_type": ("keys and values such as", dict, "{popularity: {}}"),
    "model_type": ("keys and values such as", dict, "{key: value}"),
    "int_type": ("a whole number such as", int, "10"),
    "int_from_float": ("a whole number such as", int, "10"),
    "float_type": ("a number such as", float, "0.5"),
    "string_type": ("a text such as", str, '"text"'),
    "bool_type": ("true or", bool, "false"),
}


def _example(section: type[BaseModel], keys: list[str], type_of_error: str) -> str:
    """Return what a key takes, in words, with an example: its default, if that is of the type."""
    words, kind, example = _TYPES[type_of_error]
    field = section.model_fields.get(keys[-1]) if keys else None
    default = field.default if field else None
    if keys[-2:-1] == ["models"]:
        example = "{kind: markov}"
    if keys[-1:] == ["predictions"]:
        example = "{theirs: FILE}"
    if kind is not bool and default and isinstance(default, kind) and not isinstance(default, bool):
        example = json.dumps(default)
    return f"{words} {example}"


def _named_type(given: object) -> str:
    """Return what a value of the configuration is, in words."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", dict: "keys and values"}
    return names.get(type(given), "nothing" if given is None else "a list")


def _describe(model: type[BaseModel], detail: ErrorDetails, prefix: str, expected: dict[str, list[str]]) -> str:
    """Return one problem: key path, what was given, what is allowed, the nearest known key."""
    parts = [str(part) for part in detail["loc"]]
    section, known = _section(model, parts)
    path = ".".join(p for p in [prefix, *known] if p) or "(top level)"
    if detail["type"] == "extra_forbidden":
        keys = list(section.model_fields) + (["kind"] if issubclass(section, ModelSettings) else [])
        return f"{path}: unknown key{nearest(parts[-1], keys)}; known here: {', '.join(keys) or 'none'}"
    if detail["type"] == "missing":
        return f"{path}: missing; {_about(section, known)}".rstrip("; ")
    given = short(detail["input"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "string_pattern_mismatch":
        message = "letters, digits, _ . + - are allowed, 64 at most, a letter or digit first"
    if detail["type"] in _TYPES:
        types = " or ".join(dict.fromkeys(expected[".".join(known)]))
        message = f"expected {types}, found {_named_type(detail['input'])}"
    if detail["type"] == "literal_error":
        message += nearest(detail["input"], re.findall("'([^']*)'", message))
    if detail["type"] == "value_error":
        key, separator, rest = message.partition(": ")  # a check of the section as a whole names its key
        inside = _nested_at(model, parts)
        return f"{path}.{key}: {rest}" if separator and inside and key in inside.model_fields else f"{path}: {message}"
    return f"{path}: given {given}; {message[0].lower()}{message[1:]}; {_about(section, known)}".rstrip("; ")


def _section(model: type[BaseModel], parts: list[str]) -> tuple[type[BaseModel], list[str]]:
    """Return the settings class of the last key of `parts`, and the parts that are keys (not union branches)."""
    section, keys = model, list[str]()
    for index, part in enumerate(parts):
        keys.append(part)
        field = section.model_fields.get(part)
        nested = _nested(field.annotation) if field else None
        if nested is None:
            if field is not None:
                rest = parts[index + 1 :]
                keys += rest if get_origin(field.annotation) is dict else [part for part in rest if part.isdigit()]
                break
        elif index < len(parts) - 1:
            section = nested
    return section, keys


def _nested_at(model: type[BaseModel], parts: list[str]) -> type[BaseModel] | None:
    """Return the settings class that `parts` lead to, if they lead to one."""
    inside: type[BaseModel] | None = model
    for part in parts:
        field = inside.model_fields.get(part) if inside else None
        inside = _nested(field.annotation) if field else None
    return inside


def _nested(annotation: object) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _about(section: type[BaseModel], keys: list[str]) -> str:
    field = section.model_fields.get(keys[-1]) if keys else None
    return (field.description or "") if field else ""


def short(given: object) -> str:
    """Return a value as JSON, cut where it is long."""
    text = json.dumps(given, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
