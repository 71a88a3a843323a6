"""REES46 multi-category store, one file a month: `event_time,event_type,product_id,…,user_id,user_session`.

The files name sessions, but the published preprocessing makes its own: an hour of inactivity of a user ends one.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="user_session",
    item="product_id",
    time="event_time",
    unit="iso8601",
    files=(("20[0-9][0-9]-*.csv", "20[0-9][0-9]-*.csv.gz"),),
    user="user_id",
    kind="event_type",
    keep=("view",),
    by="user",
    gap_minutes=60.0,
)
