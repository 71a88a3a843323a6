"""A Python file around somebody else's model as something that can be checked."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from gru4rec_cli.audit.model import Scorer
from gru4rec_cli.base.errors import ExternalError, UsageError


def scorer_of_module(path: Path, cases: Sequence[Path] = ()) -> Scorer:
    """Return what a Python file defines, which is run: `score(histories)`, `histories`, and what more of docs/audit.md.

    Raises:
        UsageError: the file is not there, or does not define them.
        ExternalError: it fails, or ends the program.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "see docs/audit.md for what it defines")
    spec = importlib.util.spec_from_file_location("audited_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _foreign(path):
        spec.loader.exec_module(module)
    if not callable(getattr(module, "score", None)) or not getattr(module, "histories", None):
        raise UsageError(f"{path} lacks score(histories) or histories", "see docs/audit.md for what it defines")
    try:
        histories = [[int(item) for item in history] for history in module.histories]
    except (TypeError, ValueError):
        histories = [[]]
    if not all(histories):
        raise UsageError(
            f"{path}: histories are not lists of item indices, none of them empty", "such as [[3, 1], [7]]"
        )

    def function(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with _foreign(path):
                return getattr(module, name)(*arguments)

        return call

    def defined(name: str) -> Callable[..., Any] | None:
        return function(name) if callable(getattr(module, name, None)) else None

    scorer = Scorer(str(path), function("score"), histories)
    renumbered = (scorer, function("score_renumbered"))
    return replace(
        scorer,
        cases=tuple(cases),
        adapter=path if defined("replay") else None,
        followed=defined("score_followed"),
        renumbered=(lambda: renumbered) if defined("score_renumbered") else None,
        gradients=defined("gradients"),
    )


@contextmanager
def _foreign(path: Path) -> Iterator[None]:
    """Run code of the user's: what it prints goes to stderr, and whatever it raises is an error that names the file.

    Raises:
        ExternalError: it fails, or ends the program.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        raise ExternalError(f"{path} failed: {type(error).__name__}: {error}", "correct the file") from error
