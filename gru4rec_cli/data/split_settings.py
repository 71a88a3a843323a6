"""Section `split` of the configuration."""

from datetime import date
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gru4rec_cli.data import presets
from gru4rec_cli.data.cleaning import CleaningSettings
from gru4rec_cli.data.times import LATEST, MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, parse_iso
from gru4rec_cli.data.windows import MOST, RecentSettings, WindowSettings

# Defaults for files that are already split: they are taken as they are.
AS_GIVEN: dict[str, Any] = {
    "drop_duplicates": False,
    "drop_repeats": False,
    "min_session_length": 1,
    "min_item_support": 1,
    "unseen": "keep",
}


DivisionRule = Literal["ratio", "days", "time", "column"]


class SplitSettings(CleaningSettings):
    """Rules by which the log is cleaned and then divided by the start time of its sessions."""

    preset: str | None = Field(
        None,
        description="published preprocessing that sets the defaults of the other keys: " + ", ".join(presets.PRESETS),
    )
    by: DivisionRule = Field(
        "ratio",
        description="meaning of `test` and `valid`: a share of the sessions, days at the end, or a time; column: the "
        "file itself says of each row in which part it is, in the column data.columns.part; these parts are then taken "
        "as they are, like data.train and data.test",
    )
    test: float | str = Field(
        0.2,
        description="with by: ratio, share of the sessions, in (0, 1), those that start last; days: number of days at "
        "the end; time: start of the test, ISO 8601 (UTC if no zone is given) or seconds since 1970-01-01 UTC. "
        "With ratio or days, 0: no test, for a model that is to be used: all is training, nothing is evaluated",
    )
    valid: float | str | None = Field(
        None, description="validation part, taken from the end of the training part by the same rule; null: none"
    )
    end: float | str | None = Field(
        None,
        description="with by: days, moment from which the days of `test` are counted back, as a time like `test` with "
        "by: time; null: the last event that cleaning leaves",
    )
    valid_end: Literal["training", "cut"] = Field(
        "training",
        description="with by: days, moment from which the days of `valid` are counted back: training: the last event "
        "of the training part; cut: the cut between training and test",
    )
    on_cut: Literal["later", "drop"] = Field(
        "later",
        description="sessions that start exactly at a cut: later: they are in the later part; drop: remove them",
    )
    equal_starts: Literal["id", "file"] = Field(
        "id",
        description="order of sessions that start at the same time: by id, or as they first stand in the file; "
        "models are trained in this order, and items are numbered in it",
    )
    straddle: Literal["drop", "train", "truncate", "test"] = Field(
        "drop",
        description="sessions that start before a cut and end at or after it: drop: remove them; train: keep them "
        "whole in the earlier part, which then has clicks from the time of the later part; truncate: keep their clicks "
        "before the cut; test: move them whole to the later part, which then begins before the cut",
    )
    unseen: Literal["drop", "miss", "keep"] = Field(
        "drop",
        description="validation and test events of items not in training: drop: remove them; miss: count them as "
        "misses; keep: keep them in the files and their counts, but pass them over when models are ranked",
    )
    recent: RecentSettings | None = Field(
        None, description="keep only the last training sessions, by share, days or prefixes; null: all"
    )
    windows: int | None = Field(
        None,
        ge=2,
        le=MOST,
        description="number of windows of equal length into which the log is cut; each window is a run with all "
        "stages, and one table shows mean and spread; null: the log is not cut",
    )
    window: WindowSettings | None = Field(
        None, description="keep only the sessions that start in this window of the log; null: all"
    )

    @property
    def has_test(self) -> bool:
        """True where a test part is taken or given."""
        return self.by == "time" or self.test != 0

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        return presets.filled(given) if isinstance(given, dict) else given

    @field_validator("test", "valid", "end", mode="before")
    @classmethod
    def _date_as_text(cls, value: object) -> object:
        return value.isoformat() if isinstance(value, date) else value  # YAML reads 2014-09-01 as a date

    @model_validator(mode="after")
    def _windows_fit(self) -> "SplitSettings":
        if self.windows is not None and self.window is not None:
            raise ValueError("window: selects one window, but windows asks for all of them; leave out one of the two")
        if self.by == "column" and (self.windows or self.window):
            key = "window" if self.window else "windows"
            raise ValueError(f"{key}: a log that is already divided (by: column) has no windows; leave this key out")
        if self.by == "time" and (self.windows or self.window):
            raise ValueError("by: time is a single moment, but every window needs its own cut; set ratio or days")
        if self.end is not None and (self.windows or self.window):
            raise ValueError("end: is a single moment, but every window needs its own cut; set it to null")
        return self

    @model_validator(mode="after")
    def _amounts_fit(self) -> "SplitSettings":
        if self.by == "column":
            self._require_no_cut()
        if not self.has_test:
            self._require_no_test()
        for name, amount in (("test", self.test if self.has_test else None), ("valid", self.valid)):
            if amount is not None and self.by != "column":
                _require_amount(name, amount, self.by)
        if self.by != "days" and (self.end is not None or self.valid_end != "training"):
            raise ValueError(f"{'valid_end' if self.end is None else 'end'}: is only for by: days")
        if self.end is not None:
            moment_of(self.end, "end")
        if self.by == "time" and self.valid is not None and moment_of(self.valid) >= moment_of(self.test):
            raise ValueError(f"valid: {self.valid!r} must be earlier than test: {self.test!r}")
        return self

    def _require_no_cut(self) -> None:
        """Raise `ValueError` where settings about cuts are set, although the file says what is in each part."""
        if self.preset is not None:
            raise ValueError("preset: a preset divides by time; leave it out, or leave out by: column")
        for name in ("test", "valid", "end", "valid_end", "on_cut", "straddle"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: there is no cut with by: column, the file has the parts; leave this key out")

    def _require_no_test(self) -> None:
        """Raise `ValueError` where settings need the test that there is not."""
        if self.windows is not None:
            raise ValueError("windows: each window is evaluated, but test: 0 leaves no test; leave out one of the two")
        if self.end is not None:
            raise ValueError("end: the days of `test` are counted from it, but test: 0 leaves no test; set it to null")


def moment_of(amount: float | str, name: str = "test") -> int:
    """Return a time of the configuration in microseconds since 1970. Raises `ValueError` where it is not one."""
    micros = parse_iso(amount) if isinstance(amount, str) else round(Fraction(str(amount)) * MICROSECONDS_PER_SECOND)
    if micros is None:
        raise ValueError(
            f"{name}: {amount!r} is neither an ISO 8601 time (2014-09-01T00:00:00Z) nor seconds since 1970"
        )
    if not 0 <= micros <= LATEST:
        raise ValueError(f"{name}: {amount!r} is not a time between 1970 and 2200")
    return micros


def _require_amount(name: str, amount: float | str, by: str) -> None:
    if by == "time":
        moment_of(amount, name)
    elif isinstance(amount, str):
        raise ValueError(f"{name}: must be a number with by: {by}, not the text {amount!r}")
    elif by == "ratio" and not 0 < amount < 1:
        raise ValueError(f"{name}: must be between 0 and 1 with by: ratio, not {amount}")
    elif not 0 < amount * MICROSECONDS_PER_DAY <= LATEST:
        raise ValueError(f"{name}: must be a positive number of days, at most 84,000, not {amount}")
