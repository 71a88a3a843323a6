"""Checks of ids that are text: one thing under two ids.

All work is done on the distinct ids, so that it costs little on a long log. Ids that are integers need none of it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import polars as pl

from gru4rec_cli.data.quality.finding import Finding

TWO_FORMS, OTHER_FORM, ROUNDED = "ids-in-two-forms", "test-ids-in-another-form", "ids-rounded"

_ID, _BEFORE, _AFTER, _SIDE = "id", "before", "after", "side"
_SCIENTIFIC = r"^[+-]?\d(\.\d+)?[eE]\+\d+$"
_UUID = r"^\{?[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\}?$"
_SPACES = r"[\s\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_MIXED = 0.3  # of the ids with letters: from here on, upper and lower case are likely to mean something
_WHOLE = 0.95  # of the pairs in a log of mixed case: so many must have a member in one case to be taken for doubles


class Form(NamedTuple):
    """A way in which two texts for one id differ, and how to write both as the same text."""

    name: str  # ends the sentence "these ids differ only by …"
    pattern: str  # of texts that it may change
    same: Callable[[pl.Expr], pl.Expr]
    hint: str
    escaped: bool = False  # what differs cannot be seen unless it is escaped


_SAVED = "missing ids turn whole numbers into decimal ones; drop these rows, or save the column as integers"
FORMS = (
    Form(
        "characters that cannot be seen (a byte-order mark, a zero-width space, a carriage return)",
        r"[\p{Cf}\p{Cc}]",
        lambda text: text.str.replace_all(r"[\p{Cf}\p{Cc}]", ""),
        "remove these characters from the column of ids",
        escaped=True,
    ),
    Form(
        "spaces",
        _SPACES,
        lambda text: text.str.replace_all(_SPACES + "+", " ").str.strip_chars(),
        "strip the ids of spaces, also of non-breaking ones",
        escaped=True,
    ),
    Form(
        "quotes",
        r"""^(".*"|'.*')$""",
        lambda text: text.str.replace(r"""^["'](.*)["']$""", "$1"),
        "remove the quotes that are part of the ids",
    ),
    Form(
        "the Unicode form of letters with accents (composed and decomposed)",
        r"[^\x00-\x7f]",
        lambda text: text.str.normalize("NFC"),
        "bring all ids to one form, for instance NFC",
        escaped=True,
    ),
    Form(
        "upper and lower case",
        r"\p{Lu}",
        lambda text: text.str.to_lowercase(),
        "write all ids in lower case, if case has no meaning in them",
    ),
    Form(
        "full-width letters or digits",
        r"[\uff01-\uff5e]",
        lambda text: text.str.normalize("NFKC"),
        "bring all ids to one form, for instance NFKC",
        escaped=True,
    ),
    Form(
        "the hyphens or braces of a UUID",
        _UUID,
        lambda text: pl.when(text.str.contains(_UUID)).then(text.str.replace_all(r"[-{}]", "")),
        "write all of them with hyphens and without braces",
    ),
    Form(
        "a decimal point",
        r"^[+-]?\d+(\.0*|,00?)$",
        lambda text: text.str.replace(r"^([+-]?\d+)(\.0*|,00?)$", "$1"),
        _SAVED,
    ),
    Form(
        "a scientific notation",
        _SCIENTIFIC,
        lambda text: _whole_number(text),
        "save the column as integers or as text: a spreadsheet and floats write large numbers like this",
    ),
    Form("a plus sign", r"^\+\d+$", lambda text: text.str.replace(r"^\+(\d+)$", "$1"), "write the ids without +"),
    Form(
        "leading zeros",
        r"^-?0+\d+$",
        lambda text: text.str.replace(r"^(-?)0+(\d+)$", "${1}${2}"),
        "a program that takes ids for numbers drops their zeros; save both columns as text, or both as integers",
    ),
    Form(
        "separators of thousands",
        r"^-?\d{1,3}(,\d{3})+$",
        lambda text: pl.when(text.str.contains(r"^-?\d{1,3}(,\d{3})+$")).then(text.str.replace_all(",", "")),
        "write numbers without separators of thousands",
    ),
)


def doubled_ids(ids: pl.Series, what: str, where: str) -> Iterator[Finding]:
    """Find ids of one column that differ only in how they are written; one finding for each `Form`.

    Args:
        ids: the distinct ids, of any type; only text is looked at.
        what: "item", "session" or "user".
        where: the file, for messages.
    """
    if ids.dtype != pl.String:
        return
    yield from _rounded(ids, what, where)
    for form, changed in _steps(pl.DataFrame({_ID: ids})):
        forms = changed.sort(pl.col(_ID) != pl.col(_BEFORE), _ID).unique([_AFTER, _BEFORE], keep="first")
        groups = forms.group_by(_AFTER).agg(pl.len().alias("forms"), pl.col(_ID).sort())
        merged = groups.filter(pl.col("forms") > 1)
        if merged.is_empty() or _case_has_a_meaning(form, ids, merged[_ID]):
            continue
        pair = _pair(merged.sort(_AFTER)[_ID][0].to_list(), form)
        count = int((merged["forms"]).sum())
        yield Finding(
            TWO_FORMS,
            f"{where}: {count:,} {what} ids differ from another one only by {form.name}, such as {pair}; they are read "
            f"as different {what}s",
            form.hint,
        )


