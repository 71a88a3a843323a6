"""Texts by key in the language of the reader, and numbers as that language writes them."""

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape


def escape_markdown(value: object) -> str:
    """Return `value` as one line of text that markdown shows as it is: no markup, no HTML, no link, no table cell."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    text = re.sub(r"[\\`*|~$]", r"\\\g<0>", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = text.replace("](", "]\\(").replace("][", "]\\[")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


LANGUAGES = Path(__file__).parent / "languages"  # one file a language, the same keys and gaps in all of them
_SMALLEST_P = 0.0001
LARGEST_RELATIVE = 10.0  # as a percentage
_MINUS = "\u2212"


@dataclass(frozen=True)
class Sentence:
    """A text with gaps, what fills them, and where the numbers in it come from.

    The text is ours and may mark **words** and `code`; the values come from the data and are never markup.
    """

    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    below: tuple["Sentence", ...] = ()

    def plain(self) -> str:
        """Return the sentence without markup, for a terminal."""
        return self.text.replace("**", "").replace("`", "").format(**self.values)

    def markdown(self) -> str:
        """Return it as markdown, the values escaped."""
        return self.text.format(**{name: escape_markdown(value) for name, value in self.values.items()})

    def html(self) -> Markup:
        """Return it as HTML, the values escaped."""
        marked = str(escape(self.text))
        for mark, element in (("**", "strong"), ("`", "code")):
            parts = marked.split(mark)
            marked = "".join(f"<{element}>{p}</{element}>" if place % 2 else p for place, p in enumerate(parts))
        return Markup(marked.replace(" %", "\u00a0%")).format(**self.values)


@dataclass(frozen=True)
class Words:
    """One language: its texts by key, its decimal mark, its thousands separator."""

    language: str
    texts: Mapping[str, str]
    phrases: Mapping[str, str]
    labels: Mapping[str, str]
    decimal_mark: str
    thousands: str
    leading_zero: bool  # before the decimal mark of a share

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of `key`, its gaps filled, without markup."""
        return self.texts[key].replace("**", "").format(**values)

    def say(self, key: str, /, source: str = "", **values: object) -> Sentence:
        """Return the text of `key` as a sentence that a page may show."""
        return Sentence(self.texts[key], {name: str(value) for name, value in values.items()}, source)

    def phrase(self, text: object) -> str:
        """Return a text that the program writes into its artifacts, in this language where it is known, else as it is:
        whole or by its parts, which semicolons divide; of a part, at least what stands before a colon."""
        whole = str(text)
        return self.phrases.get(whole) or "; ".join(self._phrase_part(part) for part in whole.split("; "))

    def _phrase_part(self, part: str) -> str:
        head, colon, rest = part.partition(": ")
        return self.phrases.get(part) or self.phrases.get(head, head) + colon + rest

    def label(self, key: str) -> str:
        """Return the words for a key of an artifact, such as `kept_epoch`; without any, the key with blanks."""
        return self.labels.get(key) or key.replace("_", " ")

    def share(self, value: float) -> str:
        """Return a share with four decimals: `.4321`, `0,4321`."""
        text = f"{value:.4f}"
        if not self.leading_zero:
            text = text.replace("0.", ".", 1) if abs(value) < 1 and text.lstrip("-")[0] == "0" else text[:-1]
        return self._written(text)

    def signed(self, value: float) -> str:
        """Return a difference of shares, always with its sign; what rounds to zero has none."""
        sign = "" if f"{value:.4f}".lstrip("-") == "0.0000" else "+" if value > 0 else "−"
        return sign + self.share(abs(value))

    def fixed(self, value: float, digits: int) -> str:
        """Return a number with this many decimals."""
        return self._written(f"{value:,.{digits}f}")

    def count(self, value: int) -> str:
        """Return a whole number, its thousands separated."""
        text = f"{value:,}"
        return self._written(text.replace(",", "") if self.language == "es" and abs(value) < 10_000 else text)

    def percent(self, share: float, digits: int = 1) -> str:
        """Return a share as a percentage, a blank that does not break before the sign."""
        return f"{self.fixed(share * 100, digits)} %"

    def relative(self, share: float) -> str:
        """Return a relative difference as a percentage; above 1,000 % as a ratio, such as `×541`, which can be read."""
        return self.percent(share) if share < LARGEST_RELATIVE else f"×{self.fixed(1 + share, 0)}"

    def level(self, confidence: float) -> str:
        """Return a coverage without needless decimals: `95 %`."""
        return f"{self._written(f'{confidence * 100:g}')} %"

    def interval(self, low: float, high: float) -> str:
        """Return two shares in brackets. No blank inside: where a terminal is too narrow, the line breaks before
        them."""
        return f"[{self.share(low)}–{self.share(high)}]"

    def signed_interval(self, low: float, high: float) -> str:
        """Return two differences in brackets; a dash between signs would be read as one of them."""
        return f"[{self.signed(low)};{self.signed(high)}]"

    def probability(self, p: float, *, at_most: bool = False) -> str:
        """Return a p-value as a table shows it; `at_most`, rounded up, where the test can give no smaller one."""
        if at_most and p < 1:
            return f"≤ {self.share(math.ceil(p / _SMALLEST_P - 1e-6) * _SMALLEST_P)}"
        return f"< {self.share(_SMALLEST_P)}" if p < _SMALLEST_P else self.share(p)

    def p_value(self, p: float, *, at_most: bool = False) -> str:
        """Return a p-value as a sentence shows it: `p = .0300`, `p < .0001`, `p ≤ .0006`."""
        shown = self.probability(p, at_most=at_most)
        return f"p {shown}" if shown[0] in "<≤" else f"p = {shown}"

    def versus(self, first: float, second: float) -> str:
        """Return two shares side by side."""
        return f"{self.share(first)} / {self.share(second)}"

    def rounded(self, value: float) -> str:
        """Return a number at an axis, without needless decimals."""
        return self._written(f"{value:,.6g}")

    def factor(self, value: float) -> str:
        """Return a factor, such as `×1.50`."""
        return f"×{self.fixed(value, 2)}"

    def listed(self, names: list[str]) -> str:
        """Return names in a row: `a`, `a and b`, `a, b and c`."""
        *others, last = names or [""]
        return f"{', '.join(others)} {self('and')} {last}" if others else last

    def plain(self, value: Any) -> str:
        """Return a JSON value as text: numbers as the language writes them, lists without brackets."""
        if value is None or isinstance(value, bool):
            return self({True: "yes", False: "no", None: "none"}[value])
        if isinstance(value, int):
            return self.count(value)
        if isinstance(value, float):
            return self._written(f"{Decimal(repr(value)):f}") if math.isfinite(value) else repr(value)
        if isinstance(value, (list, tuple)):
            return self.enumerated([self.plain(entry) for entry in value]) or self("none")
        return self.phrase(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def enumerated(self, parts: Sequence[str]) -> str:
        """Return parts that may hold numbers in a row: with a decimal comma, a comma would not part them."""
        return self._separator().join(parts)

    def _separator(self) -> str:
        return ", " if self.decimal_mark == "." else "; "

    def _written(self, number: str) -> str:
        """Return a number that Python formatted as this language writes it, with a minus sign that is none of a
        hyphen's; zero has no sign."""
        if number.startswith("-"):
            number = (_MINUS if number.strip("-0.,") else "") + number[1:]
        return number.replace(",", "\0").replace(".", self.decimal_mark).replace("\0", self.thousands)


@cache
def words_of(language: str) -> Words:
    """Return the words of `en` or `es`."""
    return Words(language=language, **tomllib.loads((LANGUAGES / f"{language}.toml").read_text(encoding="utf-8")))


ENGLISH = words_of("en")


def page_file(file: str, language: str) -> str:
    """Return the name of a page in a language: `report.md` in English, `report.es.md` in Spanish."""
    stem, _, kind = file.rpartition(".")
    return file if language == ENGLISH.language else f"{stem}.{language}.{kind}"
