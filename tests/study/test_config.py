"""The configuration: what is accepted, and how everything wrong is told at once."""

import json
from pathlib import Path

import pytest

from gru4rec_cli.base.errors import ConfigError, UsageError
from gru4rec_cli.base.yaml_loader import dump_yaml
from gru4rec_cli.study.config import StudyConfig, load_config, resolved

SMALLEST = "name: x\ndata: {source: synth}\nbaseline: {models: {popularity: {}}}\n"


def load(tmp_path: Path, text: str, *overrides: str) -> StudyConfig:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, list(overrides))


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_the_smallest_configuration_gets_every_default(tmp_path: Path):
    config = load(tmp_path, SMALLEST)
    assert config.seed == 42
    assert config.split.min_item_support == 5
    assert config.evaluate.cutoffs == (5, 10, 20)
    assert config.fitted("baseline")["popularity"].kind == "popularity"


def test_the_resolved_configuration_loads_to_itself(tmp_path: Path):
    import yaml

    config = load(tmp_path, SMALLEST + "train: {models: {small: {kind: gru4rec, layers: [8, 4]}}}\n")
    again = load(tmp_path, yaml.safe_dump(resolved(config)))
    assert resolved(again) == resolved(config)
    assert resolved(config)["train"]["models"]["small"]["layers"] == [8, 4]


def test_every_problem_is_told_with_the_line_of_its_key(tmp_path: Path):
    text = """name: x
data:
  source: synth
  events:
    - view
    - 3
split: {by: ration}
train:
  models:
    gru4rec:
      layers: abc
      n_samples: 3
"""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, "train.models.gru4rec.epochs=x", "evaluate.k=5")
    path = tmp_path / "study.yaml"
    told = [line.strip().removeprefix(f"{path}:") for line in caught.value.message.splitlines()[1:]]
    for start in (
        "6: data.events.1: given 3; expected a text",
        "7: split.by: given \"ration\"; input should be 'ratio', 'days', 'time' or 'column', did you mean 'ratio'?",
        '11: train.models.gru4rec.layers: given "abc"; expected a list such as [100], found a text',
        "12: train.models.gru4rec.n_samples: unknown key",
        '--set: train.models.gru4rec.epochs: given "x"; expected a whole number such as 10, found a text',
        "--set: evaluate.k: unknown key",
    ):
        assert any(line.startswith(start) for line in told), (start, told)
    assert len(told) == 6


def test_what_is_missing_is_told_at_the_section_and_what_an_alias_holds_at_its_anchor(tmp_path: Path):
    text = (
        "name: x\ndata:\n  columns: {}\ntrain:\n  models:\n    a: &x\n      kind: gru4rec\n      epochs: 0\n    b: *x\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    lines = caught.value.message.splitlines()
    path = tmp_path / "study.yaml"
    assert any(line.startswith(f"  {path}:2: data: give either source") for line in lines), lines
    assert any(line.startswith(f"  {path}:8: train.models.a.epochs: given 0") for line in lines), lines
    assert any(line.startswith(f"  {path}:8: train.models.b.epochs: given 0") for line in lines), lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("split: {test: [1]}", 'given [1]; expected a number such as 0.2 or a text such as "text", found a list'),
        ("split: {drop_repeats: 1}", "given 1; expected true or false, found a number"),
        ("split: {recent: 5}", "given 5; expected keys and values such as {key: value}, found a number"),
        ("report: {title: 3}", 'given 3; expected a text such as "text", found a number'),
        ("evaluate: {cutoffs: 5}", "given 5; expected a list such as [5, 10, 20], found a number"),
        ("evaluate: {cutoffs: null}", "given null; expected a list such as [5, 10, 20], found nothing"),
        ("train: {models: {gru4rec: {epochs: 2.5}}}", "given 2.5; expected a whole number such as 10, found a number"),
        ("train: {models: 5}", "given 5; expected keys and values such as {popularity: {}}, found a number"),
        ("train: {models: {a: 5}}", "given 5; expected keys and values such as {kind: markov}, found a number"),
    ],
)
def test_a_value_of_a_wrong_type_is_told_in_plain_words_with_an_example(tmp_path: Path, text: str, expected: str):
    (problem,) = problems(tmp_path, SMALLEST + text)
    assert problem.partition(": ")[2].startswith(expected)


