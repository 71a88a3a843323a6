"""The kind of a file, told from its first bytes, and what to do about one that is not a table of text or Parquet."""

import re
from typing import NamedTuple

START = 4096  # bytes that are looked at

PARQUET = b"PAR1"
GZIP = b"\x1f\x8b"


class Kind(NamedTuple):
    """The name of a kind of file, in words that follow "is", and what to do about it."""

    name: str
    hint: str


_AGAIN = "or compress it with gzip and name it .gz"
_TABLE = "write its table as .csv or .parquet with the program that reads it"
_ICONV = "convert it to UTF-8: iconv -f {0} -t UTF-8 FILE > NEW"
_SPREADSHEET = Kind("a spreadsheet (Excel)", "save the sheet as CSV UTF-8 in the spreadsheet program")
_MARKS = {
    b"BZh": Kind("bzip2 data", f"unpack it (bunzip2), {_AGAIN}"),
    b"\xfd7zXZ": Kind("xz data", f"unpack it (unxz), {_AGAIN}"),
    b"\x28\xb5\x2f\xfd": Kind("zstd data", f"unpack it (unzstd), {_AGAIN}"),
    b"\x04\x22\x4d\x18": Kind("lz4 data", f"unpack it (unlz4), {_AGAIN}"),
    b"7z\xbc\xaf": Kind("a 7z archive", "unpack it, and name a file of the archive"),
    b"Rar!": Kind("a RAR archive", "unpack it, and name a file of the archive"),
    GZIP: Kind("gzip data", "unpack it (gunzip), or let its name end in .gz"),
    PARQUET: Kind("a Parquet file", "rename it to end in .parquet"),
    b"ARROW1": Kind("an Arrow (Feather) file", _TABLE),
    b"ORC": Kind("an ORC file", _TABLE),
    b"Obj\x01": Kind("an Avro file", _TABLE),
    b"SQLite format 3": Kind("an SQLite database", _TABLE),
    b"\x89HDF": Kind("an HDF5 file", _TABLE),
    b"\x93NUMPY": Kind("a NumPy array", _TABLE),
    b"%PDF": Kind("a PDF document", "look for the table itself"),
    b"\xd0\xcf\x11\xe0": _SPREADSHEET,
    b"version https://git-lfs": Kind("a pointer of Git LFS", "run git lfs pull in its repository"),
    b"\xff\xfe\x00\x00": Kind("text in UTF-32", _ICONV.format("UTF-32")),
    b"\x00\x00\xfe\xff": Kind("text in UTF-32", _ICONV.format("UTF-32")),
    b"\xff\xfe": Kind("text in UTF-16", _ICONV.format("UTF-16")),
    b"\xfe\xff": Kind("text in UTF-16", _ICONV.format("UTF-16")),
}  # a longer mark stands before a shorter one that it begins with
_PAGE = Kind("an HTML page", "a download often gives a page that asks to sign in: download the file again")
JSON = Kind(
    "JSON", "convert it: pandas.read_json(FILE).to_csv(NEW, index=False), with lines=True if each line is an object"
)
_TEXTS = {
    rb"<!doctype html|<html": _PAGE,
    rb"<\?xml": Kind("XML", _TABLE),
    rb"\[\s*[\[{]|\{\s*(\"|\})": JSON,
}


def kind_of(start: bytes) -> Kind | None:
    """Return the kind of a file that begins like this; None where it may be text in UTF-8."""
    if start.startswith(b"PK\x03\x04"):
        is_sheet = b"xl/" in start or b"[Content_Types].xml" in start
        return _SPREADSHEET if is_sheet else Kind("a zip archive", "unpack it, and name a file of the archive")
    if start[257:262] == b"ustar":
        return Kind("a tar archive", "unpack it (tar -xf), and name a file of the archive")
    if re.match(rb"\x80[\x02-\x05]", start):
        return Kind("a Python pickle", f"data.format: srgnn reads those of SR-GNN; of others, {_TABLE}")
    for mark, kind in _MARKS.items():
        if start.startswith(mark):
            return kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, kind in _TEXTS.items():
        if re.match(pattern, text, re.IGNORECASE):
            return kind
    return _by_zeros(start)


def _by_zeros(start: bytes) -> Kind | None:
    """Bytes of zero: of UTF-16 without a byte order mark, or of something that is no text."""
    if b"\0" not in start:
        return None
    pairs = max(1, len(start) // 2)
    if start[1::2].count(0) > 0.9 * pairs and start[::2].count(0) < 0.1 * pairs:
        return Kind("text in UTF-16", _ICONV.format("UTF-16LE"))
    if start[::2].count(0) > 0.9 * pairs and start[1::2].count(0) < 0.1 * pairs:
        return Kind("text in UTF-16", _ICONV.format("UTF-16BE"))
    return Kind("damaged (it holds bytes of zero)", "copy or download it again; is it the right file?")
