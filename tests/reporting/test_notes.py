"""Notes that name fits: by model where all seeds are meant, by number where all models are."""

from typing import Any

from gru4rec_cli.reporting.tables.cells import improving_note
from gru4rec_cli.reporting.text.words import ENGLISH, words_of

LOSS = ": the training loss was still falling in the last epoch, so more epochs would probably change these results."


def models(*names: str, improving: dict[str, list[int]]) -> dict[str, Any]:
    """Trained models with the seeds 1 and 2, of which those of `improving` still improved; and a baseline."""
    found = {
        name: {
            "stage": "train",
            "seeds": [1, 2],
            "improving": {f"{name}.seed-{seed}": "loss" for seed in improving.get(name, [])},
        }
        for name in names
    }
    return {**found, "popularity": {"stage": "baseline", "seeds": [1], "improving": {}}}


def test_a_model_is_named_for_all_of_its_seeds():
    given = models("a", "b", improving={"a": [1, 2], "b": [2]})
    assert improving_note(given, ENGLISH) == [f"a and b.seed-2{LOSS}"]


def test_all_trained_models_are_counted_where_they_are_many():
    every = {model: [1, 2] for model in "abc"}
    assert improving_note(models(*"abc", improving=every), ENGLISH) == [f"All 3 trained models{LOSS}"]
    assert improving_note(models(*"abcd", improving=every), ENGLISH) == [f"a, b and c{LOSS}"]
    assert improving_note(models(*"ab", improving=every), ENGLISH) == [f"a and b{LOSS}"]
    assert improving_note(models(*"abc", improving=every | {"c": [1]}), ENGLISH) == [f"a, b and c.seed-1{LOSS}"]
    assert improving_note(models(*"abc", improving=every), words_of("es"))[0].startswith("Los 3 modelos entrenados: la")


def test_signs_are_told_apart():
    given = models("a", "b", "c", improving={"a": [1, 2], "b": [1, 2], "c": [1, 2]})
    given["c"]["improving"] = dict.fromkeys(given["c"]["improving"], "validation")
    first, second = improving_note(given, ENGLISH)
    assert first == f"a and b{LOSS}"
    assert second.startswith("c: the last epoch is the best by validation")
