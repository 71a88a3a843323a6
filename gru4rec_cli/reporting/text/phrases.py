"""Names of models, values and protocols in the language of the reader."""

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.evaluation.metrics import TIE_RULES
from gru4rec_cli.reporting.findings.run import Estimate
from gru4rec_cli.reporting.findings.sensitivity import Protocol
from gru4rec_cli.reporting.text.words import Words


def model_label(model: str, words: Words) -> str:
    """Return the name of a model as tables and figures show it."""
    return words("bound", model=model) if model == ORACLE else model


def with_interval(estimate: Estimate, words: Words) -> str:
    """Return the value and, where there is one, its interval."""
    interval = f" {words.interval(estimate.low, estimate.high)}" if estimate.has_interval else ""
    return words.share(estimate.value) + interval


def tie_name(ties: str, words: Words) -> str:
    """Return the name of a tie rule."""
    return words(f"ties_{ties}") if ties in TIE_RULES else ties


def protocol_label(protocol: Protocol, words: Words) -> str:
    """Return the name of a protocol, such as `100 uniform negatives`."""
    if protocol.kind == "ties":
        return words("protocol_ties", ties=tie_name(protocol.ties, words))
    return words(f"protocol_{protocol.kind}", negatives=words.count(protocol.negatives or 0))
