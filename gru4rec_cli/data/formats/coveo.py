"""Coveo shopper intent prediction (Requena et al. 2020): page views, with or without a product.

Columns: `session_id_hash,event_type,product_action,product_skus_hash,server_timestamp_epoch_ms,hashed_url`.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session_id_hash",
    item="product_skus_hash",
    time="server_timestamp_epoch_ms",
    unit="milliseconds",
    files=(("release_10_23_2020.csv", "release_10_23_2020.csv.gz"),),
    kind="product_action",
    keep=("detail",),
    blank_item=True,
)
