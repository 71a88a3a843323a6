"""A file that is not what its name says is called by its kind, with what to do about that kind."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.filekind import kind_of
from gru4rec_cli.data.guessing import sample_of
from gru4rec_cli.data.reading import read_log

TEXT = "SessionId,ItemId,Time\n" + "".join(f"{n // 3},{n % 7},{1_700_000_000 + n}\n" for n in range(60))


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("log.csv")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    return stream.getvalue()


FILES = {
    "a zip archive": ("e.csv", zipped("log.csv"), "is a zip archive", "unpack it"),
    "a zip archive named .gz": ("e.csv.gz", zipped("log.csv"), "is a zip archive, not gzip data", "unpack it"),
    "a zip archive by its name": ("e.zip", zipped("log.csv"), "is a zip archive", "unpack it"),
    "a spreadsheet": ("e.csv", zipped("[Content_Types].xml", "xl/workbook.xml"), "is a spreadsheet", "CSV UTF-8"),
    "an old spreadsheet": ("e.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is a spreadsheet", "CSV UTF-8"),
    "a tar archive": ("e.csv", tarred(), "is a tar archive", "tar -xf"),
    "a compressed tar archive": ("e.csv.gz", gzip.compress(tarred()), "unpacked, is a tar archive", "tar -xf"),
    "gzip twice": ("e.csv.gz", gzip.compress(gzip.compress(TEXT.encode())), "unpacked, is gzip data", "gunzip"),
    "bzip2": ("e.csv.bz2", bz2.compress(TEXT.encode()), "is bzip2 data", "bunzip2"),
    "xz": ("e.csv", lzma.compress(TEXT.encode()), "is xz data", "unxz"),
    "zstd": ("e.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(20), "is zstd data", "unzstd"),
    "JSON": ("e.csv", json.dumps([{"SessionId": 1}]).encode(), "is JSON", "read_json"),
    "JSON lines": ("e.csv", b'{"SessionId": 1, "ItemId": 2}\n' * 3, "is JSON", "lines=True"),
    "HTML": ("e.csv", b"\n<!DOCTYPE html>\n<html><body>Sign in", "is an HTML page", "download the file again"),
    "XML": ("e.csv", b'\xef\xbb\xbf<?xml version="1.0"?><a/>', "is XML", "as .csv or .parquet"),
    "UTF-16": ("e.csv", TEXT.encode("utf-16"), "is text in UTF-16", "iconv -f UTF-16 "),
    "UTF-16 without a mark": ("e.csv", TEXT.encode("utf-16-le"), "is text in UTF-16", "iconv -f UTF-16LE"),
    "UTF-16 of the other order": ("e.csv", TEXT.encode("utf-16-be"), "is text in UTF-16", "iconv -f UTF-16BE"),
    "UTF-16 in gzip": ("e.csv.gz", gzip.compress(TEXT.encode("utf-16")), "unpacked, is text in UTF-16", "iconv"),
    "UTF-32": ("e.csv", TEXT.encode("utf-32"), "is text in UTF-32", "iconv -f UTF-32"),
    "a pickle": ("e.csv", b"\x80\x04\x95\x10" + bytes(9), "is a Python pickle", "as .csv or .parquet"),
    "a pointer": ("e.csv", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS", "git lfs pull"),
    "Parquet named .csv": ("e.csv", b"PAR1" + bytes(40), "is a Parquet file", ".parquet"),
    "text named .parquet": ("e.parquet", TEXT.encode(), "not a readable Parquet file", ".csv"),
    "gzip named .parquet": ("e.parquet", gzip.compress(TEXT.encode()), "is gzip data", "gunzip"),
    "padded gzip": (
        "e.csv.gz",
        gzip.compress(TEXT.encode()) + bytes(512),
        "other bytes follow the gzip",
        "gunzip --stdout",
    ),
    "Latin-1": ("e.csv", TEXT.replace(",1,", ",é,").encode("latin-1"), "byte 0xe9", "iconv -f WINDOWS-1252"),
    "a line of Excel": (
        "e.csv",
        ("sep=;\n" + TEXT.replace(",", ";")).encode(),
        "no column",
        "line 1 is one that spreadsheet programs add",
    ),
    "a title": ("e.csv", ("Clicks of May\n" + TEXT).encode(), "no column", "remove what stands before"),
    "no line of names": (
        "e.csv",
        TEXT.partition("\n")[2].encode(),
        "no column",
        "add a line such as SessionId,ItemId,Time",
    ),
    "no line of names, ISO times": ("e.csv", b"a1,shoe,2024-03-01T09:15:02Z\n" * 3, "no column", "looks like data"),
}


@pytest.mark.parametrize("case", FILES)
def test_the_true_kind_and_its_remedy_are_said(tmp_path, case):  # fault 45
    name, content, message, hint = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_log(tmp_path / name, DataSettings(source=name))
    assert message in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    "case", ["a zip archive", "UTF-16", "text named .parquet", "a line of Excel", "no line of names"]
)
def test_init_says_it_too(tmp_path, case):  # fault 45
    name, content, _, _ = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        sample_of(tmp_path / name)


@pytest.mark.parametrize("text", [TEXT, "\ufeff" + TEXT, "[id],time\n1,2\n", "a;b\n<1;2\n", "OR,b\n", "é\u0000"[:1]])
def test_text_is_text(text):
    assert kind_of(text.encode()) is None
