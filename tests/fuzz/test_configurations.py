"""Random configurations: every one is refused with a message or is the same after it was written and read again.

A wrong success would be: a key that no section knows passes, or a value changes on its way (fault 22).
"""

import json
import random
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from gru4rec_cli.base.yaml_loader import dump_yaml
from gru4rec_cli.study.config import load_config, resolved
from tests.fuzz.seeds import TIMES, ends_with, generator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 * TIMES)]

COUNT = 2000 * TIMES
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the former is ten times as fast

CONFIG: dict[str, Any] = {
    "name": "fuzzed",
    "seed": 42,
    "seeds": [1, 2],
    "data": {"source": "synth"},
    "synth": {"sessions": 1500, "items": 50, "interests": 2, "successors": 3, "start": "2024-01-01", "noise": 0.1},
    "split": {"by": "ratio", "test": 0.2, "valid": 0.1, "recent": {"share": "1/4"}, "preset": None, "windows": None},
    "baseline": {"models": {"popularity": {}, "markov": {"order": 2}, "near": {"kind": "vsknn", "k": 50}}},
    "train": {
        "models": {
            "gru4rec": {
                "layers": [8, 8],
                "epochs": 2,
                "learning_rate": 0.1,
                "validate_on": "recall@5",
                "device": "cpu",
            },
            "other": {"kind": "gru4rec", "loss": "bpr-max", "bpreg": 0.5},
        }
    },
    "evaluate": {"cutoffs": [5, 10, 20], "resamples": 50, "confidence": 0.9, "ties": "median"},
    "report": {"title": "A study", "languages": ["en", "es"]},
}
FROM_FILES: dict[str, Any] = {
    **CONFIG,
    "data": {
        "train": "a.csv",
        "test": "b.csv",
        "columns": {"session": "s", "item": "i", "time": None, "user": "u", "event": "e"},
        "separator": ";",
        "events": ["view"],
        "sessions": {"by": "user", "gap_minutes": 30.0, "min_dwell_seconds": 1.5},
        "on_error": "skip",
        "engine": "polars",
    },
    "spark": {"master": "local[2]", "options": {"a": "b"}},
}  # fmt: skip
PLAIN = [
    "yes",
    "No",
    "on",
    "OFF",
    "010",
    "0o7",
    "0b1",
    "0x1F",
    "1_000",
    "12:30:45",
    ".inf",
    "-.INF",
    ".nan",
    "1e999",
    "1e-999",
    "-0",
    "-1",
    "0",
    "1",
    "2",
    "3.5",
    "1e3",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "9" * 5000,
    "1e308",
    "-1e308",
    "5e-324",
    "true",
    "null",
    "~",
    "",
    "''",
    "' '",
    "a",
    "'1'",
    "2024-01-01",
    "2024-99-99",
    "9999-12-31",
    "0001-01-01T00:00+23:59",
    "!!int x",
    "!!timestamp 2024-99-99",
    "!!binary x",
    "!!set {a}",
    "!!float a",
    "&a [*a]",
    "&r {a: *r}",
    "*nothing",
    "[" * 900,
    "{" * 50,
    "[]",
    "{}",
    "[1, 2]",
    "{a: 1}",
    "[[1]]",
    "{a: {b: 1}}",
    '"\\0"',
    '"\\uD800"',
    '"\\n"',
    '"\\x1b[2J"',
    "'" + "x" * 3000 + "'",
    "=cmd()",
    "../../etc",
    "/",
    "synth",
    "random",
    "oracle",
    "recall@0",
    "recall@99999999999999999999",
    "cuda:999",
    "mps",
    "auto",
    "rsc15",
    "'1/0'",
    "'1/64'",
    "'1e-999999999'",
    "<<",
    "? 1",
    "- 1",
    "|",
    ">",
    "%a",
    "@a",
    "`a",
    "#",
    "\t",
    "\x07",
    "\u2028",
    "\x85",
    "\ufeff",
    "é",
    "{<<: {a: 1}}",
    "{1: 2}",
]
NAMES = [
    "kind",
    "sed",
    "models",
    "Popularity",
    "oracle",
    "a b",
    "a\n",
    "..",
    "1",
    "",
    "=x",
    "~",
    "x" * 80,
    "é",
    "a.b",
    "-",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside of a configuration."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for key, child in inside for place in [(*path, key), *places(child, (*path, key))]]


def mutate(rng: random.Random, config: dict[str, Any]) -> str:
    """The configuration as YAML with one to three places changed: another value, no value, another key, broken text."""
    config, plain = json.loads(json.dumps(config)), dict[str, str]()
    for number in range(rng.choice([1, 1, 1, 2, 3])):
        *parents, last = rng.choice(places(config))
        section = config
        for parent in parents:
            section = section[parent]
        change = rng.random()
        if change < 0.7:
            plain[f"PLAIN{number}"] = rng.choice(PLAIN)
            section[last] = f"PLAIN{number}"
        elif change < 0.8:
            del section[last]
        elif isinstance(section, dict):
            section[rng.choice(NAMES)] = section.pop(last) if rng.random() < 0.5 else rng.choice(NAMES)
    text = yaml.dump(config, Dumper=DUMPER, sort_keys=False)
    for mark, value in plain.items():
        text = text.replace(mark, value, 1)
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["\t", "\0", "{", "'", ":", "\n", "- ", "\ufeff", "&a ", "*a", "\r"]) + text[at:]
    return text


