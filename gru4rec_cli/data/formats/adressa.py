"""Adressa, news events of Adresseavisen, a file a day: JSON lines, `{"userId":"cx:…","id":"d1e…","time":1483225202,…}`.

Events without `id` are views of front pages and the like. `sessionStart` and `sessionStop` are not used: sessions end
after half an hour without an article.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session=None,
    item="id",
    time="time",
    unit="seconds",
    separator=None,
    files=(("20[0-9][0-9][01][0-9][0-3][0-9]", "20[0-9][0-9][01][0-9][0-3][0-9].gz"),),
    user="userId",
    by="user",
    gap_minutes=30.0,
    flat=True,
)