def ids_in_another_form(train: pl.Series, test: pl.Series, what: str) -> Iterator[Finding]:
    """Find ids of the test that training has only in another form; one finding for each `Form`."""
    if train.dtype != pl.String and test.dtype != pl.String:
        return
    known = train.unique().cast(pl.String)
    lacking = pl.DataFrame({_ID: test.unique().cast(pl.String)})
    lacking = lacking.join(pl.DataFrame({_ID: known}), on=_ID, how="anti")
    sides = pl.concat([
        pl.DataFrame({_ID: known, _SIDE: pl.repeat("train", len(known), eager=True)}),
        lacking.with_columns(pl.lit("test").alias(_SIDE)),
    ])  # fmt: skip
    for form, changed in _steps(sides):
        theirs = changed.filter(pl.col(_SIDE) == "train").select(_AFTER, pl.col(_ID).alias("known"), _BEFORE)
        mine = changed.filter(pl.col(_SIDE) == "test")
        before = mine.join(theirs, on=_BEFORE, how="semi")
        found = mine.join(before, on=_ID, how="anti").join(theirs, on=_AFTER).sort(_ID, "known")
        pairs = pl.Series([[row["known"], row[_ID]] for row in found.iter_rows(named=True)], dtype=pl.List(pl.String))
        if found.is_empty() or _case_has_a_meaning(form, sides[_ID], pairs):
            continue
        pair = _pair([found[_ID][0], found["known"][0]], form, " in the test and ")
        yield Finding(
            OTHER_FORM,
            f"data.train and data.test: {found[_ID].n_unique():,} of {test.n_unique():,} {what} ids of the test are in "
            f"training only in another form, which differs by {form.name}: {pair} in training; they are read as "
            f"different {what}s",
            f"make the ids of both files alike: {form.hint}",
        )


def _steps(ids: pl.DataFrame) -> Iterator[tuple[Form, pl.DataFrame]]:
    """Apply one form after the other, and give the ids _BEFORE and _AFTER each that changes any."""
    if not ids[_ID].str.contains("|".join(f"(?:{form.pattern})" for form in FORMS)).any():
        return
    table = ids.with_columns(pl.col(_ID).alias(_AFTER))
    for form in FORMS:
        if not table[_AFTER].str.contains(form.pattern).any():
            continue
        table = table.with_columns(pl.col(_AFTER).alias(_BEFORE))
        table = table.with_columns(pl.coalesce(form.same(pl.col(_BEFORE)), pl.col(_BEFORE)).alias(_AFTER))
        yield form, table


def _rounded(ids: pl.Series, what: str, where: str) -> Iterator[Finding]:
    """Ids such as 2.14536E+08: whoever wrote them has left out digits."""
    found = ids.filter(ids.str.contains(r"^[+-]?\d\.\d+[eE]\+\d\d+$")).sort()
    if len(found):
        yield Finding(
            ROUNDED,
            f"{where}: {len(found):,} {what} ids are in scientific notation, such as {found[0]!r}; their last digits "
            f"may be lost, and different {what}s may have become one",
            "save the column again from its source, as integers or as text: a spreadsheet writes large numbers so",
        )


def _whole_number(text: pl.Expr) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False)
    whole = number.is_between(-(2**53), 2**53) & (number == number.round())
    return pl.when(text.str.contains(_SCIENTIFIC) & whole).then(number.cast(pl.Int64, strict=False).cast(pl.String))


def _case_has_a_meaning(form: Form, ids: pl.Series, groups: pl.Series) -> bool:
    """Return true if case is part of the ids, as in base 62: most are of mixed case, and so are those that coincide."""
    if form.name != "upper and lower case":
        return False
    lettered = ids.filter(ids.str.contains(r"\p{L}"))
    if not _mixed(lettered).sum() >= _MIXED * len(lettered):
        return False
    members = pl.DataFrame({"group": groups}).with_row_index().explode("group")
    whole = (
        members.with_columns((~_mixed(members["group"])).alias("whole")).group_by("index").agg(pl.col("whole").any())
    )
    return bool(whole["whole"].sum() < _WHOLE * whole.height)


def _mixed(ids: pl.Series) -> pl.Series:
    """True where an id is not in lower case, not in upper case, and not a word with a capital letter."""
    plain = (ids == ids.str.to_lowercase()) | (ids == ids.str.to_uppercase())
    return ~(plain | ids.str.contains(r"^\p{Lu}\P{Lu}*$"))


def _pair(ids: list[str], form: Form, between: str = " and ") -> str:
    shown = [ascii(text) if form.escaped else repr(text) for text in ids[:2]]
    return between.join(shown)
