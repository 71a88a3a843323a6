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


def card_text(facts: dict[str, Any]) -> str:
    """Return the model card of these facts, as Markdown."""
    sections = {
        "Use": _use(),
        "Data": _data(facts),
        "Metrics": _metrics(facts),
        "Settings": _settings(facts),
        "Limits": "It recommends items that its training data held, and no others. Clicks on other items are passed "
        "over. Interests change: compare it with a newer model on newer clicks from time to time.",
        "Licence": "\n\n".join([_LICENCE, *([_OFFICIAL] if facts["kind"] == "official" else [])]),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"# {facts['name']}: a session-based recommender\n\n{facts['description']}\n\n{body}\n"


def _use() -> str:
    return (
        "```python\nfrom gru4rec_cli.serving import load_bundle\n\n"
        'items, scores = load_bundle("this-folder").recommend([…], k=20)\n```\n\n'
        "`gru4rec-study recommend --bundle THIS_FOLDER --items A,B`, `gru4rec-study serve THIS_FOLDER`"
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
    return head + "\n".join(rows) + fitted


def _day(part: dict[str, Any], name: str) -> str:
    return str(part.get(name) or "–")[:10]


def _metrics(facts: dict[str, Any]) -> str:
    if not facts["metrics"]:
        return "The run of this model was not evaluated."
    rows = [
        f"| {row['metric']}@{row['k']} | {row['value']:.4f} | "
        + (f"{row['low']:.4f}–{row['high']:.4f} |" if "low" in row else "– |")
        for row in facts["metrics"]
    ]
    protocol = facts["protocol"] or {}
    told = (
        f"Every click of a test session but its first is predicted from the clicks before it; {protocol.get('events')} "
        f"such events. The target is ranked among all {facts['items']:,} items, ties are {protocol.get('ties')}. "
        "Intervals: 95 %, over sessions."
    )
    return "| metric | value | interval |\n|---|---|---|\n" + "\n".join(rows) + f"\n\n{told}"


def _settings(facts: dict[str, Any]) -> str:
    settings = yaml.safe_dump({"kind": facts["kind"], **facts["settings"], "seed": facts["seed"]}, sort_keys=False)
    return f"```yaml\n{settings}```"
