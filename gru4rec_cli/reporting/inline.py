"""A drawn figure inside an HTML page: in the page's colours, with names of its own."""

import re

from markupsafe import Markup

# What the page decides; the colours of the models stay.
_PAGE_COLOURS = {"#000000": "currentColor", "#ffffff": "none", "#dddddd": "var(--grid)", "#666666": "var(--axis)"}
_LEFT_OUT = re.compile(r"<(metadata|style|title)\b.*?</\1>|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<[a-z][^>]*>", re.DOTALL)  # matplotlib escapes what is between tags and in attributes
_NAME = re.compile(r'(\bid="|url\(#|href="#)')
_SIZE = re.compile(r'\s(?:width|height)="[^"]*"')


def inline_svg(svg: str, stem: str) -> Markup:
    """An SVG that matplotlib wrote as a part of a page. `stem` keeps the names of several figures apart."""
    svg = _LEFT_OUT.sub("", svg[svg.index("<svg") :])

    def fitted(tag: re.Match[str]) -> str:
        named = _NAME.sub(rf"\g<1>{stem}-", tag[0])
        if named.startswith("<svg"):
            named = _SIZE.sub("", named).replace("<svg", '<svg aria-hidden="true"', 1)
        return re.sub("|".join(_PAGE_COLOURS), lambda colour: _PAGE_COLOURS[colour[0]], named)

    return Markup(_TAG.sub(fitted, svg).strip())
