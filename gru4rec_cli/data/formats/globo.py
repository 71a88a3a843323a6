"""News clicks of Globo.com, one file an hour: `user_id,session_id,…,click_article_id,click_timestamp,…`."""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session_id",
    item="click_article_id",
    time="click_timestamp",
    unit="milliseconds",
    files=(("clicks_hour_*.csv", "clicks/clicks_hour_*.csv", "clicks_hour_*.csv.gz", "clicks/clicks_hour_*.csv.gz"),),
    user="user_id",
)
