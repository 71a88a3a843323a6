"""A finished run as it is audited: its artifacts, and the checks that are made of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from gru4rec_cli.audit.check import CannotCheck, Checks
from gru4rec_cli.base.errors import StageError, StudyError, UsageError
from gru4rec_cli.base.files import hash_table, read_json
from gru4rec_cli.base.names import ITEMS_FILE, METRICS_FILE, ORACLE, RANKS_FOLDER, TEST_FILE
from gru4rec_cli.data.sessions import Sessions, read_sessions, read_vocabulary, without_unseen
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.study.choices import BEST_FILE, with_choices
from gru4rec_cli.study.config import StudyConfig, load_config
from gru4rec_cli.study.fits import study_fits
from gru4rec_cli.study.ledger import Use, read_uses
from gru4rec_cli.study.run_directory import CONFIG
from gru4rec_cli.study.stages.table import WINDOWS
from gru4rec_cli.study.verifying import Verification, verify

RUN: Checks["FinishedRun"] = Checks()


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Let a check that needs a damaged file say so; that it is damaged is another check's finding."""
    try:
        yield
    except (StudyError, PolarsError, OSError) as error:
        raise CannotCheck(f"{what} cannot be read: {str(error).partition(chr(10))[0]}") from error


class FinishedRun:
    """The artifacts of a run, as they are on the disk, whatever their manifests say."""

    def __init__(self, path: Path) -> None:
        """Read what there is.

        Raises:
            StageError: there is no run, or it is not evaluated.
            UsageError: it holds the runs of several windows.
        """
        if (path / WINDOWS).is_dir():
            windows = sorted(str(folder) for folder in (path / WINDOWS).iterdir())
            raise UsageError(
                f"{path} holds several windows, each with its own run", f"give one: {' or '.join(windows)}"
            )
        self.path = path
        self.verification: Verification = verify(path)
        metrics = path / "evaluate" / METRICS_FILE
        if not metrics.is_file():
            raise StageError(
                f"{path} is not evaluated: there is no {metrics}", f"gru4rec-study run --config {path / CONFIG}"
            )
        self.findings = Findings(read_json(metrics))
        config = load_config(path / CONFIG)
        self.searched = path / "tune" if config.tune and (path / "tune" / BEST_FILE).is_file() else None
        self.config: StudyConfig = with_choices(config, self.searched)

    @cached_property
    def test(self) -> Sessions:
        """Return the test sessions as they are ranked."""
        split = self.path / "split"
        with reading("the test"):
            whole = read_sessions(split / TEST_FILE, read_vocabulary(split / ITEMS_FILE))
        return without_unseen(whole) if self.config.split.unseen == "keep" else whole.with_targets()

    @cached_property
    def ranks(self) -> Mapping[str, pl.DataFrame]:
        """Return the stored ranks by fit."""
        files = sorted((self.path / "evaluate" / RANKS_FOLDER).glob("*.parquet"))
        with reading("the ranks"):
            return {path.stem: pl.read_parquet(path) for path in files}

    @property
    def models(self) -> list[str]:
        """Return the models with metrics, without the oracle."""
        return [model for model in self.findings.models if model != ORACLE]

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Yield the name and folder of every fit."""
        for section in ("baseline", "train"):
            for fit in study_fits(self.config, section):
                yield fit.name, self.path / section / fit.name

    def test_uses(self) -> list[Use]:
        """Return the times that this test was ranked, as the ledger of the run has them."""
        with reading("the test"):
            test = hash_table(self.path / "split" / TEST_FILE)
        return read_uses(self.path, test)