def test_one_kind_can_stand_twice_with_different_settings(tmp_path: Path):
    models = load(tmp_path, SMALLEST + "train: {models: {a: {kind: gru4rec, epochs: 1}, b: {kind: gru4rec}}}\n").fitted(
        "train"
    )
    assert {name: (model.kind, model.as_config()["epochs"]) for name, model in models.items()} == {
        "a": ("gru4rec", 1),
        "b": ("gru4rec", 10),
    }


def test_nothing_below_a_key_means_its_defaults(tmp_path: Path):
    config = load(tmp_path, "name: x\ndata: {source: synth}\nsynth:\ntrain:\nbaseline:\n  models:\n    popularity:\n")
    assert config.fitted("baseline")["popularity"].as_config() == {"kind": "popularity"}


def test_all_problems_are_told_at_once_with_path_given_allowed_and_nearest(tmp_path: Path):
    found = problems(
        tmp_path,
        """
name: x
sed: 3
data: {source: synth}
split: {by: ration, min_item_support: 0}
baseline: {models: {popularty: {}, markov: {orders: 2}}}
train: {models: {gru4rec: {layers: 64, epochs: "5", n_samples: 3}}}
""",
    )
    expected = [
        "split.min_item_support: given 0; input should be greater than or equal to 1",
        "split.by: given \"ration\"; input should be 'ratio', 'days', 'time' or 'column'",
        "sed: unknown key, did you mean 'seed'?",
        "baseline.models.popularty: 'popularty' is no kind of model, and no kind is given; known kinds: ar, bert4rec, ",
        "baseline.models.markov.orders: unknown key, did you mean 'order'?",
        "train.models.gru4rec.layers: given 64; expected a list such as [100], found a number; ",
        'train.models.gru4rec.epochs: given "5"; expected a whole number such as 10, found a text; ',
        "train.models.gru4rec.n_samples: unknown key, did you mean 'n_sample'?",
    ]
    assert len(found) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file must hold keys and values"),
        ("- a\n", "the file must hold keys and values"),
        ("a: [1\n", "not valid YAML"),
        ("name: x\nname: y\n", "key 'name' is given twice (line 2, column 1)"),
        ("data: {source: synth}\nbaseline: {models: {popularity: {}}}\n", "name: missing"),
        ("name: x\nbaseline: {models: {popularity: {}}}\n", "data: missing"),
        (
            "name: ../x\ndata: {source: synth}\nbaseline: {models: {popularity: {}}}\n",
            'name: given "../x"; letters, digits',
        ),
        ("name: x\ndata: {source: synth}\n", "baseline.models, train.models: no model is named"),
        ("name: x\ndata: {source: synth}\nbaseline: {models: {oracle: {kind: markov}}}\n", "'oracle' and 'costs' are"),
        ("name: x\ndata: {source: synth}\nbaseline: {models: {Costs: {kind: markov}}}\n", "'costs' are reserved"),
        ("name: x\ndata: {source: synth}\nbaseline: {models: {a/b: {kind: markov}}}\n", "not a name for a model"),
        (
            "name: x\ndata: {source: synth}\nbaseline: {models: {markov: {}}}\ntrain: {models: {markov: {}}}\n",
            "train.models.markov: the name is already used by baseline.models.markov",
        ),
        ("name: x\ndata: {source: synth}\nbaseline: {models: {markov: 3}}\n", "baseline.models.markov: given 3"),
        (SMALLEST + "split: {test: 1.5}\n", "split.test: must be between 0 and 1 with by: ratio"),
        (SMALLEST + "split: {by: days, test: -1}\n", "split.test: must be a positive number of days"),
        (
            "name: x\ndata: {source: synth}\nbaseline: {models: {markov: {}, markov: {}}}\n",
            "key 'markov' is given twice",
        ),
        ("seed: .nan\n", ".nan is not a number that a setting may have"),
    ],
)
def test_each_mistake_has_its_message(tmp_path: Path, text: str, message: str):
    assert any(message in problem for problem in problems(tmp_path, text))


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("{windows: 1}", "split.windows: given 1; input should be greater than or equal to 2"),
        (
            "{windows: 3, by: time, test: 2024-01-08}",
            "split.by: time is a single moment, but every window needs its own cut",
        ),
        ("{windows: 3, window: {number: 1, of: 3}}", "split.window: selects one window, but windows asks for all"),
        ("{window: {number: 4, of: 3}}", "split.window.number: there is no window 4 of 3"),
        ("{window: {numbr: 1, of: 3}}", "split.window.numbr: unknown key, did you mean 'number'?"),
    ],
)
def test_windows_that_cannot_be_are_told(tmp_path: Path, split: str, told: str):
    assert any(problem.startswith(told) for problem in problems(tmp_path, f"{SMALLEST}split: {split}\n"))


