"""Session popularity: the clicks of the session so far."""

from gru4rec_cli.models.session_popularity import Model, Settings
from tests.models.plain import fit_and_score
from tests.worlds import sessions_of

FIELDS: dict[str, object] = {}
TRAIN = sessions_of([[2, 0, 2], [2, 1], [0, 3]], n_items=4)  # supports 2, 1, 3, 1


def test_the_items_of_the_session_by_their_clicks_then_all_others_by_popularity():
    assert fit_and_score("session_popularity", TRAIN, [1, 3, 1, 0]) == {1: 2.0, 3: 1.0, 0: 1.0}
    model = Model(Settings())
    model.fit(TRAIN)
    assert model.recommend([1, 3, 1, 0], 4)[0].tolist() == [1, 0, 3, 2]
