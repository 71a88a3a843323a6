"""What a manifest records of where its artifacts come from: code, raw files, versions, machine."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.files import hash_file, hash_json

_PACKAGE = Path(__file__).resolve().parents[1]
# Files that decide what is shown or fetched, but not what a stage writes.
_WITHOUT_RESULTS = (
    "cli.py", "commands", "__main__.py", "conformance", "bench",
)  # fmt: skip

_SOURCES = ("py", "toml", "jinja", "css", "js")  # programs, and what pages are made of


def code_hash(stage: str, extra: Iterable[Path] = ()) -> str:
    """Hash of the source files that may decide what a stage writes: all of the package but its shell, the reporting
    for `report` alone, and `extra` ones. Coarse, so that nothing stale is kept; models and ranks have finer keys.
    """
    without = _WITHOUT_RESULTS if stage == "report" else (*_WITHOUT_RESULTS, "reporting")
    sources = {
        path
        for kind in _SOURCES
        for path in _PACKAGE.rglob(f"*.{kind}")
        if path.relative_to(_PACKAGE).parts[0] not in without and "__pycache__" not in path.parts
    }
    return hash_json({_label(path): hash_file(path) for path in sorted(sources | set(extra))})


def _label(source: Path) -> str:
    return source.relative_to(_PACKAGE).as_posix() if source.is_relative_to(_PACKAGE) else source.name


def raw_hashes(files: Mapping[str, str | None], recorded: Mapping[str, str]) -> dict[str, str]:
    """Hashes of raw files by label. A file that is gone counts as unchanged where its hash was `recorded`: what was
    made of it is still what it was. Raises `DataError` where a file is missing or cannot be read."""
    hashes: dict[str, str] = {}
    for label, given in files.items():
        if given is None:
            continue
        path = Path(given)
        if not path.is_file() and label in recorded:
            hashes[label] = recorded[label]
            continue
        if not path.is_file():
            raise DataError(f"{label}: there is no file {path}", "check the path; it is relative to the current folder")
        try:
            hashes[label] = hash_file(path)
        except OSError as error:
            raise DataError(f"{label}: {path} cannot be read: {error.strerror}", "check its permissions") from error
    return hashes


def differences(old: object, new: object, path: str = "") -> list[str]:
    """What changed between two plain values, as `key: old → new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if old == new else [f"{path}: {_short(old)} → {_short(new)}"]


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
