"""Fetching the author's own GRU4Rec at a pinned commit, and checking that the files are those of the commit."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from gru4rec_cli.base.errors import ExternalError, StageError, UsageError
from gru4rec_cli.base.files import hash_file, remove, write_json
from gru4rec_cli.models.official.git import checked_source, require_git, run_git

PIN_VARIABLE = "GRU4REC_STUDY_PIN"  # another pin file, for a mirror or a fork
VENDOR_VARIABLE = "GRU4REC_STUDY_VENDOR"
FETCH_FILE = "fetch.json"

_HERE = Path(__file__).parents[2]  # the package
_CHECKOUT = _HERE.parent  # of this project, where the package runs from one
_NOT_OF_THE_TREE = {".git", FETCH_FILE}
_CACHE = "__pycache__"  # never read: the worker compiles the sources themselves
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_NAME, _HASH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), re.compile(r"[0-9a-f]{40}")
_HINT = "fetch it again: gru4rec-study fetch --force"


@dataclass(frozen=True)
class Pin:
    """A commit of a repository, and the terms of its use."""

    name: str
    url: str
    commit: str
    tree: str  # git's hash of all its files, their names and contents
    licence: str
    attribution: str


@dataclass(frozen=True)
class Fetched:
    """The result of a fetch."""

    action: Literal["fetched", "present"]
    folder: Path
    source: str
    pin: Pin

    def as_dict(self) -> dict[str, str]:
        """Return the result and the terms of use, ready for JSON."""
        described = {"action": self.action, "folder": str(self.folder), "source": self.source}
        return described | {key: value for key, value in asdict(self.pin).items() if key not in ("name", "url")}


def pin_file() -> Path:
    """Return the pin file: $GRU4REC_STUDY_PIN, that of the installed package, or that of this project's checkout."""
    given = os.environ.get(PIN_VARIABLE)
    if given:
        return Path(given)
    packaged = _HERE / "pin.json"
    return packaged if packaged.exists() else _CHECKOUT / "vendor" / "pin.json"


def read_pin(path: Path | None = None) -> Pin:
    """Read a pin file; raises `UsageError` where it is not one."""
    path = path or pin_file()
    try:
        pin = Pin(**json.loads(path.read_text(encoding="utf-8")))
        if not _NAME.fullmatch(pin.name) or not (_HASH.fullmatch(pin.commit) and _HASH.fullmatch(pin.tree)):
            raise ValueError("name, commit or tree is not of the right form")
        return pin
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is not a pin: {error}", f"it needs the keys {', '.join(Pin.__annotations__)}"
        ) from error


def vendor_folder(given: Path | None = None) -> Path:
    """Return the folder of fetched code: `given`, $GRU4REC_STUDY_VENDOR, this project's `vendor`, or `vendor` here."""
    if given is not None:
        return given
    if os.environ.get(VENDOR_VARIABLE):
        return Path(os.environ[VENDOR_VARIABLE])
    ours = _CHECKOUT / "vendor"
    return ours if (ours / "pin.json").exists() and (_CHECKOUT / "pyproject.toml").exists() else Path("vendor")