def test_a_random_configuration_is_refused_or_means_the_same_after_it_was_written(tmp_path: Path):
    rng, path, ends = generator("configurations"), tmp_path / "study.yaml", Counter[int | None]()
    for _ in range(COUNT):
        text = mutate(rng, rng.choice([CONFIG, FROM_FILES]))
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        began_one = time.monotonic()
        code = ends_with(lambda: load_config(path))
        assert time.monotonic() - began_one < 20, text
        ends[code] += 1
        if code is None:
            config = resolved(load_config(path))
            path.write_text(dump_yaml(config), encoding="utf-8")
            assert resolved(load_config(path)) == config, text
        else:
            assert code == 2, text
    assert sum(ends.values()) == COUNT
    assert ends[None] > COUNT / 20  # some are valid
    assert ends[2] > COUNT / 2


def test_an_unknown_key_never_passes(tmp_path: Path):
    rng, path = generator("keys"), tmp_path / "study.yaml"
    sections = [place for place in places(CONFIG) if isinstance(at(CONFIG, place), dict) and place[-1] != "models"]
    for _ in range(400 * TIMES):
        config = json.loads(json.dumps(CONFIG))
        key = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz_", k=rng.randrange(1, 12))) + "0"
        at(config, rng.choice([(), *sections]))[key] = rng.choice([1, "a", None, [], {}])
        path.write_text(yaml.dump(config, Dumper=DUMPER), encoding="utf-8")
        assert ends_with(lambda: load_config(path)) == 2, key


def test_random_values_of_set_are_refused_or_mean_the_same(tmp_path: Path):
    rng, path, again = generator("overrides"), tmp_path / "study.yaml", tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    keys = [".".join(map(str, place)) for place in places(CONFIG) if all(isinstance(part, str) for part in place)]
    ends = Counter[int | None]()
    for _ in range(600 * TIMES):
        override = f"{rng.choice([*keys, 'a', '', 'a..b', 'name.x', 'train.models.new.kind'])}={rng.choice(PLAIN)}"
        code = ends_with(partial(load_config, path, [override]))
        ends[code] += 1
        if code is None:
            config = resolved(load_config(path, [override]))
            again.write_text(dump_yaml(config), encoding="utf-8")
            assert resolved(load_config(again)) == config, override
    assert set(ends) == {None, 2}


def at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value
