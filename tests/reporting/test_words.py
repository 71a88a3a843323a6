"""Both languages say the same things, and every thing that is said is said somewhere."""

import re
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.base.warnings import WARNINGS
from gru4rec_cli.data import removals, windows
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.evaluation import oracle
from gru4rec_cli.models import registry
from gru4rec_cli.reporting.text.words import ENGLISH, LANGUAGES, Sentence, words_of

SOURCES = Path(LANGUAGES).parents[2]
SPANISH = words_of("es")


def texts(language: str) -> dict[str, str]:
    found: dict[str, Any] = tomllib.loads((LANGUAGES / f"{language}.toml").read_text(encoding="utf-8"))
    return dict(found["texts"])


def gaps(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_all_languages_have_the_same_keys_in_the_same_order():
    assert list(texts("es")) == list(texts("en"))


@pytest.mark.parametrize("key", texts("en"))
def test_a_text_has_the_same_gaps_and_marks_in_both_languages(key: str):
    english, spanish = texts("en")[key], texts("es")[key]
    assert gaps(spanish) == gaps(english)
    assert spanish.strip()
    for mark in ("**", "`"):
        assert spanish.count(mark) == english.count(mark)
        assert english.count(mark) % 2 == 0


def test_every_text_is_used_somewhere():
    code = "\n".join(
        path.read_text(encoding="utf-8") for kind in ("py", "jinja") for path in SOURCES.rglob(f"*.{kind}")
    )
    patterns = [
        re.sub(r"\{[^}]*\}", "[a-z_]+", part) for part in re.findall(r'(?:words|say)\(f["\']([^"\']*)["\']', code)
    ]
    for key in texts("en"):
        assert re.search(f"[\"']{re.escape(key)}[\"']", code) or any(
            re.fullmatch(pattern, key) for pattern in patterns
        ), f"nobody says {key}"


def test_what_the_program_writes_into_its_artifacts_is_known_in_spanish():
    written = [
        oracle.DESCRIPTION,
        *WARNINGS.values(),
        *removals.KEYS,
        windows.STEP,
        windows.OUTSIDE,
        "train",
        "valid",
        "test",
        "cleaning",
        "test cut",
        "validation cut",
        "validation",
        "all training items",
        "events",
    ]
    for text in written:
        known = SPANISH.phrase(text)
        assert not set(text.split("; ")) & set(known.split("; ")), f"say it in es.toml: {text}"
        assert ENGLISH.phrase(text) == text


def test_what_stands_before_a_colon_is_translated_and_what_follows_stays():
    assert SPANISH.phrase("the preset is overridden: min_item_support") == (
        "la configuración cambia el preprocesado: min_item_support"
    )
    assert SPANISH.phrase("item too rare; unknown: 3") == "artículo demasiado raro; unknown: 3"
    assert ENGLISH.phrase("a: b; c") == "a: b; c"


def test_descriptions_of_models_in_spanish_are_of_models_that_there_are():
    # A model without one is described in English: adding a model takes no line here.
    descriptions = [oracle.DESCRIPTION, *(registry.model_class(kind).description for kind in registry.kinds())]
    written = {text for description in descriptions for text in (description, *description.split("; "))}
    known = {
        text for text in SPANISH.phrases if text.split()[0] in ("Items", "STAN,", "SASRec:", "GRU4Rec:", "GRU4Rec,")
    }
    assert len(known) > 10
    assert known <= written


def test_shares_have_four_decimals():
    assert (ENGLISH.share(0.5), ENGLISH.share(1.0)) == (".5000", "1.000")
    assert (SPANISH.share(0.5), SPANISH.share(1.0)) == ("0,5000", "1,0000")


@pytest.mark.parametrize(
    ("number", "english", "spanish"),
    [
        (7, "7", "7"),
        (9999, "9,999", "9999"),
        (10000, "10,000", "10\u202f000"),
        (1234567, "1,234,567", "1\u202f234\u202f567"),
    ],
)
def test_counts_are_grouped_as_each_language_does(number, english, spanish):
    assert ENGLISH.count(number) == english
    assert SPANISH.count(number) == spanish


def test_decimals_percentages_and_differences():
    assert (ENGLISH.fixed(1234.5, 2), SPANISH.fixed(1234.5, 2)) == ("1,234.50", "1\u202f234,50")
    assert (ENGLISH.percent(0.617), SPANISH.percent(0.617)) == ("61.7 %", "61,7 %")
    assert (ENGLISH.level(0.95), SPANISH.level(0.995)) == ("95 %", "99,5 %")
    assert (ENGLISH.signed(0.02), ENGLISH.signed(-0.02), ENGLISH.signed(-0.00001)) == ("+.0200", "−.0200", ".0000")
    assert SPANISH.signed_interval(-0.01, 0.02) == "[−0,0100;+0,0200]"
    assert SPANISH.interval(0.1, 0.2) == "[0,1000–0,2000]"
    assert (ENGLISH.p_value(0.00001), SPANISH.p_value(0.03)) == ("p < .0001", "p = 0,0300")


def test_a_minus_is_a_minus_and_nothing_has_no_sign():
    # screen and page: hyphens for minus
    minus = "\u2212"
    assert (ENGLISH.share(-0.25), SPANISH.share(-0.25)) == (f"{minus}.2500", f"{minus}0,2500")
    assert (ENGLISH.percent(-0.023), SPANISH.fixed(-1234.5, 1)) == (
        f"{minus}2.3 %",
        f"{minus}1234,5".replace("1234", "1\u202f234"),
    )
    assert (ENGLISH.rounded(-0.1), ENGLISH.count(-7), ENGLISH.plain(-0.5)) == (
        f"{minus}0.1",
        f"{minus}7",
        f"{minus}0.5",
    )
    assert (ENGLISH.share(-0.00001), ENGLISH.percent(-0.0001), ENGLISH.fixed(-0.0, 1)) == (".0000", "0.0 %", "0.0")
    assert (ENGLISH.plain(1e-06), SPANISH.plain(2.5e-05)) == ("0.000001", "0,000025")


def test_the_smallest_p_of_a_test_is_a_bound():
    # screen and page: p at its floor without "≤"; 6 pairs, 10,000 exchanges: 6 / 10,001 = .00059994
    assert ENGLISH.p_value(6 / 10_001, at_most=True) == "p ≤ .0006"
    assert ENGLISH.probability(1 / 10_001, at_most=True) == "≤ .0001"
    assert ENGLISH.probability(0.00012, at_most=True) == "≤ .0002"  # rounded down, it would not be true
    assert SPANISH.p_value(0.012, at_most=True) == "p ≤ 0,0120"
    assert ENGLISH.p_value(1.0, at_most=True) == "p = 1.000"


def test_keys_of_artifacts_have_words_in_every_language():
    # screen and page: `kept_epoch`, `window = none`
    assert list(words_of("es").labels) == list(ENGLISH.labels)
    for key in (*SplitSettings.model_fields, "kept_epoch"):
        assert key in ENGLISH.labels, f"say {key} under [labels] of en.toml and es.toml"
    assert ENGLISH.label("a_fact_of_another_package") == "a fact of another package"


def test_lists_are_told_as_a_person_would():
    assert ENGLISH.listed(["a"]) == "a"
    assert ENGLISH.listed(["a", "b", "c"]) == "a, b and c"
    assert SPANISH.listed(["a", "b"]) == "a y b"
    assert SPANISH.plain([0.5, 1, True, None]) == "0,5; 1; sí; ninguno"
    assert ENGLISH.plain([0.5, 1, True, None]) == "0.5, 1, yes, none"


def test_what_fills_a_gap_is_never_markup():
    hostile = "**b** `c` <script>{x}"
    sentence = Sentence("**{model}** & `code` {model}", {"model": hostile})
    escaped = "**b** `c` &lt;script&gt;{x}"
    assert sentence.html() == f"<strong>{escaped}</strong> &amp; <code>code</code> {escaped}"
    assert sentence.plain() == f"{hostile} & code {hostile}"
    assert "<script" not in sentence.markdown()
    assert "\\*\\*b\\*\\*" in sentence.markdown()