def fetch(
    source: str | None = None, vendor: Path | None = None, *, pin: Pin | None = None, force: bool = False
) -> Fetched:
    """Fetch the pinned commit into the vendor folder. If it is there already, no network is used.

    `source` is a mirror, a local clone or a bundle of the pinned repository. The folder appears complete or not at all.

    Raises:
        StageError: files were changed (`force` replaces them).
        ExternalError: git fails, or the source does not hold the commit.
        UsageError: the source is not allowed, or the folder cannot be written.
    """
    pin = pin or read_pin()
    source = checked_source(source) if source is not None else None
    folder = vendor_folder(vendor) / pin.name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / ".fetch.lock")
        with lock.acquire(timeout=0):
            _clean_up(folder, pin)
            if folder.exists() and not force:
                return Fetched("present", folder, _verify(folder, pin)["source"], pin)
            source = source or checked_source(pin.url)
            require_git()
            partial = folder.with_name(f".{pin.name}.partial")
            try:
                _check_out(source, partial, pin)
                _publish(partial, folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except Timeout:
        raise UsageError(f"another fetch is under way in {folder.parent}", "wait for it to end") from None
    except OSError as error:
        raise UsageError(f"{folder.parent} cannot be written: {error.strerror}", "give another --vendor") from error
    return Fetched("fetched", folder, source, pin)


def verified_checkout(vendor: Path | None = None, *, pin: Pin | None = None) -> Path:
    """Return the folder with the author's code after checking every file.

    Raises:
        StageError: the code has not been fetched, or was changed.
    """
    pin = pin or read_pin()
    folder = vendor_folder(vendor) / pin.name
    if not folder.is_dir():
        raise StageError(
            f"the author's code is not in {folder}",
            "run first: gru4rec-study fetch (it is free for research and education; see docs/official.md)",
        )
    _verify(folder, pin)
    return folder


def _check_out(source: str, folder: Path, pin: Pin) -> None:
    run_git(
        "clone", "--quiet", "--no-checkout", "--no-local", "--no-tags", "--no-recurse-submodules", "--template=",
        "--", source, str(folder),
    )  # fmt: skip
    if not _holds(folder, pin.commit):
        try:  # it may be on no branch
            run_git("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "origin", pin.commit, folder=folder)
        except ExternalError as error:
            raise ExternalError(
                f"{source} does not hold the pinned commit {pin.commit}", "give another --source, or none"
            ) from error
    tree = run_git("rev-parse", f"{pin.commit}^{{tree}}", folder=folder).strip()
    if tree != pin.tree:
        raise ExternalError(f"commit {pin.commit} of {source} has the tree {tree}, not the pinned {pin.tree}")
    run_git("checkout", "--quiet", "--detach", pin.commit, folder=folder)
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "exclude").write_text(f"/{FETCH_FILE}\n{_CACHE}/\n", encoding="utf-8")
    if _tree_hash(folder) != pin.tree:
        raise ExternalError(f"the files that git wrote are not those of {pin.commit}", "try a newer git")
    hashes = {file.relative_to(folder).as_posix(): hash_file(file) for file in _files(folder)}
    write_json(folder / FETCH_FILE, {"source": source, **asdict(pin), "files": hashes})


def _holds(folder: Path, commit: str) -> bool:
    try:
        return run_git("cat-file", "-t", commit, folder=folder).strip() == "commit"
    except ExternalError:
        return False


def _clean_up(folder: Path, pin: Pin) -> None:
    """Remove what a fetch that was killed has left; what it had moved away comes back."""
    remove(folder.with_name(f".{pin.name}.partial"))
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    remove(old)


def _publish(partial: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _verify(folder: Path, pin: Pin) -> dict[str, Any]:
    """The manifest of a fetched folder. Raises `StageError`, naming what was changed, where it is not as pinned."""
    try:
        manifest: dict[str, Any] = json.loads((folder / FETCH_FILE).read_text(encoding="utf-8"))
        files: dict[str, str] = dict(manifest["files"])
        manifest["source"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"{folder} was not made by gru4rec-study fetch, or is damaged", _HINT) from error
    if manifest.get("commit") != pin.commit:
        raise StageError(f"{folder} holds commit {manifest.get('commit')}, not the pinned {pin.commit}", _HINT)
    if _tree_hash(folder) == pin.tree:
        return manifest
    found = {file.relative_to(folder).as_posix(): hash_file(file) for file in _files(folder)}
    changed = [f"{name} (changed)" for name in files if name in found and found[name] != files[name]]
    changed += [f"{name} (missing)" for name in files if name not in found]
    changed += [f"{name} (added)" for name in found if name not in files]
    raise StageError(f"{folder} is not as it was fetched: {', '.join(changed) or 'modes of files changed'}", _HINT)


def _files(folder: Path) -> list[Path]:
    """The files of a checkout, git's own and caches left out."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name in _NOT_OF_THE_TREE or path.name == _CACHE:
            continue
        found += _files(path) if path.is_dir() and not path.is_symlink() else [path]
    return found


def _tree_hash(folder: Path, *, top: bool = True) -> str:
    """Git's hash of the files in a folder, computed from their bytes without git and its index.

    A tree is the list of its entries, each `mode name NUL hash`, folders sorted as if their names ended in `/`.
    """
    entries: list[tuple[bytes, bytes]] = []
    for path in folder.iterdir():
        if path.name == _CACHE or (top and path.name in _NOT_OF_THE_TREE):
            continue
        name = os.fsencode(path.name)
        if path.is_symlink():
            mode, digest = b"120000", _git_hash("blob", os.fsencode(path.readlink()))
        elif path.is_dir():
            mode, digest = b"40000", _tree_hash(path, top=False)
            if digest == _EMPTY_TREE:
                continue  # git knows no empty folders
        else:
            mode = b"100755" if path.stat().st_mode & 0o100 else b"100644"
            digest = _git_hash("blob", path.read_bytes())
        entries.append((name + (b"/" if mode == b"40000" else b""), mode + b" " + name + b"\0" + bytes.fromhex(digest)))
    return _git_hash("tree", b"".join(entry for _, entry in sorted(entries)))


def _git_hash(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
