"""The last part of the training sessions, as the literature trains on: the last 1/64 of them, or those of some days."""

from fractions import Fraction

from pydantic import Field, field_validator, model_validator

from gru4rec_cli.base.settings import Settings


class RecentSettings(Settings):
    """Which training sessions are kept; one of the two must be given."""

    share: float | str | None = Field(
        None, description='share of the training sessions that starts last, such as 0.25 or "1/64"'
    )
    days: float | None = Field(
        None,
        gt=0,
        le=84_000,
        description="training sessions that start within so many days before the last training event",
    )

    @field_validator("share")
    @classmethod
    def _is_share(cls, share: float | str | None) -> float | str | None:
        try:
            fits = share is None or 0 < Fraction(str(share)) <= 1
        except (ValueError, ZeroDivisionError):
            fits = False
        if not fits:
            raise ValueError(f'{share!r} is no share in (0, 1], such as 0.25 or "1/64"')
        return share

    @model_validator(mode="after")
    def _one_of_two(self) -> "RecentSettings":
        if (self.share is None) == (self.days is None):
            raise ValueError("share: give either share or days")
        return self
