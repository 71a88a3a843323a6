"""OTTO: JSON lines, `{"session":12,"events":[{"aid":1,"ts":1661724000278,"type":"clicks"}]}`, one session a line."""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="session",
    item="aid",
    time="ts",
    unit="milliseconds",
    separator=None,
    files=(("*train*.jsonl", "*train*.jsonl.gz"),),
    kind="type",
    keep=("clicks",),
    nested=True,
)
