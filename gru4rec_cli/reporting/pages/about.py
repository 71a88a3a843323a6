"""How the numbers came about: protocol, models, environment, provenance."""

import math
from collections.abc import Mapping
from typing import Any

import yaml

from gru4rec_cli.evaluation.metrics import METRICS, TIE_RULES
from gru4rec_cli.evaluation.slices import TARGETS
from gru4rec_cli.reporting.findings.run import METRICS_SOURCE, metric_label
from gru4rec_cli.reporting.pages.blocks import Block, Gap, Sentences
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.data import UNSEEN_FATES
from gru4rec_cli.reporting.text.phrases import tie_name
from gru4rec_cli.reporting.text.words import Sentence, Words

_TOLD = {"task", "candidates", "items", "events", "sessions", "ties", "cutoffs", "unit"}
_TOLD |= {"confidence", "interval", "resamples", "slices", "test", "permutations", "unseen", "seed", "seeds"}
_PROTOCOL_SOURCE = f"{METRICS_SOURCE} › protocol"


def protocol_sentences(protocol: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Return the protocol in words, then whatever else its artifact holds."""

    def told(key: str) -> str:
        value = protocol.get(key)
        return words("in_place", key=words.label(key)) if value is None else words.plain(value)

    ties, confidence = str(protocol.get("ties")), protocol.get("confidence")
    level = told("confidence") if confidence is None else words.level(confidence)
    full = {key: told(key) for key in ("candidates", "items", "events", "sessions")}
    intervals = {"level": level, "interval": told("interval"), "resamples": told("resamples")}
    said = [
        words.say("protocol_task", task=told("task")),
        words.say("protocol_full", **full),
        words.say("protocol_ties_rule", ties=tie_name(ties, words), rule=words(f"{ties}_rule"))
        if ties in TIE_RULES
        else words.say("protocol_ties_only", ties=told("ties")),
        words.say(
            "protocol_metrics",
            metrics=", ".join(metric_label(metric, "K") for metric in METRICS),
            cutoffs=told("cutoffs"),
            unit=told("unit"),
        ),
        words.say("protocol_intervals", **intervals)
        if protocol.get("resamples") != 0
        else words.say("protocol_no_intervals"),
    ]
    said += [_target_slices(protocol["slices"], words)] if protocol.get("slices") else []
    said += _test_and_seeds(protocol, words)
    said += [
        words.say("entry", key=words.label(key), value=words.plain(value))
        for key, value in sorted(protocol.items())
        if key not in _TOLD
    ]
    return [Sentence(s.text, s.values, _PROTOCOL_SOURCE) for s in said]


def _test_and_seeds(protocol: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Return how differences are tested, what counts of items that training lacks, and every seed."""
    said = []
    if "test" in protocol:
        drawn = words.plain(protocol.get("permutations"))
        said.append(words.say("protocol_test", test=words.plain(protocol["test"]), permutations=drawn))
    if "unseen" in protocol:
        fate = words(UNSEEN_FATES[protocol["unseen"]])
        said.append(words.say("protocol_unseen", fate=fate))
    if "seeds" in protocol:
        said.append(words.say("protocol_seeds", seeds=words.enumerated([str(seed) for seed in protocol["seeds"]])))
    if "seed" in protocol:
        said.append(words.say("protocol_seed", seed=str(protocol["seed"])))
    return said


def _target_slices(slices: Mapping[str, Any], words: Words) -> Sentence:
    """Return how many items are head, torso and tail."""
    parts = (slices.get("target") or {}).items()
    told = [
        words("target_part", part=words(f"slice_{part}"), items=words.plain((about or {}).get("items")))
        for part, about in parts
        if part in TARGETS
    ]
    return words.say("protocol_slices", parts=words.enumerated(told) or words("none"))


def split_settings(settings: Mapping[str, Any] | None, words: Words) -> Block:
    """Return how the data was cleaned and divided."""
    if settings is None:
        return Gap(words.say("gap_split_settings"))
    rows = tuple(
        (words.label(key), Cell(_setting(value, words), source=f"split/statistics.json › settings.{key}"))
        for key, value in settings.items()
        if value is not None
    )
    columns = (words("setting"), words("value"))
    return Table(words("split_settings"), columns, rows, source="split/statistics.json › settings")


def _setting(value: Any, words: Words) -> str:
    """Return the value of a setting; of several in one, each with its name."""
    if isinstance(value, Mapping):
        parts = [f"{words.label(key)} {words.plain(part)}" for key, part in value.items() if part is not None]
        return words.enumerated(parts)
    return words.labels.get(value, value) if isinstance(value, str) else words.plain(value)


def model_blocks(models: Mapping[str, Any], not_applicable: Mapping[str, str], words: Words) -> list[Block]:
    """Return every model with its settings and seeds, and why others do not apply."""
    said = []
    for model, about in models.items():
        source = f"{METRICS_SOURCE} › models.{model}"
        below = _model_details(about, words)
        head = words.say(
            "model_line",
            source,
            model=model,
            kind=about.get("kind", words("not_available")),
            stage=words.phrase(about.get("stage", words("not_available"))),
            description=words.phrase(about.get("description") or words("gap", what=words("gap_description"))),
        )
        said.append(Sentence(head.text, head.values, source, tuple(below)))
    said += [
        words.say("not_applicable_model", f"{METRICS_SOURCE} › not_applicable", model=m, reason=words.phrase(reason))
        for m, reason in not_applicable.items()
    ]
    return [Sentences(tuple(said))] if said else [Gap(words.say("gap_models"))]


def _model_details(about: Mapping[str, Any], words: Words) -> list[Sentence]:
    settings, seeds = about.get("settings"), about.get("seeds")
    below = []
    if settings is None:
        below.append(words.say("gap", what=words("gap_settings")))
    elif settings:
        below.append(words.say("model_settings", settings=_as_configured(settings)))
    if seeds and about.get("random", True):
        below.append(words.say("model_seeds", seeds=words.enumerated([str(seed) for seed in seeds])))
    return below


def _as_configured(settings: Mapping[str, Any]) -> str:
    """Return settings as a configuration holds them, on one line, without those that are not set."""
    chosen = {key: value for key, value in settings.items() if value is not None}
    return yaml.safe_dump(chosen, default_flow_style=True, width=math.inf, allow_unicode=True, sort_keys=False).strip()


def environment_blocks(provenance: Mapping[str, Any], words: Words) -> list[Block]:
    """Return the versions of what computed; machine and costs are of one run alone and stand in its manifests."""
    versions = provenance.get("versions")
    listed = ", ".join(f"{name} {version}" for name, version in (versions or {}).items())
    said = words.say("versions", "evaluate/manifest.json › versions", versions=listed or _gap("versions", words))
    return [Sentences((said, words.say("machine_where")))]


def provenance_blocks(provenance: Mapping[str, Any], words: Words) -> list[Block]:
    """Return which run this is, what it was made from, and the command that makes it again."""
    said = [words.say("run_name", run=provenance.get("run") or _gap("run", words))]
    said.append(words.say("run_id", id=provenance.get("id") or _gap("id", words)))
    said.append(words.say("command_again"))
    inputs = provenance.get("inputs")
    if not inputs:
        said.append(words.say("inputs_line", inputs=_gap("inputs", words)))
        return [Sentences(tuple(said))]
    rows = tuple(
        (stage, str(file), Cell(str(digest), source=f"{stage}/manifest.json › inputs.{file}"))
        for stage, files in inputs.items()
        for file, digest in files.items()
    )
    columns = (words("stage"), words("input"), "SHA-256")
    return [Sentences(tuple(said)), Table(words("inputs_title"), columns, rows, source="STAGE/manifest.json")]


def _gap(what: str, words: Words) -> str:
    return words("gap", what=what)
