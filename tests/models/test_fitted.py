"""A fitted model's folder is enough: ids in, ids out. Fault 9, and the requests of fault 10 by id."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.models import registry
from gru4rec_cli.models.fitted import FittedModel
from tests.worlds import sessions_of

TEXT = ["pear", "fig", "apple", "plum"]
NUMBERS = [70, -5, 2**60, 8]


def with_ids(train: Sessions, ids: list[Any]) -> Sessions:
    return replace(
        train,
        vocabulary=Vocabulary(np.array(ids, dtype=object if isinstance(ids[0], str) else np.int64), train.supports()),
    )


def saved(folder: Path, ids: list[Any]) -> FittedModel:
    """A Markov chain of 0 → 1 → 2, loaded from its folder."""
    train = with_ids(sessions_of([[0, 1, 2], [0, 1], [0, 2], [3, 0]]), ids)
    model = registry.model_class("markov")(registry.settings_class("markov")())
    model.fit(train)
    registry.save_model(folder, "markov", registry.settings_class("markov")(), 42, model, train.vocabulary.ids)
    return registry.load_model(folder)


@pytest.mark.parametrize("ids", [TEXT, NUMBERS], ids=["text", "numbers"])
def test_ids_go_in_and_come_out(tmp_path: Path, ids: list[Any]):
    items, scores = saved(tmp_path, ids).recommend([ids[0]], 2)
    assert items.tolist() == [ids[1], ids[2]]  # 0 → 1 twice, 0 → 2 once
    assert scores.tolist() == [2.0, 1.0]


def test_numpy_arrays_of_ids_are_histories(tmp_path: Path):
    assert saved(tmp_path, NUMBERS).recommend(np.array([70]), 1)[0].tolist() == [-5]


def test_items_of_the_history_are_not_left_out(tmp_path: Path):
    model = saved(tmp_path, TEXT)
    assert sorted(model.recommend(["pear", "fig"], 4)[0]) == sorted(TEXT)
    assert model.recommend(["fig", "plum"], 1)[0].tolist() == ["pear"]  # 3 → 0
    assert model.recommend(["pear", "plum", "pear"], 1)[0].tolist() == ["fig"]
    assert "not left out" in str(FittedModel.recommend.__doc__)


def test_clicks_on_unknown_items_are_passed_over(tmp_path: Path):
    model = saved(tmp_path, TEXT)
    assert model.recommend(["pear", "kiwi"], 1)[0].tolist() == ["fig"]


@pytest.mark.parametrize(
    ("ids", "history"),
    [
        (TEXT, ["kiwi", "date"]),
        (TEXT, [0]),  # an index is no id
        (NUMBERS, ["70"]),
        (NUMBERS, [0, 1]),
        (NUMBERS, [70.0]),
        (NUMBERS, [[70]]),
        (NUMBERS, [2**70]),
        (NUMBERS, [None]),
    ],
)
def test_a_history_without_known_items_is_an_error_that_names_them(tmp_path: Path, ids: list[Any], history: list[Any]):
    with pytest.raises(ValueError, match="knows no item of the history") as error:
        saved(tmp_path, ids).recommend(history)
    assert repr(history[0]) in str(error.value)
    assert repr(ids[0]) in str(error.value)  # what ids look like


def test_impossible_requests_are_errors(tmp_path: Path):
    model = saved(tmp_path, TEXT)
    for k in (0, -3, 1.0, True):
        with pytest.raises(ValueError, match="from 1 on"):
            model.recommend(["pear"], k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="history is empty"):
        model.recommend([])
    with pytest.raises(ValueError, match="list of item ids"):
        model.recommend("pear")
    assert sorted(model.recommend(["pear"], 1000)[0]) == sorted(TEXT)


def others() -> Iterator[list[str]]:
    """Item tables in which indices mean something else."""
    yield ["fig", "pear", "apple", "plum"]  # the same items, numbered otherwise
    yield ["pear", "fig", "apple", "kiwi"]
    yield [*TEXT, "kiwi"]


@pytest.mark.parametrize("ids", list(others()))
def test_sessions_over_another_item_table_are_refused(tmp_path: Path, ids: list[str]):
    model = saved(tmp_path, TEXT)
    assert len(list(model.score(with_ids(sessions_of([[0, 1]], 4), TEXT)))) == 1
    with pytest.raises(StageError, match="another item table"):
        model.score(with_ids(sessions_of([[0, 1]], len(ids)), ids))


def test_a_folder_without_ids_is_refused(tmp_path: Path):
    saved(tmp_path, TEXT)
    (tmp_path / "items.parquet").unlink()
    with pytest.raises(StageError, match=r"holds no items\.parquet"):
        registry.load_model(tmp_path)


DAMAGES = {
    "no description": ("model.json", None),
    "not JSON": ("model.json", b"{"),
    "a list": ("model.json", b"[]"),
    "no settings": ("model.json", b'{"kind": "markov", "seed": 1}'),
    "a wrong setting": ("model.json", b'{"kind": "markov", "seed": 1, "settings": {"order": "x"}}'),
    "an unknown setting": ("model.json", b'{"kind": "markov", "seed": 1, "settings": {"odd": 1}}'),
    "no arrays": ("arrays.safetensors", None),
    "cut arrays": ("arrays.safetensors", b"\x08\x00\x00"),
    "no ids": ("items.parquet", None),
    "cut ids": ("items.parquet", b"PAR1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_fault_23_a_damaged_model_is_a_stage_error_that_names_the_folder(tmp_path: Path, damage: str):
    saved(tmp_path, ["a", "b", "c", "d"])
    file, content = DAMAGES[damage]
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(StageError) as found:
        registry.load_model(str(tmp_path))
    assert str(tmp_path) in found.value.message
