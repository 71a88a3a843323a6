"""Prints docs/configuration.md: every key with its default and meaning, from the settings classes themselves.

Run `make docs` after changing a setting; a test compares.
"""

import json
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gru4rec_cli.data.events import ColumnSettings, DataSettings
from gru4rec_cli.data.sessionising import SessionSettings
from gru4rec_cli.data.spark import SparkSettings
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.synthetic import SynthSettings
from gru4rec_cli.data.windows import RecentSettings, WindowSettings
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.models import registry
from gru4rec_cli.study.config import ModelSection, ReportSettings, StudyConfig
from gru4rec_cli.tuning.settings import Budget, TuneSettings

HEAD = """# Configuration

One YAML file, checked as a whole before anything runs. This page is made from the code by `make docs`.

`name` (required) names the run and its default directory, `runs/NAME`. `seed` (default 42) seeds everything random.
`seeds`, such as `[1, 2, 3]`, fits every model that is random once with each (default null: `seed` alone); the results
of such a model are then those of each seed and their mean.
`baseline.models` and `train.models` hold the models to fit, as `NAME: {kind: KIND, settings…}`; the kind defaults to
the name, so that one kind can stand twice with different settings. Any key can be set on the command line:
`--set train.models.gru4rec.layers=[64]`.

Values that YAML readers understand differently are refused, with line and column: `yes`, `no`, `on`, `off`, `010`,
`12:30:45`, `1_000`, `.inf`. Write `true` or `false`, plain decimals, and text in quotes. Dates (`2014-09-01`) are text.
Types such as `!!int` and merge keys (`<<`) are not allowed; aliases are.
"""


def section(title: str, settings: type[BaseModel], *, leave_out: tuple[str, ...] = ()) -> str:
    """One table: key, default, meaning."""
    fields = {name: field for name, field in settings.model_fields.items() if name not in leave_out}
    if not fields:
        return f"## {title}\n\nNothing to set.\n"
    lines = [f"## {title}", "", "| key | default | meaning |", "|---|---|---|"]
    for name, field in fields.items():
        given = field.get_default(call_default_factory=True)
        plain = given.model_dump(mode="json") if isinstance(given, BaseModel) else given
        default = "required" if given is PydanticUndefined else f"`{json.dumps(plain, ensure_ascii=False)}`"
        lines.append(f"| `{name}` | {default} | {(field.description or '').replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    assert set(StudyConfig.model_fields) == {
        "name", "seed", "seeds", "data", "spark", "synth", "split", "tune", "baseline", "train", "evaluate", "report"
    }  # fmt: skip
    models = [section(f"Model `{kind}`", registry.settings_class(kind)) for kind in registry.kinds()]
    sections = [
        section("`data`: where the clicks come from", DataSettings),
        section("`data.columns`", ColumnSettings),
        section("`data.sessions`", SessionSettings),
        section("`spark`: where Spark runs (with `data: {engine: pyspark}`)", SparkSettings),
        section("`synth`: the planted process (with `data: {source: synth}`)", SynthSettings),
        section("`split`: cleaning, then the division", SplitSettings),
        section("`split.recent`", RecentSettings),
        section("`split.window`", WindowSettings),
        section("`tune`: the search for settings ([tuning.md](tuning.md))", TuneSettings),
        section("`tune.budget`: one of both", Budget),
        section("`baseline` and `train`: the models", ModelSection),
        section("`evaluate`", EvaluateSettings),
        section("`report`", ReportSettings),
        *models,
    ]
    return "\n".join([HEAD, *sections])


if __name__ == "__main__":
    (Path(__file__).parents[1] / "configuration.md").write_text(page(), encoding="utf-8")
