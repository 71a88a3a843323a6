"""Git as a subprocess without prompts and hooks, limited to a few protocols."""

import os
import re
import signal
import subprocess
from pathlib import Path

from gru4rec_cli.base.errors import ExternalError, UsageError

_OLDEST = (2, 20)
_TIMEOUT = 600  # seconds a single git command may take
_PROTOCOLS = ("https", "ssh", "file")
_HOST = r"[A-Za-z0-9][A-Za-z0-9.-]*"
_URL = re.compile(rf"(https|ssh)://(?:[A-Za-z0-9._~-]+@)?{_HOST}(?::\d+)?/\S+")
_SCP = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]*@{_HOST}:[^:\s-]\S*")
_ALLOWED = "allowed are https://…, ssh://…, git@HOST:PATH, a folder, or a bundle file"
# A caller's own repository (say, inside a hook) must not be mistaken for the one meant.
_NOT_PASSED_ON = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX"}
_NOT_PASSED_ON |= {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_TEMPLATE_DIR", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES"}


def checked_source(source: str) -> str:
    """Return the source for git: an allowed URL, or an absolute path. Raises `UsageError` for anything else."""
    if source.startswith("-") or "\n" in source or not source.strip():
        raise UsageError(f"--source {source!r} is not a place to fetch from", _ALLOWED)
    if "::" in source or ("://" in source and not _URL.fullmatch(source)):
        raise UsageError(f"--source {_without_password(source)} is not allowed", _ALLOWED)
    path = Path(source).expanduser()
    if path.exists():
        return str(path.resolve())
    if _URL.fullmatch(source) or _SCP.fullmatch(source):
        return source
    raise UsageError(f"--source {source}: there is no such folder or file", _ALLOWED)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url)


def require_git() -> None:
    """Raise `ExternalError` where git is missing or too old."""
    found = re.search(r"(\d+)\.(\d+)", run_git("--version"))
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        version = found[0] if found else "of an unknown version"
        raise ExternalError(
            f"git is too old: {version}; at least {'.'.join(map(str, _OLDEST))} is needed", "install a newer git"
        )


def run_git(*arguments: str, folder: Path | None = None) -> str:
    """Run a git command and return its output. Raises `ExternalError` where it fails, with the end of its messages."""
    command = ["git", *_settings(), *(("-C", str(folder)) if folder else ()), *arguments]
    name = next((word for word in arguments if not word.startswith("-")), arguments[0])
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # so that git's helpers can be ended with it
        )
    except OSError as error:
        raise ExternalError(f"git cannot be run: {error.strerror}", "install git and try again") from error
    try:
        output, errors = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise ExternalError(
            f"git {name} did not end within {_TIMEOUT} s", "check the network, or give a local --source"
        ) from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        said = [line for line in errors.decode(errors="replace").splitlines() if line.strip()][-4:]
        raise ExternalError(
            f"git {name} failed: {_without_password('; '.join(said)) or f'exit status {process.returncode}'}",
            "check the source; without a network give a clone or a bundle: --source PATH",
        )
    return output.decode(errors="replace")


def _settings() -> list[str]:
    settings = {
        "protocol.allow": "never",
        **{f"protocol.{name}.allow": "always" for name in _PROTOCOLS},
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        "core.autocrlf": "false",
        "core.attributesFile": os.devnull,
        "core.symlinks": "false",
        "transfer.fsckObjects": "true",
        "submodule.recurse": "false",
        "advice.detachedHead": "false",
        "gc.auto": "0",
    }
    return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]


def _environment() -> dict[str, str]:
    passed = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
    passed.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    return passed | {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "LC_ALL": "C"}
