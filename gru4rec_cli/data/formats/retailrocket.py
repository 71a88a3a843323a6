"""RetailRocket events: `timestamp,visitorid,event,itemid,transactionid`, milliseconds; sessions by inactivity."""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session=None,
    item="itemid",
    time="timestamp",
    unit="milliseconds",
    files=(("events.csv", "events.csv.gz"),),
    user="visitorid",
    kind="event",
    keep=("view",),
    by="user",
    gap_minutes=60.0,
)
