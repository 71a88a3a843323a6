"""The sizes to measure: a quick plan for tests, the usual one, and the full grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

SECTIONS = ("training", "ranking", "latency", "serving", "fit", "start-up")

# The author's published settings, as in configs/published/; a test compares.
RSC15: dict[str, Any] = {
    "loss": "cross-entropy",
    "layers": (100,),
    "embedding": "shared",
    "batch_size": 32,
    "epochs": 1,
    "learning_rate": 0.2,
    "momentum": 0.2,
    "n_sample": 2048,
    "sample_alpha": 0.5,
    "dropout_p_embed": 0.0,
    "dropout_p_hidden": 0.4,
    "logq": 1.0,
}
RETAILROCKET: dict[str, Any] = {
    "loss": "bpr-max",
    "layers": (224,),
    "embedding": "shared",
    "batch_size": 80,
    "epochs": 1,
    "learning_rate": 0.05,
    "momentum": 0.4,
    "n_sample": 2048,
    "sample_alpha": 0.4,
    "dropout_p_embed": 0.5,
    "dropout_p_hidden": 0.05,
    "bpreg": 1.95,
    "elu_param": 0.5,
}


@dataclass(frozen=True)
class TrainingCase:
    """Settings with a name, and a number of items."""

    name: str
    settings: Mapping[str, Any]
    items: int

    @property
    def described(self) -> dict[str, str | int]:
        units = int(self.settings["layers"][0])
        return {
            "settings": self.name,
            "batch_size": int(self.settings["batch_size"]),
            "units": units,
            "items": self.items,
        }


@dataclass(frozen=True)
class Plan:
    """Sizes of everything. Steps come in multiples of 64, since so many are prepared at once."""

    training: tuple[TrainingCase, ...] = (
        TrainingCase("rsc15", RSC15, 3_000),
        TrainingCase("rsc15", RSC15, 30_000),
        TrainingCase("retailrocket", RETAILROCKET, 36_824),
    )
    skipped_steps: int = 64
    timed_steps: int = 512
    training_events: int = 100_000  # at least, and at least two an item
    settings: Mapping[str, Any] = field(default_factory=lambda: RSC15)  # of GRU4Rec in all other sections
    fit_events: int = 60_000  # that the models of ranking, latency and fit learn from
    ranking_items: tuple[int, ...] = (3_000, 30_000)
    ranking_events: int = 20_000
    ranking_seconds: float = 0.5  # a repeat ranks again and again for at least so long
    latency_items: int = 30_000  # also of the fits and of start-up
    fit_kinds: tuple[str, ...] = ()  # of the section fit; none: every kind
    requests: int = 200
    startup_events: int = 1_000_000
    serving_items: tuple[int, ...] = (43_000,)
    serving_rates: tuple[int, ...] = (10, 20, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000)  # requests a second
    serving_seconds: float = 5.0  # of each rate
    serving_events: int = 50_000  # of the sessions that are replayed
    serving_sessions: int = 200_000  # whose memory is measured


def full_grid() -> tuple[TrainingCase, ...]:
    """Return RSC15's settings at every batch size, width and number of items."""
    sizes = product((32, 80, 240), (64, 128, 256, 512), (1_000, 10_000, 100_000, 1_000_000))
    return tuple(
        TrainingCase("rsc15", {**RSC15, "batch_size": batch_size, "layers": (units,)}, items)
        for batch_size, units, items in sizes
    )


USUAL = Plan()
FULL = replace(USUAL, training=(*USUAL.training, *full_grid()), timed_steps=256, serving_items=(43_000, 1_000_000))
_TINY = {**RSC15, "batch_size": 8, "layers": (8,), "n_sample": 32}
QUICK = Plan(
    training=(TrainingCase("tiny", _TINY, 100),),
    timed_steps=64,
    training_events=0,
    settings=_TINY,
    fit_events=1_500,
    ranking_items=(100,),
    ranking_events=200,
    ranking_seconds=0.0,
    latency_items=100,
    fit_kinds=("popularity",),
    requests=10,
    startup_events=2_000,
    serving_items=(100,),
    serving_rates=(20, 50),
    serving_seconds=1.0,
    serving_events=2_000,
    serving_sessions=20_000,
)


@dataclass(frozen=True)
class GrowthPlan:
    """Sizes along two axes, events and items, the other one fixed."""

    events: tuple[int, ...] = (100_000, 1_000_000)
    items_of_events: int = 3_000
    items: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    events_of_items: int = 2_000_000
    settings: Mapping[str, Any] = field(default_factory=lambda: RSC15)
    most_learnt: int = 100_000  # events at most that GRU4Rec learns from, whatever the size
    ranked_of_items: int = 2_000  # events ranked along the axis of items; along that of events, all of them


GROWTH = GrowthPlan()
FULL_GROWTH = replace(GROWTH, events=(100_000, 1_000_000, 10_000_000))
QUICK_GROWTH = GrowthPlan((500, 1_000), 50, (50,), 1_000, _TINY, 400, 50)
