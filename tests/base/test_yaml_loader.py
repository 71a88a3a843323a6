"""YAML as it is read here: one meaning for every value, bounded work, the place of every error (fault 22)."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gru4rec_cli.base.yaml_loader import YamlError, dump_yaml, load_yaml, read_yaml

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED = {
    "[" * 900: "more than 32 levels of keys and lists (line 1, column 33)",
    "".join(" " * depth + "a:\n" for depth in range(900)): "more than 32 levels of keys and lists (line 32, column 32)",
    "a: &r [*r]": "this holds an alias of itself (line 1, column 4)",
    "a: &r {b: {c: *r}}": "this holds an alias of itself (line 1, column 4)",
    LAUGHS: "more than 20,000 values, aliases included",
    "a: *b": "found undefined alias 'b' (line 1, column 4)",
    f"a: {'9' * 5000}": "99999999999999999999… (5,000 characters) is too large a number",
    "a: 9223372036854775808": "too large a number; at most 9223372036854775807 (line 1, column 4)",
    "a: 1e999": "1e999 is too large a number (line 1, column 4)",
    "a: !!int x": "the type tag:yaml.org,2002:int is not allowed",
    "a: !!timestamp 2024-99-99": "is not allowed; leave it out, or write text in quotes (line 1, column 4)",
    "a: !!python/object/apply:os.system [ls]": "is not allowed",
    "a: !!bool maybe": "is not allowed",
    "a: !!set {b, c}": "is not allowed",
    "a: 12:30:45": "12:30:45 is a number in base 60 to some YAML readers and text to others: put text in quotes",
    "a: -1:30.5": "in base 60",
    "a:\n  b: yes": "yes is true or false to some YAML readers and text to others: write true or false",
    "a: No": "write true or false, or put text in quotes (line 1, column 4)",
    "a: on": "write true or false",
    "a: OFF": "write true or false",
    "a: 010": "010 is octal to some YAML readers and decimal to others: leave out the first 0",
    "a: 0o17": "write a decimal number",
    "a: 0b101": "write a decimal number",
    "a: 1_000": "leave out the _",
    "a: 1_0.5e3": "leave out the _",
    "a: .inf": "write a finite number",
    "a: -.Inf": "write a finite number",
    "a: .NaN": "write a finite number",
    "a: 1\nb: 2\na: 3": "key 'a' is given twice (line 3, column 1)",
    "<<: {a: 1}": "merge keys (<<) are not allowed",
    "? [1]\n: 2": "a key is a list or holds keys itself",
    "a:\n\tb: 1": "found character '\\t' that cannot start any token (line 2, column 1)",
    'a: "\\uD800"': "the character U+D800 is not allowed (line 1, column 4)",
    'a: "\\0"': "the character U+0000 is not allowed",
    'a: "\\UFFFFFFFF"': "a value cannot be read",
    "a: 1\nb: \x07": "the character U+0007 is not allowed (line 2)",
    "a: 1\n---\nb: 2": "found another document",
    "a: [1": "not valid YAML",
    "%YAML 3.0\n---\na: 1": "found incompatible YAML document",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_has_no_one_meaning_or_no_bound_is_refused_with_its_place(text: str):
    began = time.monotonic()
    with pytest.raises(YamlError) as caught:
        load_yaml(text)
    assert REFUSED[text] in str(caught.value)
    assert len(str(caught.value)) < 300
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a:", {"a": None}),
        ("a: [~, null, '']", {"a": [None, None, ""]}),
        ("[true, False, TRUE]", [True, False, True]),
        ("[0, -5, +7, 0x1F, 9223372036854775807]", [0, -5, 7, 31, 2**63 - 1]),
        ("[1.5, 1e-3, -2E+3, .5, 3., 0.0]", [1.5, 0.001, -2000.0, 0.5, 3.0, 0.0]),
        ("[2024-01-08, 2024-99-99, 2024-01-08T12:30:45Z]", ["2024-01-08", "2024-99-99", "2024-01-08T12:30:45Z"]),
        ("[yes please, n, y, 1.2.3]", ["yes please", "n", "y", "1.2.3"]),
        ("[1a, '010', \"yes\", 0x, cuda:1]", ["1a", "010", "yes", "0x", "cuda:1"]),
        ("{1: a, yes: b, 010: c, ~: d, 2.0: e}", {"1": "a", "yes": "b", "010": "c", "~": "d", "2.0": "e"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: |\n  yes\n", {"a": "yes\n"}),
        ('a: "\\t\\x01"', {"a": "\t\x01"}),
    ],
)  # fmt: skip
def test_values_have_the_meaning_on_which_both_versions_of_yaml_agree(text: str, value: Any):
    assert load_yaml(text) == value


def test_what_an_alias_stands_for_is_made_anew():
    value = load_yaml("a: &x {b: []}\nc: *x")
    value["a"]["b"].append(1)
    assert value["c"] == {"b": []}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
LOOKALIKES = st.from_regex(
    r"[-+]?[0-9_.:eExo]{1,8}|yes|no|on|off|true|null|~|<<|=|[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | LOOKALIKES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | LOOKALIKES, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_as_the_same_value(value: Any):
    again = load_yaml(dump_yaml(value))
    assert again == value
    assert repr(again) == repr(value)  # 1 == 1.0 == True


@given(VALUES)
def test_other_readers_see_the_same_values(value: Any):
    assert yaml.safe_load(dump_yaml(value)) == value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: 1".encode("utf-16"), "the file is UTF-16 text; save it as UTF-8"),
        ("a: 1".encode("utf-16-le"), "the character U+0000 is not allowed (line 1)"),
        (b"a: 1\nb: \xff", "the file is not UTF-8 text (byte 9, line 2)"),
        (b"#" * 300_000, "the file has more than 256 KiB"),
    ],
)
def test_files_that_are_no_text_are_told(tmp_path: Path, content: bytes, told: str):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(YamlError) as caught:
        read_yaml(tmp_path / "a.yaml")
    assert told in str(caught.value)


def test_a_file_without_end_is_not_read_to_its_end():
    with pytest.raises(YamlError, match="more than 256 KiB"):
        read_yaml(Path("/dev/zero"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes("a: é".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "a.yaml") == {"a": "é"}
