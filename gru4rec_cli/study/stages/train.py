"""`train`: fit the models of `train.models`, continuing from the last finished epoch where a try was cut short."""

from collections.abc import Mapping
from pathlib import Path

from gru4rec_cli.study.fits import fit_models, fit_results
from gru4rec_cli.study.stage import StageResults, StageWork


def run(work: StageWork) -> None:
    fit_models(work, "train")


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    return fit_results(folder)
