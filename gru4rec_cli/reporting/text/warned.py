"""Warnings of a run's stages in words."""

import re
from collections.abc import Mapping, Sequence

from gru4rec_cli.base.files import MANIFEST
from gru4rec_cli.base.warnings import WARNINGS
from gru4rec_cli.reporting.text.words import Sentence, Words

Warned = Mapping[str, Sequence[Mapping[str, str]]]  # by stage: id, message and hint of each
_MOST = 4  # messages of one kind that are all shown; of more, one fewer
_ANY = "NAME"  # in a remedy, in place of what differs


def warning_sentences(warned: Warned, words: Words) -> list[Sentence]:
    """Return every kind of warning of a stage once, below it what was found and what to do. Its id leads to the
    documentation. What was found is in English in every language, as its artifact holds it."""
    return [
        _sentence(stage, id, [(place, w) for place, w in enumerate(warnings) if w.get("id", "") == id], words)
        for stage, warnings in warned.items()
        for id in dict.fromkeys(warning.get("id", "") for warning in warnings)
    ]


def _sentence(stage: str, id: str, found: Sequence[tuple[int, Mapping[str, str]]], words: Words) -> Sentence:
    """Return one kind of warning; `found` are those of this kind, each with its place in the manifest."""
    head = words.say("warning_kind", about=words.phrase(WARNINGS.get(id, id)), id=id, stage=stage)
    warnings = [warning for _, warning in found]
    shown = warnings if len(warnings) <= _MOST else warnings[: _MOST - 1]
    below = [words.say("warning_found", message=warning.get("message", words("missing"))) for warning in shown]
    below += [_more(warnings[len(shown) :], words)] if len(shown) < len(warnings) else []
    hints = common_form([warning["hint"] for warning in warnings if warning.get("hint")])
    below += [words.say("warning_hint", hint=hint) for hint in hints]
    places = ", ".join(str(place) for place, _ in found) if len(found) <= _MOST else f"{found[0][0]}–{found[-1][0]}"
    return Sentence(head.text, head.values, f"{stage}/{MANIFEST} › warnings[{places}]", tuple(below))


def _more(warnings: Sequence[Mapping[str, str]], words: Words) -> Sentence:
    """Return how many more warnings there are, and of which models where all of them are about models."""
    models = [warning.get("model", "") for warning in warnings]
    count = words.count(len(warnings))
    if not all(models):
        return words.say("warning_more", count=count)
    return words.say("warning_more_of", count=count, models=", ".join(dict.fromkeys(models)))


def common_form(texts: Sequence[str]) -> list[str]:
    """Return texts that differ in single words as one, NAME in place of these words; else every text once."""
    distinct = [*dict.fromkeys(texts)]
    words_of = [re.findall(r"\w+|\W+", text) for text in distinct]
    if len(distinct) < 2 or len({len(words) for words in words_of}) > 1:
        return distinct
    columns = [[*dict.fromkeys(column)] for column in zip(*words_of, strict=True)]
    differing = [column for column in columns if len(column) > 1]
    if len(differing) > 1 or not all(word[0].isalnum() or word[0] == "_" for word in differing[0]):
        return distinct
    return ["".join(column[0] if len(column) == 1 else _ANY for column in columns)]
