"""Hashes and JSON files, read and written so that damage shows."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import StageError

MANIFEST = "manifest.json"


def hash_json(value: object) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes; a file that did not change since the last call is not read again."""
    status = path.stat()
    return _hash_file(str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash_file(path: str, size: int, mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(folder: Path) -> dict[str, str]:
    """Hash of every file below `folder` but the manifests and hidden files, by relative path, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in files
        if path.name != MANIFEST and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def hash_table(path: Path) -> str:
    """Hash of a table in one file, or in a folder of parts."""
    return hash_json(hash_folder(path)) if path.is_dir() else hash_file(path)


def by_table(hashes: Mapping[str, str]) -> dict[str, str]:
    """Hashes of the files of a folder, those of the parts of a table as the one that `hash_table` gives."""
    parts: dict[str, dict[str, str]] = {}
    for file, digest in hashes.items():
        table, _, part = file.partition("/")
        parts.setdefault(table, {})[part] = digest
    return {table: found.get("") or hash_json(found) for table, found in parts.items()}


def read_json(path: Path) -> Any:
    """A JSON file that this program wrote; damaged is a `StageError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"{path} is damaged: {error}", "run its stage again with --force") from error


def write_text(path: Path, text: str) -> None:
    """Write text so that a crash leaves either the old file or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write JSON, as `write_text` does."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
