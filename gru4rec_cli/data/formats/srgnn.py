"""Data sets as prepared for SR-GNN (github.com/CRIPAC-DIG/SR-GNN): pickles of sessions without times.

`all_train_seq.txt` holds training sessions; `train.txt` and `test.txt` hold a pair of lists, the beginnings of sessions
and their next items. Sessions are put together again, and the place of a click in the file is its time, in seconds.
"""

from gru4rec_cli.data.layout import Layout

LAYOUT = Layout(
    session="number of the session",
    item="item",
    time=None,
    unit="seconds",
    separator=None,
    files=(("all_train_seq.txt",),),
    pickled=True,
)
