"""The models that a search tunes, and what is wrong with the section that asks for it."""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gru4rec_cli.base.errors import nearest
from gru4rec_cli.base.names import DEFAULT_SUFFIX
from gru4rec_cli.models.registry import settings_of
from gru4rec_cli.tuning.settings import TuneSettings
from gru4rec_cli.tuning.space import Entry, Space, published_space, space_problems, validated_entry

Entries = Mapping[str, Mapping[str, dict[str, Any]]]  # models as the configuration has them, by section and name


class TunedModel(NamedTuple):
    """A model that is tuned."""

    name: str
    section: str  # baseline or train
    kind: str
    entry: Entry  # its own settings, every default filled in, with the metric that chooses the epoch
    space: Space


def tuned_models(tune: TuneSettings, entries: Entries) -> list[TunedModel]:
    """Return the models that are tuned, in the order of the configuration: those named, or all that have a space."""
    found = []
    for section, name, kind, own in _models(entries):
        if tune.models is None or name in tune.models:
            entry = settings_of(kind, validated_entry(kind, own, tune.metric)).model_dump(mode="json")
            space = (tune.models or {}).get(name) or published_space(kind, own)
            found += [TunedModel(name, section, kind, entry, space)] if space else []
    return found


def tune_problems(tune: TuneSettings, entries: Entries, other_names: list[str]) -> list[str]:
    """Return what is wrong with names and spaces; `other_names` are those of rows that are no models."""
    problems = []
    if tune.search == "tpe" and importlib.util.find_spec("optuna") is None:
        problems.append('tune.search: tpe needs Optuna: pip install "gru4rec-study[tune]"; or use random')
    models = {name: (kind, own) for _, name, kind, own in _models(entries)}
    if tune.models == {}:
        problems.append("tune.models: names no model; leave it out to tune all that have a published space")
    for name, space in (tune.models or {}).items():
        where = f"tune.models.{name}"
        if name not in models:
            problems.append(f"{where}: no model has this name{nearest(name, models)}")
            continue
        kind, own = models[name]
        if space is None:
            if not published_space(kind, own):
                problems.append(f"{where}: no space is published for {kind}; give values by setting")
            continue
        for key, message in space_problems(kind, validated_entry(kind, own, tune.metric), space):
            problems.append(f"{where}{'.' if key else ''}{key}: {message}")
    for name, (_, own) in models.items():
        given = own.get("validate_on")
        if given is not None and given != tune.metric and (tune.models is None or name in tune.models):
            problems.append(f"tune.metric: {tune.metric}, but {name} has validate_on: {given}; make them the same")
    if problems:
        return problems
    tuned = tuned_models(tune, entries)
    if not tuned:
        return ["tune: no model of baseline or train has a published space; give one in tune.models"]
    taken = {other.lower() for other in [*models, *other_names]}
    return [
        f"tune.defaults: {model.name}{DEFAULT_SUFFIX} is the name of another row; rename it, or set defaults: false"
        for model in tuned
        if tune.defaults and f"{model.name}{DEFAULT_SUFFIX}".lower() in taken
    ]


def _models(entries: Entries) -> Iterator[tuple[str, str, str, Entry]]:
    """Yield section, name, kind and settings of every model."""
    for section, models in entries.items():
        for name, entry in models.items():
            yield section, name, entry.get("kind", name), {key: value for key, value in entry.items() if key != "kind"}
