"""Popularity: the order of supports, whatever the history."""

from gru4rec_cli.models import registry
from gru4rec_cli.models.popularity import Model, Settings
from tests.models.plain import fit_and_score
from tests.worlds import sessions_of

FIELDS: dict[str, object] = {}


def test_items_by_their_number_of_clicks_and_none_of_them_a_candidate():
    train = sessions_of([[2, 0, 2], [2, 1], [0, 3]], n_items=4)  # supports 2, 1, 3, 1
    model = Model(Settings())
    model.fit(train)
    assert model.recommend([1], 4)[0].tolist() == [2, 0, 1, 3]  # 1 and 3 are tied: index order
    assert model.order.levels.tolist() == [1, 0, 2, 0]
    assert fit_and_score("popularity", train, [1]) == {}
    assert registry.model_class("popularity") is Model
