"""RecSys Challenge 2015, clicks of Yoochoose: no header, `session,2014-04-07T10:51:09.277Z,item,category`."""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session",
    item="item",
    time="time",
    unit="iso8601",
    files=(("yoochoose-clicks.dat", "yoochoose-clicks.dat.gz"), ("yoochoose-test.dat", "yoochoose-test.dat.gz")),
    header=("session", "time", "item", "category"),
)
