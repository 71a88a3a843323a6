"""RecSys Challenge 2019, sessions of trivago: `user_id,session_id,timestamp,step,action_type,reference,…`, seconds.

`reference` is an item only with the actions that are kept here; with others it is a filter, a city, a sort order.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session_id",
    item="reference",
    time="timestamp",
    unit="seconds",
    files=(("train.csv", "train.csv.gz"),),
    user="user_id",
    kind="action_type",
    keep=(
        "clickout item",
        "interaction item deals",
        "interaction item image",
        "interaction item info",
        "interaction item rating",
    ),
)
