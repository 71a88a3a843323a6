"""The user of each session, where the input names users: kept beside the parts of a split."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from gru4rec_cli.base.arrays import AnyArray
from gru4rec_cli.base.names import SESSION
from gru4rec_cli.data.events import write_table

USERS_FILE = "users.parquet"  # of the folder that `split` writes
USER = "user_id"
PART = "part"  # train, valid or test


def users_by_session(pairs: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return SESSION and USER (text), a row for every session of exactly one user.

    `pairs` are the pairs of both in every file, as text. A session of several users has no user of its own.
    """
    named = pl.concat(pairs).drop_nulls().unique()
    return named.filter(pl.len().over(SESSION) == 1)


def users_of_made_sessions(origins: pl.DataFrame, users: pl.DataFrame | None) -> pl.DataFrame:
    """Return SESSION and USER (text) of sessions that were made by pauses.

    `origins` has the user of each in USER; or, where `users` of the sessions of the data are given, that session.
    """
    made = origins.cast(pl.String)
    return (
        made if users is None else made.rename({USER: "old"}).join(users.rename({SESSION: "old"}), on="old").drop("old")
    )


def user_table(parts: Mapping[str, pl.DataFrame], users: pl.DataFrame) -> pl.DataFrame:
    """Return SESSION, USER, PART: a row for each session of the parts, in the order of the parts and their rows.

    `users` has SESSION and USER as text. User ids become integers if all of them are integers written plainly. Where a
    session has no user, or several, the id is null.
    """
    sessions = pl.concat(
        events.select(SESSION).unique(maintain_order=True).with_columns(pl.lit(part).alias(PART))
        for part, events in parts.items()
    )
    text = sessions.select(pl.col(SESSION).cast(pl.String), PART)
    found = text.join(users, on=SESSION, how="left", maintain_order="left")[USER]
    integers = found.cast(pl.Int64, strict=False)
    plain = bool((integers.cast(pl.String) == found).all()) and integers.null_count() == found.null_count()
    return sessions.select(SESSION, (integers if plain else found).alias(USER), PART)


def write_users(parts: Mapping[str, pl.DataFrame | None], users: Sequence[pl.DataFrame], folder: Path) -> None:
    """Write the users of all sessions of the parts beside these; nothing if the input names no users."""
    if users:
        present = {part: events for part, events in parts.items() if events is not None and events.height}
        write_table(user_table(present, users_by_session(users)), folder / USERS_FILE)


def users_of_part(split: Path, part: str, sessions: AnyArray) -> pl.Series | None:
    """Return USER for each of these sessions of a part, (n_sessions,), or None where no users are known."""
    path = split / USERS_FILE
    if not path.exists():
        return None
    users = pl.read_parquet(path).filter(pl.col(PART) == part)
    wanted = pl.DataFrame({SESSION: pl.Series(sessions, dtype=users.schema[SESSION])})
    return wanted.join(users, on=SESSION, how="left", maintain_order="left")[USER]
