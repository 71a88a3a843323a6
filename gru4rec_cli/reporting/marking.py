"""Tables as markdown, and text that no markdown reader takes for markup."""

import re
from collections.abc import Sequence


def escape_markdown(value: object) -> str:
    """`value` as one line of text that markdown shows as it is: no markup, no HTML, no link, no table cell."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    text = re.sub(r"[\\`*|~$]", r"\\\g<0>", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = text.replace("](", "]\\(").replace("][", "]\\[")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
