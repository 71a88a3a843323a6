"""The table of stages: what each does, what it reads, and what decides its results. Loads nothing heavy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gru4rec_cli.study.config import StudyConfig

WINDOWS = "windows"  # the folder of the run directories of the windows of a log


@dataclass(frozen=True)
class Stage:
    """A stage; `stages/NAME.py` holds its `run(work)` and its `results(folder, inputs)`."""

    name: str
    help: str
    sections: tuple[str, ...]  # of the configuration, which decide what it writes
    packages: tuple[str, ...] = ()  # whose code decides what it writes, besides base, data and study
    needs: tuple[str, ...] = ()  # stages that it reads, where the configuration asks for them
    models: tuple[str, ...] = ()  # sections whose models it fits (the section of its own name) or uses
    reads_raw_files: bool = False  # those that `data` names
    reads_predictions: bool = False  # the files that `evaluate.predictions` names
    needs_test: bool = False  # a test part to rank
    over_windows: bool = False  # reads its needs of every window of a log
    shows_warnings: bool = False  # of the stages that compute something
    shows_costs: bool = False  # of fitting and ranking
    resumable: bool = False  # an interrupted try is continued, not started again
    condition: "Callable[[StudyConfig], bool] | None" = None  # for a configuration to ask for it
    otherwise: str = ""  # the message where the condition does not hold


_TABLE = (
    Stage(
        "synth",
        "Create a synthetic click log in which each session follows a hidden interest.",
        sections=("seed", "synth"),
        condition=lambda config: config.synthetic,
        otherwise="there is nothing to create: data.source is not synth",
    ),
    Stage(
        "split",
        "Read raw clicks, clean them, and divide them by time into training and test sessions, or take given parts.",
        sections=("data", "split"),
        needs=("synth",),
        reads_raw_files=True,
    ),
    Stage(
        "tune",
        "Search for settings of every model on the validation sessions, with the same budget for each.",
        sections=("seed", "tune", "baseline", "train"),
        packages=("evaluation", "models", "tuning"),
        needs=("split",),
        models=("baseline", "train"),
        resumable=True,
        condition=lambda config: config.tune is not None,
        otherwise="there is nothing to tune: the configuration has no section tune",
    ),
    Stage(
        "baseline",
        "Fit the models of `baseline.models`.",
        sections=("seed", "seeds", "baseline"),
        packages=("evaluation", "models"),
        needs=("split", "tune"),
        models=("baseline",),
        resumable=True,
        condition=lambda config: bool(config.baseline.models),
        otherwise="there is nothing to fit: baseline.models is empty",
    ),
    Stage(
        "train",
        "Fit the models of `train.models`, continuing from the last finished epoch if interrupted.",
        sections=("seed", "seeds", "train"),
        packages=("evaluation", "models"),
        needs=("split", "tune"),
        models=("train",),
        resumable=True,
        condition=lambda config: bool(config.train.models),
        otherwise="there is nothing to fit: train.models is empty",
    ),
    Stage(
        "evaluate",
        "Rank the target of every test event among all items with every model; write metrics with intervals.",
        sections=("seed", "seeds", "evaluate"),
        packages=("evaluation", "models"),
        needs=("synth", "split", "tune", "baseline", "train"),
        models=("baseline", "train"),
        reads_predictions=True,
        needs_test=True,
    ),
    Stage(
        "report",
        "Write the report: tables and figures.",
        sections=("name", "report"),
        packages=("evaluation", "reporting"),
        needs=("split", "tune", "baseline", "train", "evaluate"),
        needs_test=True,
        shows_warnings=True,
        shows_costs=True,
    ),
    Stage(
        "joint",
        "Write the mean and the spread of the results of all windows, where `split.windows` asks for several.",
        sections=("name", "report", "split"),
        packages=("evaluation", "reporting"),
        needs=("split", "evaluate"),
        over_windows=True,
        shows_warnings=True,
    ),
)
STAGES = {stage.name: stage for stage in _TABLE}
COMPUTING = tuple(stage.name for stage in _TABLE if not stage.shows_warnings)


def uses_models(name: str) -> bool:
    """Return true if a stage, or one that it needs, fits models or uses them."""
    return bool(STAGES[name].models) or any(uses_models(need) for need in STAGES[name].needs)


def configured_stages(config: "StudyConfig") -> list[str]:
    """Return the stages that a configuration asks for in its own run directory, in order.

    Where it asks for windows, these are the stages over all of them; every window has the others in a run of its own.
    """
    return [stage.name for stage in STAGES.values() if not reason_against(stage, config)]


def reason_against(stage: Stage, config: "StudyConfig") -> str:
    """Return why a configuration does not ask for a stage, or an empty text."""
    if stage.over_windows != (config.split.windows is not None):
        return (
            "there is one run, not several: split.windows is not set"
            if stage.over_windows
            else "each window has its own"
        )
    if _without_test(stage, config):
        return _no_test(config)
    return "" if stage.condition is None or stage.condition(config) else stage.otherwise


def left_out(config: "StudyConfig") -> list[tuple[str, str]]:
    """Return the stages that a run does without although they belong to every study, each with the reason."""
    return [(name, reason_against(stage, config)) for name, stage in STAGES.items() if _without_test(stage, config)]


def _without_test(stage: Stage, config: "StudyConfig") -> bool:
    return stage.needs_test and not config.evaluated


def _no_test(config: "StudyConfig") -> str:
    """Return why there is no test part that models can be ranked by."""
    if not config.split.has_test:
        return "there is no test part to rank: split.test is 0"
    keys = " and ".join(f"{section}.refit" for section in ("baseline", "train") if config.refit(section) == "all")
    return (
        f"{keys}: all fits models on the test sessions, too, so these cannot evaluate them; to evaluate, leave refit "
        "out or set it to train+valid"
    )


def needed_stages(name: str, config: "StudyConfig") -> list[str]:
    """Return the stages that a stage reads, as their folders in the run directory."""
    stage = STAGES[name]
    if stage.over_windows:
        return [f"{window}/{need}" for window in window_folders(config) for need in stage.needs]
    return [need for need in stage.needs if need in configured_stages(config)]


def window_folders(config: "StudyConfig") -> list[str]:
    """Return the run directories of the windows that a configuration asks for, below its own."""
    count = config.split.windows or 0
    return [f"{WINDOWS}/{number}-of-{count}" for number in range(1, 1 + count)]
