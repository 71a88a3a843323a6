"""Every fault that was found by trying has a test, found by its number: `fault 23` in a test's name or comment."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FAULTS = {
    1: "STAN counts distances from the wrong shared item",
    2: "equal similarities differ by rounding",
    3: "a small lambda_snh underflows",
    4: "presets do not reproduce their authors' scripts",
    5: "a right split is refused where a straddling session lost its last items",
    6: "leaks of given splits pass in silence",
    7: "given splits are cleaned",
    8: "the cost of fitting contains compiling",
    9: "a model is read with another item table",
    10: "recommend with an index outside the table",
    11: "logq 50 is NaN",
    12: "ranks are taken over without their hashes",
    13: "threads are set by the command only",
    14: "the same bytes are promised on every machine",
    20: "a cutoff far above the number of items",
    21: "settings too large for memory",
    22: "YAML that surprises",
    23: "manifests that hold something else",
    24: "JSON lines with huge numbers or nesting",
    25: "fields over 131,072 characters",
    26: "dates at the end of time",
    27: "small files with more rows than memory holds",
    28: "no writable home, a read-only installation",
    29: "stdout closed, full or not UTF-8",
    30: "Ctrl-C early or twice",
    31: "names with line breaks, symbolic links, formulas",
    32: "a killed fetch leaves folders",
    33: "a dry run that says too little",
    40: "one id in two forms",
    41: "a text that stands for no value",
    42: "times in the wrong unit, sessions that restart for every user",
    43: "a crawler's session",
    44: "a model that still improves at its last epoch",
    45: "advice that misleads",
}


WITHOUT_TEST = {14: "it takes another processor; docs/devices.md says what was tried, and promises no more"}


@pytest.mark.parametrize("number", [number for number in FAULTS if number not in WITHOUT_TEST])
def test_a_test_names_the_fault(number: int):
    named = re.compile(rf"faults?[ _](?:\d+(?:, | and |_))*{number}(?!\d)", re.IGNORECASE)
    files = [path for path in TESTS.rglob("*.py") if path != Path(__file__)]
    assert any(named.search(path.read_text(encoding="utf-8")) for path in files), f"{number}: {FAULTS[number]}"
