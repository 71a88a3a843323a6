"""SIGIR eCom 2021 data challenge, browsing events of Coveo; events that show no product have no product id."""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session_id_hash",
    item="product_sku_hash",
    time="server_timestamp_epoch_ms",
    unit="milliseconds",
    files=(("browsing_train.csv", "browsing_train.csv.gz"),),
    kind="product_action",
    keep=("detail",),
)
