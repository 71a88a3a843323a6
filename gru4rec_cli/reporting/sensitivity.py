"""What weaker protocols would have reported: by which factor they inflate, and whose order they turn round."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gru4rec_cli.reporting.estimates import source_path
from gru4rec_cli.reporting.findings import HEADLINE, Findings
from gru4rec_cli.reporting.tables import Cell, Table, missing_note, model_label, tie_name
from gru4rec_cli.reporting.words import Sentence, Words

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Protocol:
    """Another way to count: a tie rule, or a sample of so many negatives."""

    kind: str  # ties, uniform, popularity
    negatives: int | None
    ties: str

    @classmethod
    def of(cls, row: Row) -> "Protocol":
        return cls(str(row.get("protocol")), row.get("negatives"), str(row.get("ties")))

    def label(self, words: Words) -> str:
        if self.kind == "ties":
            return words("protocol_ties", ties=tie_name(self.ties, words))
        return words(f"protocol_{self.kind}", negatives=words.count(self.negatives or 0))


def sensitivity_rows(findings: Findings, metric: str = HEADLINE) -> list[Row]:
    """What other protocols give for a metric at the largest cutoff; the headline's own tie rule is none of them."""
    rows = (findings.document.get("sensitivity") or {}).get("rows") or []
    own = Protocol("ties", None, findings.ties)
    return [r for r in rows if r.get("metric") == metric and r.get("k") == findings.cutoff and Protocol.of(r) != own]


def factors(findings: Findings, metric: str = HEADLINE) -> dict[Protocol, dict[str, Row]]:
    """The rows by protocol and model, protocols in table order."""
    found: dict[Protocol, dict[str, Row]] = {}
    for row in sensitivity_rows(findings, metric):
        found.setdefault(Protocol.of(row), {})[str(row.get("model"))] = row
    return found


def factors_table(findings: Findings, metric: str, words: Words) -> Table:
    """The factor between what a protocol reports and full ranking, and what it reports; a column a protocol."""
    found = factors(findings, metric)
    models = [m for m in findings.order if any(m in by_model for by_model in found.values())]
    rows = tuple(
        (
            model_label(model, words),
            _full_cell(findings, model, metric, found, words),
            *(_factor_cell(by_model.get(model), words) for by_model in found.values()),
        )
        for model in models
    )
    label = findings.metric_label(metric, findings.cutoff)
    return Table(
        words("factors_title", metric=label),
        (words("model"), words("full_ranking"), *(protocol.label(words) for protocol in found)),
        rows,
        numeric=frozenset(range(1, 2 + len(found))),
        notes=(words("factors_note"), *missing_note(rows, words)),
        source=source_path("sensitivity.rows"),
    )


def _full_cell(
    findings: Findings, model: str, metric: str, found: Mapping[Protocol, Mapping[str, Row]], words: Words
) -> str:
    row = next((by_model[model] for by_model in found.values() if model in by_model), {})
    value = row.get("full")
    return words("missing") if value is None else Cell(words.share(value), value=value, source=_source(row))


def _factor_cell(row: Row | None, words: Words) -> str:
    value, factor = (row or {}).get("value"), (row or {}).get("factor")
    if row is None or value is None:
        return words("missing")
    inflated = f" ({words.factor(factor)})" if factor is not None else ""
    return Cell(words.share(value) + inflated, value=factor if factor is not None else value, source=_source(row))


def _source(row: Row) -> str:
    fields = ("model", "protocol", "negatives", "ties", "metric", "k")
    return source_path("sensitivity.rows", **{name: row.get(name) for name in fields})


def flips_table(findings: Findings, words: Words) -> Table:
    """The pairs whose order is another under another protocol, with what each of the two reports."""
    flips = (findings.document.get("sensitivity") or {}).get("flips") or []
    rows = tuple(
        (
            findings.metric_label(str(flip.get("metric")), flip.get("k")),
            Protocol.of(flip).label(words),
            model_label(str(flip.get("first")), words),
            model_label(str(flip.get("second")), words),
            _two(flip.get("full"), words, flip),
            _two(flip.get("shown"), words, flip),
        )
        for flip in flips
    )
    columns = ("metric", "protocol", "above_in_full", "below_in_full", "in_full", "there")
    return Table(
        words("flips_title"),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({4, 5}),
        notes=(words("flips_note") if rows else words("no_flips"), *missing_note(rows, words)),
        source=source_path("sensitivity.flips"),
    )


def _two(values: Any, words: Words, flip: Row) -> str:
    if not values or len(values) != 2:
        return words("missing")
    fields = ("first", "second", "metric", "k", "protocol", "negatives", "ties")
    source = source_path("sensitivity.flips", **{name: flip.get(name) for name in fields})
    text = words.versus(*values)
    return Cell(text, value=values[0] - values[1], source=source)


def sensitivity_sentences(findings: Findings, words: Words) -> list[Sentence]:
    """The largest inflation and how many orders turn round, in words."""
    rows = [row for row in sensitivity_rows(findings) if row.get("factor") is not None]
    said = []
    most = max(rows, key=lambda row: row["factor"], default=None)
    if most is not None and most["factor"] > 1:
        shares = {key: words.share(most[key]) for key in ("full", "value")}
        told = {"model": str(most["model"]), "protocol": Protocol.of(most).label(words), "metric": findings.label}
        said.append(words.say("most_inflated", _source(most), factor=words.factor(most["factor"]), **shares, **told))
    flips = (findings.document.get("sensitivity") or {}).get("flips")
    if flips is not None:
        headline = [f for f in flips if f.get("metric") == HEADLINE and f.get("k") == findings.cutoff]
        pairs = {(f.get("first"), f.get("second")) for f in headline}
        key = "flips_some" if pairs else "flips_none"
        told = {"metric": findings.label, "pairs": words.count(len(pairs))}
        said.append(words.say(key, source_path("sensitivity.flips"), **told))
    return said
