"""Warnings of a run's stages in words."""

from collections.abc import Mapping, Sequence

from gru4rec_cli.base.files import MANIFEST
from gru4rec_cli.base.warnings import WARNINGS
from gru4rec_cli.reporting.text.words import Sentence, Words

Warned = Mapping[str, Sequence[Mapping[str, str]]]  # by stage: id, message and hint of each


def warning_sentences(warned: Warned, words: Words) -> list[Sentence]:
    """Return every warning: of which kind it is, below that what was found and what to do. Its id leads to the
    documentation. What was found is in English in every language, as its artifact holds it."""
    return [
        _sentence(stage, warning, f"{stage}/{MANIFEST} › warnings[{place}]", words)
        for stage, warnings in warned.items()
        for place, warning in enumerate(warnings)
    ]


def _sentence(stage: str, warning: Mapping[str, str], source: str, words: Words) -> Sentence:
    id = warning.get("id", "")
    head = words.say("warning_kind", about=words.phrase(WARNINGS.get(id, id)), id=id, stage=stage)
    below = [words.say("warning_found", message=warning.get("message", words("missing")))]
    below += [words.say("warning_hint", hint=warning["hint"])] if warning.get("hint") else []
    return Sentence(head.text, head.values, source, tuple(below))
