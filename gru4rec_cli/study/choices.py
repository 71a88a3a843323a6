"""The settings that a search chose, put into the configuration of the stages after it."""

from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.names import DEFAULT_SUFFIX
from gru4rec_cli.base.yaml_loader import YamlError, read_yaml
from gru4rec_cli.study.config import StudyConfig
from gru4rec_cli.tuning.tuned import tuned_models

BEST_FILE = "best.yaml"  # chosen settings as sections of a configuration


def with_choices(config: StudyConfig, tune: Path | None) -> StudyConfig:
    """Return a configuration with the settings that the finished stage `tune` chose.

    Where `tune.defaults` is set, every tuned model is in it with its own settings, too.

    Raises:
        StageError: the file of choices cannot be read.
    """
    if tune is None or config.tune is None:
        return config
    try:
        best: dict[str, Any] = read_yaml(tune / BEST_FILE)
        tuned = {model.name: model for model in tuned_models(config.tune, config.tunable())}
        chosen = {name: best[model.section]["models"][name] for name, model in tuned.items()}
    except (OSError, YamlError, KeyError, TypeError) as error:
        raise StageError(
            f"{tune / BEST_FILE} is damaged, or not of this configuration", "run tune again with --force"
        ) from error
    changed = {}
    for section, models in config.tunable().items():
        entries: dict[str, Any] = {}
        for name, entry in models.items():
            entries[name] = chosen.get(name, entry)
            if name in tuned and config.tune.defaults:
                entries[name + DEFAULT_SUFFIX] = {"kind": tuned[name].kind, **tuned[name].entry}
        changed[section] = getattr(config, section).model_copy(update={"models": entries})
    return config.model_copy(update=changed)
