"""Hashes and JSON files, read and written so that damage shows."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import StageError, UsageError
from gru4rec_cli.base.names import COSTS

MANIFEST = "manifest.json"
_DIGEST = "digest"


def hash_json(value: object) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes; a file that did not change since the last call is not read again."""
    status = path.stat()
    return _hash_file(str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash_file(path: str, device: int, inode: int, size: int, mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(folder: Path) -> dict[str, str]:
    """Hash of every file below `folder` but those of `hash_costs` and hidden ones, by relative path, sorted."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (path for path in files if path.name != MANIFEST and not _holds_costs(path) and not is_hidden(path))
    return {path.as_posix(): hash_file(folder / path) for path in kept}


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


def hash_costs(folder: Path) -> dict[str, str]:
    """Hash of every manifest below `folder` but its own, and of every file of its folder of costs, by relative path.

    What they hold differs from run to run: it counts for damage, but not for what later stages are made from.
    """
    files = sorted(path.relative_to(folder) for path in folder.glob("*/**/*") if path.is_file())
    found = (path for path in files if path.name == MANIFEST or _holds_costs(path))
    return {path.as_posix(): hash_file(folder / path) for path in found if not is_hidden(path)}


def _holds_costs(path: Path) -> bool:
    """Return whether a relative path is in the folder of costs."""
    return path.parts[0] == COSTS and len(path.parts) > 1


def is_hidden(path: Path) -> bool:
    """Return whether a relative path, or a folder that it goes through, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def read_json(path: Path) -> Any:
    """A JSON file that this program wrote; damaged or unreadable is a `StageError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StageError(f"{path} cannot be read: {error.strerror}", "run its stage again with --force") from error
    except (ValueError, RecursionError) as error:
        raise StageError(f"{path} is damaged: {error}", "run its stage again with --force") from error


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest that `write_manifest` wrote; any other content is a `StageError`."""
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get(_DIGEST) != _digest(manifest):
        message = f"{path} is damaged: its content does not have the {_DIGEST} that it names"
        raise StageError(message, "run its stage again with --force")
    return manifest


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest with a hash of its own content."""
    write_json(path, {**manifest, _DIGEST: _digest(manifest)})


def _digest(manifest: Mapping[str, Any]) -> str:
    return hash_json({key: value for key, value in manifest.items() if key != _DIGEST})


def require_place(path: Path, option: str, *, folder: bool) -> None:
    """Check, before any work, that a file or a folder can be written where an option says.

    A folder may be there, and is made with those above it if not; a file needs its folder, and may not be a folder.

    Raises:
        UsageError: it cannot.
    """
    above = path if folder else path.parent
    if not folder and path.is_dir():
        raise UsageError(f"{option}: {path} is a folder", "name a file in it")
    if not folder and not above.exists():
        raise UsageError(f"{option}: there is no folder {above}", "make it first, or give another place")
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise UsageError(f"{option}: {above} is a file, not a folder", "give another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{option}: the folder {above} cannot be written", "check its permissions")


def write_text(path: Path, text: str) -> None:
    """Write text so that a crash leaves either the old file or the new one; links are replaced, not followed."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - Path has no way to refuse a link
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write JSON, as `write_text` does."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