def test_windows_need_a_whole_log_and_a_name_with_room(tmp_path: Path):
    text = SMALLEST.replace("{source: synth}", "{train: a.tsv, test: b.tsv}")
    for split in ("{windows: 3}", "{window: {number: 1, of: 3}}"):
        (problem,) = problems(tmp_path, f"{text}split: {split}\n")
        assert "windows are cut from one log, but data.train and data.test are already divided" in problem
    text = SMALLEST.replace("name: x", f"name: {'x' * 54}") + "split: {windows: 3}\n"
    assert problems(tmp_path, text) == [
        "name: with split.windows at most 53 characters; the run of each window adds to it"
    ]
    assert load(tmp_path, text.replace("x" * 54, "x" * 53)).split.windows == 3


def test_validate_on_names_a_metric_of_the_table_and_a_cutoff(tmp_path: Path):
    text = SMALLEST + "split: {valid: 0.1}\ntrain: {models: {gru4rec: {validate_on: precision@20}}}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("train.models.gru4rec.validate_on: given 'precision@20'; allowed: recall, mrr, ndcg")


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("train: {{models: {{gru4rec: {{validate_on: mrr@{}}}}}}}", "train.models.gru4rec.validate_on: given 'mrr@"),
        ("train: {{models: {{sasrec: {{validate_on: mrr@{}}}}}}}", "train.models.sasrec.validate_on: given 'mrr@"),
        ("baseline: {{models: {{sr: {{}}}}}}\ntune: {{metric: mrr@{}}}", "tune.metric: given 'mrr@"),
        ("evaluate: {{cutoffs: [{}]}}", "evaluate.cutoffs.0: given "),
    ],
)
def test_every_cutoff_has_the_same_limit(tmp_path: Path, section: str, place: str):
    text = "name: x\ndata: {source: synth}\nsplit: {valid: 0.1}\n"
    text += "" if section.startswith("baseline") else "baseline: {models: {popularity: {}}}\n"
    load(tmp_path, text + section.format(1_000_000))
    (problem,) = problems(tmp_path, text + section.format(1_000_001))
    assert problem.startswith(f"{place}1000001")


def test_validate_on_without_validation_sessions_is_told_before_anything_runs(tmp_path: Path):
    text = SMALLEST + "train: {models: {gru4rec: {validate_on: recall@20}}}\n"
    assert problems(tmp_path, text)[0].startswith("train.models.gru4rec.validate_on: needs validation sessions")
    assert load(tmp_path, text, "split.valid=0.1").fitted("train")["gru4rec"].as_config()["validate_on"] == "recall@20"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"nowhere\.yaml cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_set_overrides_any_key_with_a_yaml_value(tmp_path: Path):
    config = load(
        tmp_path,
        SMALLEST,
        "train.models.gru4rec.layers=[64, 32]",
        "train.models.gru4rec.learning_rate=1e-3",
        "seed=7",
        "evaluate.ties=median",
    )
    settings = config.fitted("train")["gru4rec"].as_config()
    assert (settings["layers"], settings["learning_rate"]) == ([64, 32], 0.001)
    assert (config.seed, config.evaluate.ties) == (7, "median")


