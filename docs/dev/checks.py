"""Writes docs/audit.md: every check with its thresholds, why it matters and what to do, from the checks themselves.

Run `make docs` after changing a check; a test compares.
"""

import inspect
from pathlib import Path
from typing import Any

from gru4rec_cli.audit.check import Checks
from gru4rec_cli.audit.data import DATA
from gru4rec_cli.audit.model import MODEL
from gru4rec_cli.audit.predictions import PREDICTIONS
from gru4rec_cli.audit.run import RUN
from gru4rec_cli.audit.split import SPLIT
from gru4rec_cli.data.faults import LOG_FAULTS, SPLIT_FAULTS

HEAD = """# Audit

`gru4rec-study audit` looks for faults that are known from published data and programs. It prints a table of checks: a
verdict (`PASS`, `WARN`, `FAIL`, or `NOT CHECKED` with the reason), the figure, the thresholds, what was seen, and what
to do. This page is made from the code by `make docs`. `--only`, `--ignore` and `--threshold` take a check's id or its
number, such as `D04`.

```
gru4rec-study audit data clicks.csv --session visit --item product --time clicked_at
gru4rec-study audit split train.tsv test.tsv valid.tsv
gru4rec-study audit split runs/demo
gru4rec-study audit run runs/demo
gru4rec-study audit model runs/demo --model gru4rec
gru4rec-study audit model --module theirs.py --case tests/golden/xe_shared.npz
gru4rec-study audit predictions theirs.run --train train.tsv --test test.tsv --claim recall@20=0.52
```

`audit data` reads whatever `split` reads, and takes the layout from `--config` or from options as `describe` does.
`audit split` takes two or three files, or a run directory. It also says which published split the parts are, or which
they nearly are and what differs: by their counts and, where the file could be measured, by the number of different
pairs of consecutive items and of first items of sessions. Other ids leave these numbers as they are; another order of
clicks changes them. `audit run` computes the metrics of a run again from the ranks of its
events, and the ranks from its models, whatever the hashes say. Times that are row numbers: `--time none`.

| option | meaning |
|---|---|
| `--fail-on warn` | exit code 6 from `WARN` on; by default from `FAIL` on |
| `--only ID` | run this check alone; repeatable |
| `--ignore ID=REASON` | let a check pass; the reason is shown; repeatable |
| `--threshold ID=NUMBER` | the figure from which on a check fails instead; shares are from 0 to 1; repeatable |
| `--html FILE` | also write a page for a browser: what was checked, what was found, what it means, what to do |
| `--json` | one JSON document, with every check's figure |

The id of a check never changes its meaning. For every check there is a planted fault that it must find
(those of logs and splits are in `gru4rec_cli/data/faults.py`), and clean data on which it must be silent; tests hold
both. In Python:

```python
from gru4rec_cli.audit.data import audit_events

audit = audit_events(events, session="visit", item="product", time="clicked_at")  # pandas, Polars or PyArrow
print([result.id for result in audit.counting("FAIL", "WARN")])
```

`audit_tables(train, test)` in `gru4rec_cli.audit.split` does the same for the parts of a split.

## A model of somebody else

`--module FILE.py` names a Python file, which is run. It defines `histories`, some sessions as lists of item indices,
and `score(histories)`, which gives an array with a row for each of them: the scores of all items after its last click.
It may also define these; a check that needs one which is missing says so:

- `replay(recording)`, of an implementation of GRU4Rec, as for `conformance` ([conformance.md](conformance.md)), with
  recorded runs named by `--case` (`M13`)
- `score_renumbered(histories)`: the scores of the same model with its V items numbered backwards, so that item i is
  V − 1 − i in the histories and in the columns (`M14`)
- `gradients()`: the gradient of every parameter by its name, after a training step; None where there is none (`M15`)
- `score_followed(histories, futures)`: the scores after every history, in a session that goes on with the clicks of its
  future (`M16`)

```python
import torch
from theirs import model  # fitted

histories = [[3, 17, 4], [8], [5, 5, 2, 9]]


def score(histories):
    with torch.no_grad():
        return model.predict(histories).numpy()
```

## Planted faults

`synth: {faults: [duplicate_rows]}` plants faults in a synthetic log, to see what they do to a table of results. The
oracle is then no bound, and is left out. `split` still cleans: by default it drops exact copies and immediate repeats,
so set `split.drop_duplicates: false` and `split.drop_repeats: false` to see what these do. A fault of a split divides
the log itself: the last 15 % of the time are the test. Which check finds it is in brackets.
[inflation.md](inflation.md) shows what each of them does to the results of real clicks.

FAULTS
## What fires on clean public data

| data | command | fires |
|---|---|---|
| RecSys Challenge 2015, a sample: training | `audit data rsc15-100k-train.tsv.gz` | nothing |
| the same, test | `audit data rsc15-100k-test.tsv.gz` | nothing |
| the same, both | `audit split TRAIN.tsv.gz TEST.tsv.gz` | `S12`: items were filtered before dividing |
| Diginetica in order | `audit data TRAIN.tsv --time none` | nothing; 11 checks need times, which it has not |
| the same, both | `audit split TRAIN.tsv TEST.tsv --time none` | nothing; it is named as the split of the SR-GNN line |
| nowplaying | `audit data nowplaying1m.tsv.gz` | `D09`: 68 of 536 days have no event |
| Diginetica ([results.md](results.md)) | `audit run RUN` | `R11`: `sasrec` ended early; `R12`: a lead of 3.8 % |
| nowplaying, `core` or `gru4rec` ([results.md](results.md)) | `audit model RUN --model NAME` | nothing |
| the same, `vsknn` | `audit model RUN --model vsknn` | `M09`: after 30 % of the histories, best items tie |

## How long it takes

Ten million synthetic events as Parquet, 2 cores with other work beside it; wall time and peak memory:

| command | ids are integers | ids are texts of 60 to 80 characters |
|---|---:|---:|
| `audit data FILE` | 18 s, 1.6 GB | 31 s, 2.4 GB |
| `audit split TRAIN TEST` | 20 s, 1.9 GB | 33 s, 2.1 GB |
"""


