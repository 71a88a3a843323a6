"""Recent popularity: the supports of the last days, ties by all of them."""

import numpy as np

from gru4rec_cli.models.recent_popularity import Model, Settings
from tests.models.plain import with_times
from tests.worlds import sessions_of

FIELDS = {"days": 0.0005}
DAY = 86_400


def test_the_window_ends_with_the_last_event_and_older_clicks_break_ties():
    train = sessions_of([[0, 0], [1, 2], [3, 2]], n_items=4)
    train = with_times(train, np.array([0, 1, 5, 6, 8, 9]) * DAY)  # the last 3 days hold 3 and 2
    model = Model(Settings(days=3.0))
    model.fit(train)
    # 2: once recently, twice in all; 3: once, once; then 0: never recently, twice in all; 1: never, once.
    assert model.recommend([1], 4)[0].tolist() == [2, 3, 0, 1]


def test_a_click_exactly_one_window_before_the_last_is_outside():
    train = with_times(sessions_of([[0, 0], [1, 2]], n_items=3), np.array([0, 7, 9, 10]) * DAY)
    model = Model(Settings(days=3.0))
    model.fit(train)
    assert model.recommend([1], 3)[0].tolist() == [1, 2, 0]