def test_a_kind_that_was_given_is_told_at_its_key(tmp_path: Path):
    (problem,) = problems(tmp_path, SMALLEST.replace("popularity: {}", "a: {kind: popularty}"))
    assert problem.startswith('baseline.models.a.kind: given "popularty"; allowed: ar, bert4rec, core, ')
    assert problem.endswith("did you mean 'popularity'?")


def test_a_wrong_item_of_a_list_is_one_problem(tmp_path: Path):
    assert problems(tmp_path, SMALLEST + "evaluate: {cutoffs: [0]}\n") == [
        "evaluate.cutoffs.0: given 0; input should be greater than or equal to 1"
    ]
    (problem,) = problems(tmp_path, SMALLEST + "evaluate: {cutoffs: []}\n")
    assert problem.startswith("evaluate.cutoffs: given []; tuple should have at least 1 item")


@pytest.mark.parametrize("name", ["a\\n", "a b", "..", "-a", "ORACLE", "=cmd()", "a\\e[31m"])
def test_a_name_of_a_model_is_checked_to_its_end(tmp_path: Path, name: str):
    """Fault 31: a line break at the end passed."""
    (problem,) = problems(tmp_path, SMALLEST.replace("popularity: {}", f'"{name}": {{kind: markov}}'))
    assert "not a name for a model" in problem


@pytest.mark.parametrize("name", ["x\\n", "..", ".x", "a/b", "=cmd()", "a\\e[31m", "x" * 65])
def test_a_name_of_a_run_is_checked_to_its_end(tmp_path: Path, name: str):
    """Fault 31."""
    (problem,) = problems(tmp_path, SMALLEST.replace("name: x", f'name: "{name}"'))
    assert "letters, digits, _ . + - are allowed" in problem


def test_two_models_may_not_differ_only_in_case(tmp_path: Path):
    """Fault 31: some file systems hold one folder for both."""
    (problem,) = problems(tmp_path, SMALLEST + "train: {models: {Popularity: {kind: markov}}}\n")
    assert "train.models.Popularity: the name is already used by baseline.models.popularity" in problem


@pytest.mark.parametrize("text", ["seed: !!int x", "a: " + "[" * 900, "split: {preset: [1]}", "seed: 12:30:45"])
def test_values_that_cannot_be_are_refused_in_a_file_and_with_set(tmp_path: Path, text: str):
    """Fault 22."""
    assert problems(tmp_path, SMALLEST + text)
    key, value = text.split(": ", 1)
    assert problems(tmp_path, SMALLEST, f"{key}={value}")


def test_a_key_of_set_is_not_longer_than_any_key(tmp_path: Path):
    """Fault 22: as a chain of 100,000 keys it ended in a recursion error."""
    (problem,) = problems(tmp_path, SMALLEST, "a." * 100_000 + "a=1")
    assert problem.endswith("no key has more than 8 parts")
    assert len(problem) < 200


def test_set_changes_one_place_where_an_alias_names_two(tmp_path: Path):
    text = SMALLEST + "train: {models: {a: &x {kind: gru4rec}, b: *x}}\n"
    models = load(tmp_path, text, "train.models.a.epochs=3").fitted("train")
    assert [models[name].as_config()["epochs"] for name in "ab"] == [3, 10]


@pytest.mark.parametrize(
    "title", ["1e3", "yes", "010", "12:30:45", "1_000", "2024-01-08", "null", "a: b", " x", "é\n#"]
)
def test_a_text_that_looks_like_something_else_stays_a_text(tmp_path: Path, title: str):
    config = load(tmp_path, SMALLEST + f"report: {{title: {json.dumps(title)}}}\n")
    assert config.report.title == title
    assert resolved(load(tmp_path, dump_yaml(resolved(config)))) == resolved(config)


