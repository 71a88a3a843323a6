"""CIKM Cup 2016 track 2, item views of Diginetica: `sessionId;userId;itemId;timeframe;eventdate`.

`timeframe` counts milliseconds within the session, `eventdate` is a day: the time of a view is the session's first
day plus its `timeframe`.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="sessionId",
    item="itemId",
    time="timeframe",
    unit="milliseconds",
    separator=";",
    files=(("train-item-views.csv", "train-item-views.csv.gz"),),
    user="userId",
    day="eventdate",
)
