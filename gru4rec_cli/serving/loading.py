"""Finds fitted models by name in the run directory of a study, or in a folder of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gru4rec_cli.base.errors import UsageError, nearest
from gru4rec_cli.base.names import COSTS, FitName, fits_of
from gru4rec_cli.models import registry
from gru4rec_cli.study.stages.table import WINDOWS

if TYPE_CHECKING:  # loads polars
    from gru4rec_cli.models.fitted import FittedModel

_SECTIONS = ("baseline", "train")


@dataclass(frozen=True)
class Run:
    """The fitted models of a run directory: their folders, by the name of the fit."""

    path: Path
    folders: dict[str, Path]

    @property
    def names(self) -> list[str]:
        """The names of the fits: NAME, or NAME.seed-N where a model is fitted with several seeds."""
        return list(self.folders)

    def folder(self, name: str) -> Path:
        """Return the folder of a fit. The name of a model with several seeds stands for the first of them.

        Raises:
            UsageError: the run has no such fit.
        """
        fits = [name] if name in self.folders else fits_of(name, self.folders)
        if fits:
            return self.folders[fits[0]]
        known = [*dict.fromkeys([*(FitName.parse(fit).model for fit in self.folders), *self.folders])]
        raise UsageError(
            f"{self.path} holds no fitted model {name!r}{nearest(name, known)}",
            f"its models are {', '.join(self.folders)}",
        )

    def model(self, name: str) -> "FittedModel":
        """Return a fitted model; for names see `folder`.

        Raises:
            UsageError: the run has no such fit.
            StageError: its folder is damaged.
        """
        return registry.load_model(self.folder(name))


def load_run(path: Path | str) -> Run:
    """Return the fitted models of a run directory; none of them is loaded yet.

    Raises:
        UsageError: there is no such folder, or it holds no fitted model.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"there is no run directory {path}", "give one that `run` wrote, such as runs/NAME")
    found = [folder for section in _SECTIONS for folder in sorted((path / section).glob("*/")) if _is_fit(folder)]
    if not found:
        windows = [folder.relative_to(path).as_posix() for folder in sorted((path / WINDOWS).glob("*-of-*/"))]
        hint = "fit models with `run`; a folder that holds a model itself is given with --bundle"
        if windows:
            hint = f"each of its windows is a run directory with models of its own: {', '.join(windows)}"
        raise UsageError(f"{path} holds no fitted models", hint)
    return Run(path, {folder.name: folder for folder in found})


def _is_fit(folder: Path) -> bool:
    """Return whether a folder of a stage is that of a fit, whole or damaged."""
    try:
        FitName.parse(folder.name)
    except ValueError:
        return False
    return not folder.name.startswith(".") and folder.name != COSTS
