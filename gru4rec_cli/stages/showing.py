"""What `evaluate` and `report` both show: the table of results."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gru4rec_cli.columns import METRICS_FILE, METRICS_TABLE, ORACLE
from gru4rec_cli.files import read_json
from gru4rec_cli.reporting.tables import results_table
from gru4rec_cli.stages.fitting import fit_costs
from gru4rec_cli.stages.work import StageResults


def metrics_results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    """The metrics that `evaluate` wrote into `folder`, beside what fitting each model took."""
    document = read_json(folder / METRICS_FILE)
    protocol = document["protocol"]
    sections = [inputs[section] for section in ("baseline", "train") if section in inputs]
    table = results_table(
        pd.read_csv(folder / METRICS_TABLE, dtype={"seed": str}),
        ties=protocol["ties"],
        cutoff=max(protocol["cutoffs"]),
        oracle_name=ORACLE,
        not_applicable=document["not_applicable"],
        confidence=protocol["confidence"],
        costs={name: cost for section in sections for name, cost in fit_costs(section).items()},
    )
    return StageResults(document, [table])
