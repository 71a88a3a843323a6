"""YAML without its traps: one meaning for every value, bounded work, and the place of every error.

Plain values have the meaning that YAML 1.1 and 1.2 agree on; what the two read differently (`yes`, `010`, `12:30:45`)
is refused. Dates stay text.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Lines = dict[tuple[str, ...], int]  # the line, from 1, of every key and item, by the keys (and places) that lead to it

_LARGEST_FILE = 256 * 1024  # bytes; longer ones take seconds to read, and no configuration is as long
_DEEPEST = 32  # levels of keys and lists
_MOST_VALUES = 20_000  # after every alias has been replaced by what it stands for
_LARGEST_NUMBER = 2**63 - 1

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"[-+]?0x[0-9a-fA-F]+")
_FRACTION = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_TWO_MEANINGS = (
    (
        re.compile(r"(?i:yes|no|on|off)"),
        "is true or false to some YAML readers and text to others: write true or false, or put text in quotes",
    ),
    (
        re.compile(r"[-+]?0[0-9_]+"),
        "is octal to some YAML readers and decimal to others: leave out the first 0, or put text in quotes",
    ),
    (
        re.compile(r"[-+]?0o[0-7]+|[-+]?0b[01_]+"),
        "is a number to some YAML readers and text to others: write a decimal number, or put text in quotes",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
        "is a number in base 60 to some YAML readers and text to others: put text in quotes",
    ),
    (
        re.compile(r"[-+]?(?=[0-9_.]*_)[0-9][0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?"),
        "is a number to some YAML readers and text to others: leave out the _, or put text in quotes",
    ),
    (
        re.compile(r"[-+]?\.(?i:inf)|\.(?i:nan)"),
        "is not a number that a setting may have: write a finite number, or put text in quotes",
    ),
)
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")


class YamlError(ValueError):
    """A text that is not YAML as it is read here; the message names line and column."""


def load_yaml(text: str) -> Any:
    """Return the value of a YAML text: dictionaries with text as keys, lists, text, numbers, truth values and None.

    Raises:
        YamlError: it is not valid YAML, is too deep or too large, or a value has more than one meaning.
    """
    return _load(text)[0]


def _load(text: str) -> tuple[Any, Lines]:
    try:
        node = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _error(f"not valid YAML: {error.problem or error}", error.problem_mark) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"the character U+{error.character:04X} is not allowed (line {line})") from error
    except YamlError:
        raise
    except (ValueError, OverflowError) as error:  # such as \UFFFFFFFF in a quoted text
        raise YamlError(f"a value cannot be read: {error}") from error
    values = _Values()
    return (None if node is None else values.read(node)), values.lines


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds; errors are those of `read_yaml_with_lines`."""
    return read_yaml_with_lines(path)[0]


def read_yaml_with_lines(path: Path) -> tuple[Any, Lines]:
    """Return what a YAML file holds, see `load_yaml`, and the line of every key and every item of a list.

    Raises:
        OSError: it cannot be read.
        YamlError: it is no text in UTF-8, is too large, or is not valid.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise YamlError(f"the file has more than {_LARGEST_FILE // 1024} KiB; it is not a configuration")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise YamlError("the file is UTF-16 text; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlError(f"the file is not UTF-8 text (byte {error.start + 1}, line {line})") from error
    return _load(text)


def dump_yaml(value: Any) -> str:
    """Return a YAML text that `load_yaml` reads as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Composer(yaml.SafeLoader):
    """Builds the tree of a text, to a limited depth and without explicit types such as !!int."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _error(
                f"the type {event.tag} is not allowed; leave it out, or write text in quotes", event.start_mark
            )
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _error(f"more than {_DEEPEST} levels of keys and lists", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Values:
    """Turns a tree into values; what an alias stands for is made anew at every place."""

    def __init__(self) -> None:
        self._count = 0
        self._open: set[int] = set()  # nodes that are being read
        self.lines: Lines = {}

    def read(self, node: yaml.Node, path: tuple[str, ...] = ()) -> Any:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _error(f"more than {_MOST_VALUES:,} values, aliases included", node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._open:
            raise _error("this holds an alias of itself", node.start_mark)
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            value: Any = dict(self._pairs(node, path))
        else:
            value = []
            for place, child in enumerate(node.value):
                inside = (*path, str(place))
                self.lines[inside] = child.start_mark.line + 1
                value.append(self.read(child, inside))
        self._open.remove(id(node))
        return value

    def _pairs(self, node: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error("a key is a list or holds keys itself; write a name", key.start_mark)
            name = _text(key)
            if name == "<<" and key.style is None:
                raise _error("merge keys (<<) are not allowed; repeat the keys", key.start_mark)
            if name in seen:
                raise _error(f"key {name!r} is given twice", key.start_mark)
            seen.add(name)
            inside = (*path, name)
            self.lines[inside] = key.start_mark.line + 1
            yield name, self.read(child, inside)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = _text(node)
    if node.style is not None:  # in quotes, or a block of text
        return text
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    for pattern, why in _TWO_MEANINGS:
        if pattern.fullmatch(text):
            raise _error(f"{_short(text)} {why}", node.start_mark)
    if _WHOLE.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        number = int(text, 0) if len(text) < 25 else _LARGEST_NUMBER + 1
        if abs(number) > _LARGEST_NUMBER:
            raise _error(f"{_short(text)} is too large a number; at most {_LARGEST_NUMBER}", node.start_mark)
        return number
    if _FRACTION.fullmatch(text):
        if abs(float(text)) == float("inf"):
            raise _error(f"{_short(text)} is too large a number", node.start_mark)
        return float(text)
    return text


def _text(node: yaml.ScalarNode) -> str:
    found = _NOT_TEXT.search(node.value)
    if found:
        raise _error(f"the character U+{ord(found[0]):04X} is not allowed", node.start_mark)
    return str(node.value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:20]}… ({len(text):,} characters)"


def _error(problem: str, mark: Any) -> YamlError:
    return YamlError(f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem)


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that `load_yaml`, or another reader, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile("|".join(f"(?:{p.pattern})$" for p in (_FRACTION, _HEXADECIMAL, *(p for p, _ in _TWO_MEANINGS)))),
    None,
)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    escaped = bool(_OTHER_BREAKS.search(text))  # in other quotes they would be folded into a space
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if escaped else None)


_Dumper.add_representer(str, _represent_text)
