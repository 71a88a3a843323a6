"""A quote that was left open, or is out of place, is named with its line; the lines far from it are not read slowly."""

from pathlib import Path

import pytest

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data import delimited
from gru4rec_cli.data.delimited import Dialect, check_records, survey
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.reading import read_log

LINES = 20_000
NEAR = 20  # lines that may be read slowly around the one at fault, and to find its place


def written(folder: Path, bad: dict[int, str]) -> Path:
    """A file of LINES events, of which the line with a number, from 1, is another one."""
    lines = ["SessionId,ItemId,Time", *(f'{n // 4},"{n % 50}",{1_600_000_000 + n}' for n in range(LINES))]
    for number, line in bad.items():
        lines[number - 1] = line
    path = folder / "e.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the lines that Python's own reader was given."""
    seen: list[int] = []
    decode = delimited._decode

    def noted(path: Path, number: int, line: bytes) -> str:
        seen.append(number)
        return decode(path, number, line)

    monkeypatch.setattr(delimited, "_decode", noted)
    return seen


def refusal(path: Path, **fields: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read_log(path, DataSettings(source=str(path), **fields))  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('7,"x,5', "line 15000: the record does not end as it should (',' expected after '\"')"),
        ('7,"x"y,5', "line 15000: the record does not end as it should (',' expected after '\"')"),
        ('7,x"y,5', "line 15000 holds a lone quote"),
    ],
)
@pytest.mark.parametrize("batch", [1 << 23, 1 << 12])
def test_a_quote_out_of_place_is_found_without_reading_the_lines_before(
    tmp_path: Path, slow: list[int], monkeypatch: pytest.MonkeyPatch, line: str, message: str, batch: int
):
    monkeypatch.setattr(delimited, "_BATCH", batch)
    error = refusal(written(tmp_path, {15_000: line}))
    assert message in error.message
    assert len(slow) <= NEAR


@pytest.mark.parametrize("batch", [1 << 23, 1 << 12])
def test_a_quote_that_is_never_closed_is_named_by_its_line(
    tmp_path: Path, slow: list[int], monkeypatch: pytest.MonkeyPatch, batch: int
):
    monkeypatch.setattr(delimited, "_BATCH", batch)
    plain = {n: f"{n},1,{n}" for n in range(19_901, LINES + 2)}
    error = refusal(written(tmp_path, {**plain, 19_950: '7,"x,5'}))
    assert "line 19950: the record does not end as it should (unexpected end of data)" in error.message
    assert len(slow) <= LINES - 19_950 + NEAR


def test_a_field_that_goes_on_too_long_ends_the_search(
    tmp_path: Path, slow: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(delimited, "_BATCH", 1 << 12)
    monkeypatch.setattr(delimited, "LONGEST_QUOTED", 10_000)
    plain = {n: f"{n},1,{n}" for n in range(2, LINES + 2)}
    path = written(tmp_path, {**plain, 300: '7,"x,5'})
    error = refusal(path)
    assert "line 300: a quote opens a field that is not closed within 10,000 bytes" in error.message
    assert "data.quote: null" in error.hint
    assert len(slow) <= NEAR
    assert survey(path, Dialect(","), 1 << 62).records > LINES - 3000  # the memory check still counts what follows
    skipped = read_log(path, DataSettings(source=str(path), on_error="skip"))
    assert skipped.facts["bad_rows"] == [{"reason": "broken quotes", "rows": 1, "first": "e.csv, line 300"}]
    assert skipped.events.height == LINES - 1


def test_a_field_over_many_lines_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # fault 25
    monkeypatch.setattr(delimited, "_BATCH", 1 << 12)
    path = tmp_path / "e.csv"
    note = '"' + 'a line with ""quotes""\n' * 2000 + '"'
    path.write_text(f"SessionId,ItemId,Time,note\n1,2,3,{note}\n1,3,4,x\n")
    assert read_log(path, DataSettings(source=str(path))).events.height == 2


def test_a_bad_value_is_looked_for_only_until_its_row(tmp_path: Path, slow: list[int]):
    error = refusal(written(tmp_path, {40: "7,8,soon"}))
    assert "line 40, column 'Time': 'soon' is not a number" in error.message
    assert len(slow) <= 4 * 40
    slow.clear()
    assert "line 30 has 2 fields" in refusal(written(tmp_path, {30: "7,8", 40: "7,8,soon"})).message
    assert len(slow) <= 4 * 40


def test_records_are_numbered_by_their_lines_wherever_a_check_begins(tmp_path: Path):
    path = tmp_path / "e.csv"
    path.write_text('a,b\n1,"x\ny"\n2,z\n3\n')
    for first in (1, 2, 4, 5):
        with pytest.raises(delimited.RecordError, match="line 5 has 1 field, the header has 2"):
            check_records(path, Dialect(","), 0, delimited.Part(first))
    check_records(path, Dialect(","), 0, delimited.Part(last_line=4))
    check_records(path, Dialect(","), 0, delimited.Part(most=3))
