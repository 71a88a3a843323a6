"""Atomic files of RecBole: tabs, and a header with types: `session_id:token`, `item_id:token`, `timestamp:float`.

Files of users have `user_id:token` in place of the session; `sessions: {by: user, gap_minutes: 30}` cuts these.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session_id:token",
    item="item_id:token",
    time="timestamp:float",
    unit="seconds",
    separator="\t",
    files=(("*.inter", "*.inter.gz"),),
    user="user_id:token",
)