def test_a_share_that_no_fraction_can_hold_is_refused_at_once(tmp_path: Path):
    """Fault 22: Fraction("1e-999999999") takes hours."""
    (problem,) = problems(tmp_path, SMALLEST + 'split: {recent: {share: "1e-999999999"}}\n')
    assert "is not a share in (0, 1]" in problem


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=1"])
def test_set_without_a_key_or_value_is_told(tmp_path: Path, override: str):
    assert f"--set {override}: write KEY=VALUE" in problems(tmp_path, SMALLEST, override)[0]


def test_set_below_a_value_is_told(tmp_path: Path):
    assert problems(tmp_path, SMALLEST, "name.x=1") == ["--set name.x=1: name holds a value, not keys"]


def test_set_with_an_unknown_key_is_told(tmp_path: Path):
    assert problems(tmp_path, SMALLEST, "evaluate.cutof=[5]")[0].startswith("evaluate.cutof: unknown key")


def test_dates_stay_text_and_exponents_are_numbers(tmp_path: Path):
    text = SMALLEST + "split: {by: time, test: 2024-01-08}\ntrain: {models: {gru4rec: {learning_rate: 5e-2}}}\n"
    config = load(tmp_path, text)
    assert config.split.test == "2024-01-08"
    assert config.fitted("train")["gru4rec"].as_config()["learning_rate"] == 0.05


def test_every_field_says_what_it_is():
    from gru4rec_cli.models import registry

    sections = [field.annotation for field in StudyConfig.model_fields.values()]
    classes = [c for c in sections if isinstance(c, type) and hasattr(c, "model_fields")]
    for settings in [*classes, *(registry.settings_class(kind) for kind in registry.kinds())]:
        for name, field in settings.model_fields.items():
            assert field.description, f"{settings.__name__}.{name} has no description"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml")), ids=lambda path: path.name
)
def test_shipped_configurations_are_valid(path: Path):
    assert load_config(path).name == path.stem


# Loss, layer, batch size, dropouts, learning rate, momentum, alpha, bpreg, elu; the author's Recall@20 and MRR@20.
PUBLISHED = {
    "rsc15": ("cross-entropy", 100, 32, 0.0, 0.4, 0.2, 0.2, 0.5, None, None, ".7283", ".3205"),
    "yoochoose": ("cross-entropy", 480, 48, 0.0, 0.2, 0.07, 0.0, 0.2, None, None, ".6789", ".3024"),
    "rees46": ("cross-entropy", 512, 240, 0.45, 0.0, 0.065, 0.0, 0.5, None, None, ".5293", ".2008"),
    "coveo": ("bpr-max", 512, 144, 0.35, 0.0, 0.05, 0.4, 0.2, 1.85, 1.0, ".3135", ".1010"),
    "retailrocket": ("bpr-max", 224, 80, 0.5, 0.05, 0.05, 0.4, 0.4, 1.95, 0.5, ".5186", ".2175"),
    "diginetica": ("bpr-max", 512, 128, 0.5, 0.3, 0.05, 0.15, 0.3, 0.9, 1.0, ".4995", ".1542"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_are_those_of_the_author_and_name_what_to_expect(name: str):
    path = Path(__file__).parents[2] / "configs" / "published" / f"{name}.yaml"
    given = load_config(path).fitted("train")["gru4rec"].as_config()
    keys = ("batch_size", "dropout_p_embed", "dropout_p_hidden", "learning_rate", "momentum", "sample_alpha")
    loss, layer, *values, bpreg, elu, recall, mrr = PUBLISHED[name]
    assert (given["loss"], given["layers"], given["embedding"]) == (loss, [layer], "shared")
    assert [given[key] for key in keys] == values
    assert (given["bpreg"], given["elu_param"], given["epochs"], given["n_sample"]) == (bpreg, elu, 10, 2048)
    text = path.read_text(encoding="utf-8")
    assert f"Recall@20 {recall}, MRR@20 {mrr}" in text
