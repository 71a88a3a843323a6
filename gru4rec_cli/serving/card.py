"""The text of a model card."""

from typing import Any

import yaml

_LICENCE = (
    "gru4rec-study is under the MIT licence. The data that the model was fitted on has its own terms, which also hold "
    "for what is made from it."
)
_OFFICIAL = (
    "This model is of the kind `official`: the author's own code trained it, and it needs that code to rank. It is "
    "licensed for research and education only, is not part of this bundle, and is fetched with `gru4rec-study fetch`."
)


_MEANINGS = {
    "recall": "share of the events whose target is among the first K",
    "mrr": "mean of 1 / rank, and of 0 where the rank is above K",
    "ndcg": "mean of 1 / log2(rank + 1), and of 0 where the rank is above K",
    "coverage": "share of the items that are in at least one list of K",
}
_TIES = {
    "conservative": "an item that scores as high as the target counts as above it",
    "median": "half of the items that score as high as the target count as above it",
    "optimistic": "an item that scores as high as the target counts as below it",
}


def card_text(facts: dict[str, Any]) -> str:
    """Return the model card of these facts, as Markdown."""
    sections = {
        "Use": _use(facts),
        "Data": _data(facts),
        "Metrics": _metrics(facts),
        "Settings": _settings(facts),
        **({"ONNX": _onnx(facts["onnx"])} if "onnx" in facts else {}),
        "Hashes": _hashes(facts),
        "Limits": "It recommends items that its training data held, and no others. Clicks on other items are passed "
        "over. Interests change: compare it with a newer model on newer clicks from time to time.",
        "Licence": "\n\n".join([_LICENCE, *([_OFFICIAL] if facts["kind"] == "official" else [])]),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"# {facts['name']}: a session-based recommender\n\n{facts['description']}\n\n{body}\n"


def _use(facts: dict[str, Any]) -> str:
    needs = f"\n\nIt needs the package {facts['package']}, which offers this kind of model." if facts["package"] else ""
    return (
        "```python\nfrom gru4rec_cli.serving import load_bundle\n\n"
        'items, scores = load_bundle("this-folder").recommend([…], k=20)\n```\n\n'
        "`gru4rec-study recommend --bundle THIS_FOLDER --items A,B`, `gru4rec-study serve THIS_FOLDER`" + needs
    )


def _data(facts: dict[str, Any]) -> str:
    parts = facts["data"]["parts"]
    if not parts:
        return f"{facts['items']:,} items; nothing more is known of it."
    rows = [
        f"| {name} | {part.get('sessions', 0):,} | {part.get('events', 0):,} | {part.get('items', 0):,} | "
        f"{_day(part, 'first_time')} | {_day(part, 'last_time')} |"
        for name, part in parts.items()
        if isinstance(part, dict)
    ]
    refit = facts["fit"].get("refit")
    fitted = f"\n\nFitted on {refit['on']} ({refit['sessions']:,} sessions)." if refit else ""
    head = "| part | sessions | clicks | items | first click | last click |\n|---|---|---|---|---|---|\n"
    split = {key: value for key, value in facts["data"]["split"].items() if value is not None}
    return head + "\n".join(rows) + fitted + f"\n\nThe split:\n\n{_yaml(split)}"


def _day(part: dict[str, Any], name: str) -> str:
    return str(part.get(name) or "–")[:10]


def _metrics(facts: dict[str, Any]) -> str:
    if not facts["metrics"]:
        return str(facts["no_metrics"])
    rows = [
        f"| {row['metric']}@{row['k']} | {row['value']:.4f} | "
        + (f"{row['low']:.4f}–{row['high']:.4f} |" if "low" in row else "– |")
        for row in facts["metrics"]
    ]
    protocol = facts["protocol"]
    told = (
        f"Every click of a test session but its first is predicted from the clicks before it; {protocol['events']} "
        f"such events. The target is ranked among all {facts['items']:,} items. Ties are {protocol['ties']}: "
        f"{_TIES[protocol['ties']]}. Intervals: {protocol['confidence']:.4g} confidence, {protocol['interval']}."
    )
    shown = dict.fromkeys(row["metric"] for row in facts["metrics"])
    meanings = "\n".join(f"- {metric}@K: {_MEANINGS[metric]}." for metric in shown)
    return "| metric | value | interval |\n|---|---|---|\n" + "\n".join(rows) + f"\n\n{told}\n\n{meanings}"


def _settings(facts: dict[str, Any]) -> str:
    return _yaml({"kind": facts["kind"], **facts["settings"], "seed": facts["seed"]})


def _yaml(values: dict[str, Any]) -> str:
    return f"```yaml\n{yaml.safe_dump(values, sort_keys=False)}```"


def _onnx(step: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {what} |" for name, what in {**step["inputs"], **step["outputs"]}.items()]
    told = (
        f"`{step['file']}` is one step of the network: the first two go in, the others come out. An item is a row of "
        "`items.parquet`, from 0 on; a state is zeros at the start of a session. Run in onnxruntime on random clicks, "
        f"states and scores differed from those of this program by at most {step['largest_difference']:.1e}. For this, "
        "scores are divided by the largest one, where that is above 1."
    )
    return told + "\n\n| name | |\n|---|---|\n" + "\n".join(rows)


def _hashes(facts: dict[str, Any]) -> str:
    rows = [f"| `{name}` | `{digest}` |" for name, digest in facts["hashes"].items()]
    told = f"Made by {facts['made_by']}. `bundle.json` has the SHA-256 of every file, and the version of the whole."
    if not rows:
        return told
    return f"{told} What the run fitted had these:\n\n| file | SHA-256 |\n|---|---|\n" + "\n".join(rows)