def section(title: str, checks: Checks[Any]) -> str:
    """Return a section: a heading for each check, its thresholds, why it matters, and what to do."""
    lines = [f"## {title}", ""]
    for check in checks.all.values():
        levels = {"`WARN`": check.warn, "`FAIL`": check.fail}
        told = {name: check.level(level) for name, level in levels.items() if level is not None}
        shown = ", ".join(
            f"{name} where there is any" if text == "any" else f"{name} from {text}" for name, text in told.items()
        )
        lines += [f"### {check.id}", "", f"{check.title}. {shown}.", "", check.why, ""]
        lines += [f"What to do: {check.remedy.rstrip('?.')}{'?' if check.remedy.endswith('?') else '.'}", ""]
    return "\n".join(lines)


def faults() -> str:
    """Return a list of all faults that can be planted, with the check that finds each."""
    every = {**LOG_FAULTS, **SPLIT_FAULTS}
    lines = [f"- `{name}` ({fault.check[:3]}): {inspect.getdoc(fault.plant)}" for name, fault in every.items()]
    return "\n".join(" ".join(line.split()) for line in lines) + "\n"


def page() -> str:
    """Return the whole page."""
    sections: dict[str, Checks[Any]] = {"Checks of a log": DATA, "Checks of a split": SPLIT, "Checks of a run": RUN}
    sections |= {"Checks of a model": MODEL, "Checks of ranked lists that another tool wrote": PREDICTIONS}
    parts = [HEAD.replace("FAULTS\n", faults() + "\n"), *(section(title, checks) for title, checks in sections.items())]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("audit.md").write_text(page(), encoding="utf-8")
