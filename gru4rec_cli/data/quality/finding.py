"""What a check has to say, and how it is said as a warning."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gru4rec_cli.base.warnings import warn

Words = Mapping[str, str | Callable[[re.Match[str]], str]]  # a pattern, and what replaces it


class Finding(NamedTuple):
    """One thing that is probably wrong with a log: the id of a warning, what and where, and what to do about it."""

    id: str
    message: str
    hint: str
    value: Any = None  # of the setting that the hint proposes


def warn_of(findings: Iterable[Finding]) -> None:
    """Give each finding as a warning, in their order."""
    for finding in findings:
        warn(finding.id, finding.message, finding.hint)


def reworded(findings: Iterable[Finding], words: Words) -> Iterator[Finding]:
    """Give findings with other words in their hints: `words` has patterns, and what replaces each of them."""
    for finding in findings:
        yield finding._replace(hint=reworded_text(finding.hint, words))


def reworded_text(text: str, words: Words) -> str:
    """Return a text with each of the patterns in `words` replaced."""
    for pattern, replacement in words.items():
        text = re.sub(pattern, replacement, text)
    return text
