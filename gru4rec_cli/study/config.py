"""The configuration: one YAML file, validated as a whole before anything runs."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from gru4rec_cli.base.errors import ConfigError, UsageError, nearest
from gru4rec_cli.base.names import COSTS, DEFAULT_SUFFIX, ORACLE
from gru4rec_cli.base.settings import ModelSettings, Settings
from gru4rec_cli.base.yaml_loader import Lines, YamlError, load_yaml, read_yaml_with_lines
from gru4rec_cli.data.events import SYNTHETIC, DataSettings
from gru4rec_cli.data.layout import GENERIC
from gru4rec_cli.data.presets import data_filled
from gru4rec_cli.data.spark import SparkSettings
from gru4rec_cli.data.split_settings import AS_GIVEN, SplitSettings
from gru4rec_cli.data.synthetic import SynthSettings
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.models import registry
from gru4rec_cli.study.problems import Places, place_of, problems_of, short
from gru4rec_cli.tuning.settings import TuneSettings
from gru4rec_cli.tuning.tuned import Entries, tune_problems, tuned_models

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$"
_LONGEST_NAME = 64 - len(".100-of-100")  # of a run with windows, whose own names end like this
PART_COLUMN = "part"  # with split.by: column, where data.columns.part is not set
_MOST_DOTS = 7  # in a key of --set
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}"  # without dots: --set and folders use them
_ALLOWED = f"letters, digits, _ + - are allowed, and {ORACLE!r} and {COSTS!r} are reserved"

RefitOn = Literal["train+valid", "all"]


class ModelSection(Settings):
    """`baseline:` and `train:`: the models to fit, `name: {kind: …, settings…}`; `kind` defaults to the name."""

    models: dict[str, dict[str, Any]] = Field(default={}, description="models to fit, by name")
    refit: RefitOn | None = Field(
        None,
        description="sessions on which the models are fitted again, from the start, for the number of epochs that was "
        "kept, without validation; this second fit is evaluated and used: train+valid: training and validation; all: "
        "the test, too, for use only: nothing is evaluated then; null: the models are fitted once, on training",
    )


class ReportSettings(Settings):
    """`report:`"""

    title: str | None = Field(None, description="heading of the report; default: the run's name")
    languages: tuple[Literal["en", "es"], ...] = Field(
        ("en",), min_length=1, description="languages in which the report is written: en (English), es (Spanish)"
    )


class StudyConfig(Settings):
    """A whole study."""

    name: str = Field(pattern=NAME, description="names the run and its default directory, runs/<name>")
    seed: int = Field(42, ge=0, lt=2**31, description="seed of everything random")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] | None = Field(
        None, description="seeds with which every random model is fitted, once each; null: seed alone"
    )
    data: DataSettings = Field(description="where the clicks come from, such as {source: FILE} or {source: synth}")
    spark: SparkSettings = SparkSettings()
    synth: SynthSettings = SynthSettings()
    split: SplitSettings = SplitSettings()
    tune: TuneSettings | None = Field(None, description="search for settings on validation sessions; null: none")
    baseline: ModelSection = ModelSection()
    train: ModelSection = ModelSection()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if seeds == ():
            raise ValueError("an empty list; name at least one seed, or leave the key out")
        if seeds is not None and len(set(seeds)) < len(seeds):
            raise ValueError(f"{list(seeds)} has a seed twice, and both fits would be the same")
        return seeds

    @property
    def synthetic(self) -> bool:
        """True where the events are planted."""
        return self.data.source == SYNTHETIC

    def refit(self, section: str) -> RefitOn | None:
        """Return on what the models of `baseline` or `train` are fitted again, or None."""
        models: ModelSection = getattr(self, section)
        return models.refit if models.models else None

    @property
    def evaluated(self) -> bool:
        """True where there is a test part that no model has seen."""
        return self.split.has_test and not any(self.refit(section) == "all" for section in ("baseline", "train"))

    def fitted(self, section: str) -> "dict[str, ModelEntry]":
        """Return the models of `baseline` or `train`, settings resolved."""
        models: ModelSection = getattr(self, section)
        return {name: ModelEntry.parse(name, entry) for name, entry in models.models.items()}

    def tunable(self) -> Entries:
        """Return the models of both sections as they are written, by section and name."""
        return {section: dict(getattr(self, section).models) for section in ("baseline", "train")}

    def default_rows(self) -> dict[str, str]:
        """Return the tuned model by its row with its own settings, of a configuration with the choices in it."""
        tuned = tuned_models(self.tune, self.tunable()) if self.tune and self.tune.defaults else []
        rows = {model.name + DEFAULT_SUFFIX: model.name for model in tuned}
        return {row: name for row, name in rows.items() if row in self.baseline.models or row in self.train.models}


class ModelEntry:
    """One entry of `baseline.models` or `train.models`."""

    def __init__(self, kind: str, settings: ModelSettings) -> None:
        self.kind = kind
        self.settings = settings

    @classmethod
    def parse(cls, name: str, entry: dict[str, Any]) -> "ModelEntry":
        """Return the entry of a model in the configuration; the kind is by default the name."""
        kind = entry.get("kind", name)
        given = {key: value for key, value in entry.items() if key != "kind"}
        return cls(kind, registry.settings_of(kind, given))

    def as_config(self) -> dict[str, Any]:
        """Return the entry with every default written out."""
        return {"kind": self.kind, **self.settings.model_dump(mode="json")}


def load_config(path: Path, overrides: list[str] | None = None, *, needs_models: bool = True) -> StudyConfig:
    """Return the configuration in `path` with `KEY=VALUE` overrides applied, every default filled in.

    A configuration without models is wrong only if `needs_models`.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: the configuration is wrong; all problems are reported together.
    """
    raw, lines = _read(path)
    places = {keys: f"{path}:{line}" for keys, line in lines.items()}
    return config_of(raw, str(path), overrides or (), places=places, needs_models=needs_models)


def config_of(
    raw: dict[str, Any],
    where: str,
    overrides: Sequence[str] = (),
    *,
    places: Places | None = None,
    needs_models: bool = True,
) -> StudyConfig:
    """Return the configuration in plain values, see `load_config`; `raw` and `places` are changed by `overrides`.

    Raises:
        ConfigError: the configuration is wrong; it is said to be in `where`, and each key in its place.
    """
    places = {} if places is None else places
    problems = [problem for override in overrides if (problem := _apply(raw, override, places))]
    config, invalid = check_values(raw)
    problems += invalid
    rows = config and (config.baseline.models or config.train.models or config.evaluate.predictions)
    if config is not None and needs_models and not rows:
        problems.append("baseline.models, train.models: no model is named; give at least one, such as popularity: {}")
    if config is None or problems:
        raise ConfigError(problems, where, [place_of(problem, places) for problem in problems])
    return config


def resolved(config: StudyConfig) -> dict[str, Any]:
    """Return the configuration as plain values, every default written out; loading it again gives the same."""
    plain = config.model_dump(mode="json", exclude={"baseline", "train"})
    for section in ("baseline", "train"):
        plain[section] = {"models": {name: model.as_config() for name, model in config.fitted(section).items()}}
        refit = getattr(config, section).refit
        plain[section] |= {} if refit is None else {"refit": refit}
    if not config.synthetic:
        del plain["synth"]
    if config.tune is None:
        del plain["tune"]
    if config.data.engine != "pyspark":
        del plain["spark"]
    return plain


def _read(path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        raw, lines = read_yaml_with_lines(path)
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}", "check --config") from error
    except YamlError as error:
        raise ConfigError([str(error)], str(path)) from error
    if not isinstance(raw, dict):
        raise ConfigError(["the file must hold keys and values, such as `name: demo`"], str(path))
    return raw, lines


def _apply(raw: dict[str, Any], override: str, places: Places) -> str:
    """Set one `a.b.c=VALUE` in `raw`, its place in `places`; return what is wrong with it, or an empty text."""
    key, separator, text = override.partition("=")
    *parents, last = key.split(".")
    shown = f"--set {override if len(override) <= 80 else override[:77] + '...'}"
    if not separator or not all([*parents, last]):
        return f"{shown}: write KEY=VALUE, such as train.models.gru4rec.epochs=5"
    if len(parents) > _MOST_DOTS:
        return f"{shown}: no key has more than {_MOST_DOTS + 1} parts"
    try:
        value = load_yaml(text)
    except YamlError as error:
        return f"{shown}: the value: {error}"
    section = raw
    for parent in parents:
        child = section.get(parent)
        if child is None:
            child = section[parent] = {}
        if not isinstance(child, dict):
            return f"{shown}: {parent} holds a value, not keys"
        section = child
    section[last] = value
    path = (*parents, last)
    for inside in [keys for keys in places if keys[: len(path)] == path]:
        del places[inside]
    for end in range(1, len(path) + 1):
        places.setdefault(path[:end], "--set")
    return ""


def check_values(raw: dict[str, Any]) -> tuple[StudyConfig | None, list[str]]:
    """Return the configuration in plain values, None where it is none, and all that is wrong with it."""
    raw = _filled(raw)
    problems: list[str] = []
    config: StudyConfig | None = None
    try:
        config = StudyConfig.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        problems += problems_of(StudyConfig, error)
    owners: dict[str, str] = {}
    for section in ("baseline", "train"):
        content = raw.get(section)
        models = content.get("models") if isinstance(content, dict) else None
        for name, entry in models.items() if isinstance(models, dict) else ():
            where = f"{section}.models.{name}"
            problems += _model_problems(where, name, entry)
            owner = owners.setdefault(name.lower(), where)  # some file systems do not tell a from A
            if owner != where:
                problems.append(f"{where}: the name is already used by {owner}; give each model a different name")
    if config is not None and config.split.valid is None and config.split.by != "column":
        problems += [
            f"{section}.models.{name}.validate_on: needs validation sessions; set split.valid, or leave validate_on out"
            for section in ("baseline", "train")
            for name, entry in getattr(config, section).models.items()
            if entry.get("validate_on") is not None
        ]
    if config is not None:
        problems += [*_division_problems(config), *_part_problems(config), *_refit_problems(config)]
        problems += _prediction_problems(config)
    if config is not None and not problems:
        problems += _tune_problems(config)
    return config, problems


def _tune_problems(config: StudyConfig) -> list[str]:
    """Return what is wrong with the search, all of it."""
    if config.tune is None:
        return []
    problems = tune_problems(config.tune, config.tunable(), list(config.evaluate.predictions))
    if config.split.valid is None and config.split.by != "column":
        problems.append("tune: needs validation sessions; set split.valid, or leave tune out")
    return problems


def _division_problems(config: StudyConfig) -> list[str]:
    """Return what forbids cutting the log into windows, or doing without a test."""
    key = "windows" if config.split.windows else "window" if config.split.window else None
    problems = []
    if config.data.train is not None and not config.split.has_test:
        problems.append(
            "split.test: 0 leaves no test, but data.test gives one; give the training file as data.source, or leave "
            "this key out"
        )
    if key and config.data.train is not None:
        problems.append(
            f"split.{key}: windows are cut from one log, but data.train and data.test are already divided; give the "
            "log as data.source, or leave this key out"
        )
    if config.split.windows and len(config.name) > _LONGEST_NAME:
        problems.append(
            f"name: with split.windows at most {_LONGEST_NAME} characters; the run of each window adds to it"
        )
    return problems


def _refit_problems(config: StudyConfig) -> list[str]:
    """Return what forbids fitting again: no other sessions than those of training, or windows without a test."""
    split, problems = config.split, []
    by_column = split.by == "column"  # the file says which parts there are
    for key, on in ((f"{section}.refit", config.refit(section)) for section in ("baseline", "train")):
        if on == "train+valid" and split.valid is None and not by_column:
            problems.append(f"{key}: {on} needs validation sessions; set split.valid, or leave refit out")
        if on == "all" and split.valid is None and not split.has_test:
            problems.append(f"{key}: all sessions are training already, because split.test is 0; leave refit out")
        if on == "all" and split.windows is not None:
            problems.append(
                f"{key}: each of split.windows is evaluated, but a model that was fitted on all sessions has seen the "
                "test; use train+valid, or leave windows out"
            )
    return problems


def _prediction_problems(config: StudyConfig) -> list[str]:
    """Return what is wrong with the names of lists of other tools, or forbids them."""
    sections = ("baseline", "train")
    owners = {
        name.lower(): f"{section}.models.{name}" for section in sections for name in getattr(config, section).models
    }
    problems = []
    for name in config.evaluate.predictions:
        where = f"evaluate.predictions.{name}"
        problems += [f"{where}: not a name for predictions; {_ALLOWED}"] if not _is_name(name) else []
        owner = owners.setdefault(name.lower(), where)
        if owner != where:
            problems.append(f"{where}: the name is already used by {owner}; give the predictions another name")
    if config.evaluate.predictions and config.split.windows is not None:
        problems.append(
            "evaluate.predictions: the lists are for one test, but split.windows has several; set split.window, or "
            "leave this key out"
        )
    return problems


def _part_problems(config: StudyConfig) -> list[str]:
    """Return what forbids parts that a column of the file names."""
    data = config.data
    if config.split.by != "column":
        return [] if data.columns.part is None else ["data.columns.part: is only for split.by: column"]
    if data.train is not None:
        return ["split.by: column: data.train and data.test are already divided; give one file as data.source"]
    if config.synthetic or data.format != GENERIC:
        return ["split.by: column: needs a file of format: generic as data.source, with a column that names the part"]
    return []


def _filled(raw: dict[str, Any]) -> dict[str, Any]:
    """Return `raw` with every default where a key such as `baseline:` has nothing below it.

    Data that is already split, in two files or by a column, is taken as it is: rules of cleaning apply where `split`
    names them, or a preset.
    A preset sets keys of `data`, too.
    """
    filled = {key: value for key, value in raw.items() if value is not None or key not in StudyConfig.model_fields}
    data, split = filled.get("data"), filled.get("split", {})
    by_column = isinstance(split, dict) and split.get("by") == "column"
    if isinstance(data, dict) and by_column and data.get("format", GENERIC) == GENERIC:
        filled["data"] = data = _with_part_column(data)
    if isinstance(data, dict) and (data.get("train") is not None or by_column) and isinstance(split, dict):
        filled["split"] = split if split.get("preset") is not None else {**AS_GIVEN, **split}
    elif isinstance(data, dict) and isinstance(split, dict):
        filled["data"] = data_filled(data, split.get("preset"))
    for section in ("baseline", "train"):
        models = filled[section].get("models") if isinstance(filled.get(section), dict) else None
        if isinstance(models, dict):
            filled[section] = {
                **filled[section],
                "models": {name: {} if entry is None else entry for name, entry in models.items()},
            }
    return filled


def _with_part_column(data: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of `data:` with a name for the column of parts, unless there are no columns to name."""
    columns = data.get("columns") or {}
    if data.get("source") in (None, SYNTHETIC) or not isinstance(columns, dict) or columns.get("part") is not None:
        return data
    return {**data, "columns": {**columns, "part": PART_COLUMN}}


def _is_name(name: str) -> bool:
    """Return whether a row of the results may have this name."""
    return re.fullmatch(MODEL_NAME, name) is not None and name.lower() not in (ORACLE, COSTS)


def _model_problems(where: str, name: str, entry: object) -> list[str]:
    if not _is_name(name):
        return [f"{where}: not a name for a model; {_ALLOWED}"]
    if not isinstance(entry, dict):
        return []  # reported already, as a wrong type
    kind = entry.get("kind", name)
    if kind not in registry.kinds():
        known = f"{', '.join(registry.kinds())}{nearest(kind, registry.kinds())}"
        if "kind" in entry:
            return [f"{where}.kind: given {short(kind)}; allowed: {known}"]
        return [f"{where}: {name!r} is no kind of model, and no kind is given; known kinds: {known}"]
    try:
        settings = registry.settings_class(kind)
    except UsageError as error:  # of an installed package
        return [f"{where}: {error.message}; {error.hint}"]
    try:
        settings.model_validate_json(json.dumps({k: v for k, v in entry.items() if k != "kind"}))
    except ValidationError as error:
        return problems_of(settings, error, where)
    return []
