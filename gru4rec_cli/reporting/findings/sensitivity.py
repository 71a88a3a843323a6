"""Results under weaker protocols, as `metrics.json` holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gru4rec_cli.evaluation.metrics import HEADLINE
from gru4rec_cli.reporting.findings.run import Findings, source_path

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Protocol:
    """Another way to count: a tie rule, or a sample of so many negatives."""

    kind: str  # ties, uniform, popularity
    negatives: int | None
    ties: str

    @classmethod
    def of(cls, row: Row) -> "Protocol":
        """Return the protocol of a row."""
        return cls(str(row.get("protocol")), row.get("negatives"), str(row.get("ties")))


def sensitivity_rows(findings: Findings, metric: str = HEADLINE) -> list[Row]:
    """Return what other protocols give for a metric at the largest cutoff, without the headline's own tie rule."""
    rows = (findings.document.get("sensitivity") or {}).get("rows") or []
    own = Protocol("ties", None, findings.ties)
    return [r for r in rows if r.get("metric") == metric and r.get("k") == findings.cutoff and Protocol.of(r) != own]


def factors(findings: Findings, metric: str = HEADLINE) -> dict[Protocol, dict[str, Row]]:
    """Return the rows by protocol and model, protocols in table order."""
    found: dict[Protocol, dict[str, Row]] = {}
    for row in sensitivity_rows(findings, metric):
        found.setdefault(Protocol.of(row), {})[str(row.get("model"))] = row
    return found


def row_source(row: Row) -> str:
    """Return where a row stands in metrics.json."""
    fields = ("model", "protocol", "negatives", "ties", "metric", "k")
    return source_path("sensitivity.rows", **{name: row.get(name) for name in fields})
